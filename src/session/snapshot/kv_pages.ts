// Keys and values of a sequence as bytes.
import { KV_PAGE } from "../../../assembly/layout/blocks.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Sequence } from "../../model/kv_cache.ts";
import { firstKept, type LayerCache, type PageClass, resumable } from "../../model/kv_layout.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { newBytes } from "../../util/bytes.ts";

/** Which pages are saved: those of each class from a first one on, up to the last position. */
export interface SavedPages {
  /** Positions of the sequence. */
  readonly positions: number;
  /** The first page of each class. Undefined: all pages, and in each the layers of all classes, in their order. */
  readonly firsts: readonly number[] | undefined;
}

/** What is saved of a sequence: what it would hold if it went on token by token. */
export function savedPages(engine: Engine, { length, tables }: Sequence): SavedPages {
  const { classes } = engine.layout.kv;
  if (classes.every(({ window, isState }) => window === undefined && !isState))
    return { positions: length, firsts: undefined };
  const firsts = classes.map((of, i) => Math.max(tables[i]?.first ?? 0, firstKept(of, length)));
  return { positions: length, firsts };
}

/** Whether a sequence can go on with the pages of class `i` from `first` on. */
export function canGoOn(engine: Engine, i: number, first: number, positions: number): boolean {
  return resumable(engine.layout.kv.classes[i] as PageClass, first, positions, true) === positions;
}

/** Bytes that saved pages take. */
export function pagesBytes(engine: Engine, { positions, firsts }: SavedPages): number {
  const end = Math.ceil(positions / KV_PAGE);
  const { classes } = engine.layout.kv;
  return classes.reduce((sum, { pageBytes }, i) => sum + (end - (firsts?.[i] ?? 0)) * pageBytes, 0);
}

/**
 * Copies pages of a sequence. Slots behind its last position are zero, whatever was there before: other
 * conversations have used the same memory.
 */
export function exportPages(engine: Engine, sequence: Sequence, saved: SavedPages): Uint8Array<ArrayBuffer> {
  const out = newBytes(pagesBytes(engine, saved), "the keys and values of a snapshot");
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  const full = Math.floor(saved.positions / KV_PAGE);
  const used = saved.positions - full * KV_PAGE;
  let at = 0;
  sequence.tables.forEach(({ pages, first }, i) => {
    const { pageBytes } = engine.layout.kv.classes[i] as PageClass;
    for (let p = saved.firsts?.[i] ?? 0; p < full; p++, at += pageBytes) {
      const address = pages[p - first] as number;
      out.set(memory.subarray(address, address + pageBytes), at);
    }
    if (used === 0) return;
    const partly = out.subarray(at, at + pageBytes);
    for (const layer of engine.layout.kv.layers) {
      if (layer.pageClass === i) exportPartly(engine, layer, pages[full - first] as number, used, partly);
    }
    at += pageBytes;
  });
  return out;
}

// The page may be shared with a fork that goes on behind `used`: slots are cleared in a copy, one head at a time, in
// the buffer that loading has left free. The kernel that stores a position knows where its values are.
function exportPartly(
  engine: Engine,
  { type, headDim, nKvHeads, headBytes, bytes, offset, rows, state }: LayerCache,
  page: number,
  used: number,
  out: Uint8Array,
): void {
  const { kernel, layout } = engine;
  if (headBytes === 0) {
    const written = state === undefined ? 4 * used * (rows as number) : bytes;
    out.set(new Uint8Array(kernel.memory.buffer, page + offset, written), offset);
    return;
  }
  const store = kernel.exports[`kv_store_${type}`];
  const memory = new Uint8Array(kernel.memory.buffer);
  const copy = layout.staging.address;
  const zeros = copy + layout.staging.bytes;
  memory.fill(0, zeros, zeros + 4 * headDim);
  for (let at = offset; at < offset + nKvHeads * headBytes; at += headBytes) {
    memory.copyWithin(copy, page + at, page + at + headBytes);
    for (let slot = used; slot < KV_PAGE; slot++) store(zeros, zeros, copy, slot, headDim);
    out.set(memory.subarray(copy, copy + headBytes), at);
  }
}

/**
 * A sequence with the pages that {@link exportPages} has given.
 * @param bytes `pagesBytes(engine, saved)` bytes; the positions fit the context, and the sequence can go on with them
 * @throws MemoryError if there is no room; nothing is taken then
 */
export function importPages(engine: Engine, bytes: Uint8Array, saved: SavedPages): Sequence {
  const sequence = engine.sequence("restored session");
  const { positions, firsts } = saved;
  try {
    const { classes } = engine.layout.kv;
    sequence.adopt(positions, firsts ?? classes.map((of) => firstKept(of, positions)));
  } catch (error) {
    sequence.free();
    // Nothing can be waited for here, but a caller that tries again later may have more luck.
    const { used } = engine.pool;
    if (engine.pauses) void detectRuntime().collectGarbage(() => engine.pool.used < used);
    throw error;
  }
  if (firsts) importClasses(engine, bytes, sequence);
  else importLayers(engine, bytes, sequence);
  return sequence;
}

function importClasses(engine: Engine, bytes: Uint8Array, { tables }: Sequence): void {
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  let at = 0;
  tables.forEach(({ pages }, i) => {
    const { pageBytes } = engine.layout.kv.classes[i] as PageClass;
    for (const address of pages) {
      memory.set(bytes.subarray(at, at + pageBytes), address);
      at += pageBytes;
    }
  });
}

// Each page of the bytes has the layers of all classes.
function importLayers(engine: Engine, bytes: Uint8Array, { tables }: Sequence): void {
  const { classes, layers } = engine.layout.kv;
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  const pageBytes = classes.reduce((sum, of) => sum + of.pageBytes, 0);
  let begin = 0;
  for (const { pageClass, bytes: layerBytes, offset } of layers) {
    const { pages, first } = tables[pageClass] as Sequence["tables"][number];
    pages.forEach((address, i) => {
      const at = (first + i) * pageBytes + begin;
      memory.set(bytes.subarray(at, at + layerBytes), address + offset);
    });
    begin += layerBytes;
  }
}
