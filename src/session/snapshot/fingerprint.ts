// What a snapshot is bound to: everything that the bits of a continuation depend on.
import type { Engine } from "../../engine/engine.ts";
import type { Matrix, Vector } from "../../model/weights/weights.ts";
import type { Tokenizer } from "../../tokenizer/core/tokenizer.ts";
import { Sha256 } from "../../util/sha256.ts";

/**
 * Version of the arithmetic: raised whenever a change makes the same model give other bits, so that no snapshot
 * goes on with keys and values that this version would not have computed. A test ties it to the golden hashes.
 */
export const NUMERICS_VERSION = 2;

/** What a continuation's bits depend on, by name. */
export type Settings = Readonly<Record<string, string | number>>;

// Bytes that are read of each weight, evenly spread; small ones are read whole.
const PROBE_BYTES = 64;
const PROBES = 64;

const utf8 = new TextEncoder();

function weightBytes(weight: Matrix | Vector): number {
  if (weight.kind === "vector") return 4 * weight.length;
  return weight.strips * weight.blocks * weight.format.tileBytes;
}

// Models that differ, differ in most blocks of the tensors that were trained: a part of each tensor tells them apart,
// and takes milliseconds, while all of it would take a minute for the largest.
function weightsHash(engine: Engine): string {
  const hash = new Sha256();
  const memory = new Uint8Array(engine.kernel.memory.buffer);
  for (const weight of engine.layout.weights.all) {
    const { name, shape, type } = weight.info;
    const bytes = weightBytes(weight);
    hash.update(utf8.encode(JSON.stringify([name, shape, type, bytes])));
    const step = Math.max(PROBE_BYTES, Math.floor((bytes - PROBE_BYTES) / (PROBES - 1)));
    for (let at = 0; at < bytes; at += step) {
      const begin = weight.address + at;
      hash.update(memory.subarray(begin, begin + Math.min(PROBE_BYTES, bytes - at)));
    }
  }
  return hash.hex();
}

function tokenizerHash(tokenizer: Tokenizer): string {
  const hash = new Sha256();
  const { vocabSize, bosId, eosIds } = tokenizer;
  hash.update(utf8.encode(JSON.stringify([vocabSize, bosId, eosIds])));
  for (let id = 0; id < vocabSize; id++) {
    hash.update(utf8.encode(tokenizer.piece(id)));
    hash.update(tokenizer.bytes(id, { special: true }));
  }
  return hash.hex();
}

const known = new WeakMap<Engine, Settings>();

/** Everything that the bits of a continuation depend on besides the tokens so far and the sampling. */
export function settingsOf(engine: Engine, tokenizer: Tokenizer): Settings {
  let settings = known.get(engine);
  if (!settings) {
    const { config, weights, kv, contextLength } = engine.layout;
    const formats = new Set(
      weights.all.map((weight) => (weight.kind === "matrix" ? weight.format.name : "f32")),
    );
    settings = {
      numerics: NUMERICS_VERSION,
      ...config,
      precision: [...formats].sort().join("+"),
      kv: kv.type,
      contextLength,
      weights: weightsHash(engine),
      tokenizer: tokenizerHash(tokenizer),
    };
    known.set(engine, settings);
  }
  return settings;
}
