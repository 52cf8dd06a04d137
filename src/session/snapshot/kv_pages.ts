// Keys and values of a sequence as bytes.
import { KV_PAGE } from "../../../assembly/layout/blocks.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Sequence } from "../../model/kv_cache.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { newBytes } from "../../util/bytes.ts";

/** Bytes that `positions` positions take: whole pages. */
export function pagesBytes(engine: Engine, positions: number): number {
  return Math.ceil(positions / KV_PAGE) * engine.layout.pages.bytes;
}

/**
 * Copies the pages of a sequence. Slots behind its last position are zero, whatever was there before: other
 * conversations have used the same memory.
 */
export function exportPages(engine: Engine, sequence: Sequence): Uint8Array<ArrayBuffer> {
  const { bytes: pageBytes } = engine.layout.pages;
  const out = newBytes(pagesBytes(engine, sequence.length), "the keys and values of a snapshot");
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  const full = Math.floor(sequence.length / KV_PAGE);
  for (let p = 0; p < full; p++) {
    const address = sequence.pages[p] as number;
    out.set(memory.subarray(address, address + pageBytes), p * pageBytes);
  }
  const used = sequence.length - full * KV_PAGE;
  if (used > 0) exportPartly(engine, sequence.pages[full] as number, used, out.subarray(full * pageBytes));
  return out;
}

// The page may be shared with a fork that goes on behind `used`: slots are cleared in a copy, one head at a time, in
// the buffer that loading has left free. The kernel that stores a position knows where its values are.
function exportPartly(engine: Engine, page: number, used: number, out: Uint8Array): void {
  const { kernel, layout } = engine;
  const { kv, staging, config } = layout;
  const store = kernel.exports[`kv_store_${kv.type}`];
  const memory = new Uint8Array(kernel.memory.buffer);
  const copy = staging.address;
  const zeros = copy + staging.bytes;
  memory.fill(0, zeros, zeros + 4 * config.headDim);
  for (let at = 0; at < out.length; at += kv.headBytes) {
    memory.copyWithin(copy, page + at, page + at + kv.headBytes);
    for (let slot = used; slot < KV_PAGE; slot++) store(zeros, zeros, copy, slot, config.headDim);
    out.set(memory.subarray(copy, copy + kv.headBytes), at);
  }
}

/**
 * A sequence of `positions` positions with the pages that {@link exportPages} has given.
 * @param bytes `pagesBytes(engine, positions)` bytes; `positions` fits the context
 * @throws MemoryError if there is no room; nothing is taken then
 */
export function importPages(engine: Engine, bytes: Uint8Array, positions: number): Sequence {
  const { bytes: pageBytes } = engine.layout.pages;
  const sequence = engine.sequence("restored session");
  try {
    sequence.reserve(positions);
  } catch (error) {
    sequence.free();
    // Nothing can be waited for here, but a caller that tries again later may have more luck.
    const { used } = engine.pool;
    if (engine.pauses) void detectRuntime().collectGarbage(() => engine.pool.used < used);
    throw error;
  }
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  sequence.pages.forEach((address, p) => {
    memory.set(bytes.subarray(p * pageBytes, (p + 1) * pageBytes), address);
  });
  sequence.advance(positions);
  return sequence;
}
