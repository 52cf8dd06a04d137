// Engines and models of the tiny random Llama, and hashes of logits.
import { createHash } from "node:crypto";
import { Engine, type EngineOptions } from "../../src/engine/engine.ts";
import type { Layout } from "../../src/engine/layout.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";
import { CHAT_MODEL, embeddedModelUrl } from "../../src/package.ts";
import { bytesSource } from "../../src/source/bytes.ts";

/** The embedded model. */
export const embeddedModel = embeddedModelUrl();

/** The embedded model that talks. */
export const chatModel = embeddedModelUrl(CHAT_MODEL);

/** The path of {@link embeddedModel} in the repository and in the package, with slashes: "models/tales/...". */
export const embeddedName = embeddedModel.href.slice(new URL("../..", import.meta.url).href.length);

/** An engine over a model file in memory; one thread unless options say otherwise. */
export async function engineOf(bytes: Uint8Array, options: EngineOptions = {}): Promise<Engine> {
  return Engine.create(await openModelFile(bytesSource(bytes)), { threads: 1, ...options });
}

/** Bytes of KV_PAGE positions of all layers. */
export function pageBytesOf({ kv }: Pick<Layout, "kv">): number {
  return kv.classes.reduce((sum, { pageBytes }) => sum + pageBytes, 0);
}

/** Logits after every id, from an empty cache, in steps of the given sizes (the last size repeats). */
export async function allLogits(
  engine: Engine,
  ids: readonly number[],
  steps: readonly number[],
  sequence: Sequence = engine.sequence(),
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  for (let begin = 0, i = 0; begin < ids.length; i++) {
    const size = steps[Math.min(i, steps.length - 1)] as number;
    const end = Math.min(begin + size, ids.length);
    await engine.step([{ sequence, ids, begin, end, outputs: "all" }], () => {
      for (let row = 0; row < end - begin; row++) rows.push(engine.logits(row).slice());
    });
    begin = end;
  }
  return rows;
}

/** SHA-256 of the bits of logits, one row after the other. */
export function hashLogits(rows: readonly Float32Array[]): string {
  const hash = createHash("sha256");
  for (const row of rows) hash.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
  return hash.digest("hex");
}

/** Deterministic ids in [0, vocabSize). */
export function someIds(n: number, vocabSize: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: n }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % vocabSize;
  });
}
