// Opens models to measure, from any source, and makes models of random weights that need no file.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { Engine, type EngineOptions } from "../../src/engine/engine.ts";
import { openModelFile } from "../../src/format/detect.ts";
import type { Sequence } from "../../src/model/kv_cache.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { openSource } from "../../src/source/open.ts";
import type { SourceLike } from "../../src/source/options.ts";
import { type GgufTensor, ggufFile, meta, tensorBytes } from "../../tests/support/gguf_writer.ts";
import { greedyDecoder, someIds } from "../models.ts";

/** Loads a model without its tokenizer. */
export async function openEngine(source: SourceLike, options: EngineOptions): Promise<Engine> {
  const opened = await openSource(source, detectRuntime());
  try {
    return await Engine.create(await openModelFile(opened), options);
  } finally {
    await opened.close();
  }
}

/** The shape of a Llama with random weights. */
export interface Shape {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly vocabSize: number;
  readonly contextLength: number;
}

/** llama2.c's stories110M. */
export const shape110m: Shape = {
  dim: 768,
  hiddenDim: 2048,
  nLayers: 12,
  nHeads: 12,
  nKvHeads: 12,
  vocabSize: 32000,
  contextLength: 1024,
};

const Q8_BLOCK_BYTES = 34;
// f16 2^-12: weights of up to 0.03.
const Q8_SCALE = 3 << 10;

// Q8_0 blocks with one scale and pseudo-random values, the same in every run.
function randomBlocks(size: number): Uint8Array {
  const blocks = new Uint8Array(size);
  let state = 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    blocks[i] = state >>> 24;
  }
  const view = new DataView(blocks.buffer);
  for (let i = 0; i < size; i += Q8_BLOCK_BYTES) view.setUint16(i, Q8_SCALE, true);
  return blocks;
}

function ones(n: number): Uint8Array {
  return new Uint8Array(new Float32Array(n).fill(1).buffer);
}

/** A GGUF file of this shape in Q8_0. Its output is tied to the embedding, and it has no tokenizer. */
export function shapeModel(shape: Shape): Uint8Array {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, contextLength } = shape;
  const kvDim = (dim / nHeads) * nKvHeads;
  const most = tensorBytes("Q8_0", [Math.max(vocabSize, hiddenDim, dim), dim]);
  const blocks = randomBlocks(most);
  const matrix = (name: string, rows: number, cols: number): GgufTensor => {
    const data = blocks.subarray(0, tensorBytes("Q8_0", [rows, cols]));
    return { name: `${name}.weight`, shape: [rows, cols], type: "Q8_0", data };
  };
  const norm = (name: string): GgufTensor => {
    return { name: `${name}.weight`, shape: [dim], type: "F32", data: ones(dim) };
  };
  const layers = Array.from({ length: nLayers }, (_, i) => [
    norm(`blk.${i}.attn_norm`),
    matrix(`blk.${i}.attn_q`, dim, dim),
    matrix(`blk.${i}.attn_k`, kvDim, dim),
    matrix(`blk.${i}.attn_v`, kvDim, dim),
    matrix(`blk.${i}.attn_output`, dim, dim),
    norm(`blk.${i}.ffn_norm`),
    matrix(`blk.${i}.ffn_gate`, hiddenDim, dim),
    matrix(`blk.${i}.ffn_up`, hiddenDim, dim),
    matrix(`blk.${i}.ffn_down`, dim, hiddenDim),
  ]);
  return ggufFile({
    metadata: [
      ["general.architecture", meta("string", "llama")],
      ["llama.context_length", meta("u32", contextLength)],
      ["llama.embedding_length", meta("u32", dim)],
      ["llama.block_count", meta("u32", nLayers)],
      ["llama.feed_forward_length", meta("u32", hiddenDim)],
      ["llama.attention.head_count", meta("u32", nHeads)],
      ["llama.attention.head_count_kv", meta("u32", nKvHeads)],
      ["llama.attention.layer_norm_rms_epsilon", meta("f32", 1e-5)],
    ],
    tensors: [matrix("token_embd", vocabSize, dim), ...layers.flat(), norm("output_norm")],
  }).bytes;
}

let made110m: Uint8Array | undefined;

/** A model of {@link shape110m}, made once. */
export function model110m(): Uint8Array {
  made110m ??= shapeModel(shape110m);
  return made110m;
}

/** A sequence whose first `position` positions hold zeros. Its pages were written, so timing them is realistic. */
export function sequenceAt(engine: Engine, position: number): Sequence {
  const sequence = engine.sequence();
  for (let n = 0; sequence.length < position; sequence.advance(n)) {
    n = Math.min(KV_PAGE, position - sequence.length);
    sequence.reserve(n);
  }
  sequence.tables.forEach(({ pages }, i) => {
    const { pageBytes } = engine.pool.classes[i]!;
    for (const page of pages) new Uint8Array(engine.kernel.memory.buffer, page, pageBytes).fill(0);
  });
  return sequence;
}

/** A call that decodes `tokens` tokens from `position` on. It can be repeated. */
export function decoder(engine: Engine, position: number, tokens: number): () => Promise<void> {
  const ids = someIds(position + 1, engine.layout.config.vocabSize);
  return greedyDecoder(engine, sequenceAt(engine, position), ids, tokens);
}

/** A call that runs a prompt of `tokens` tokens from an empty cache. */
export function prefiller(engine: Engine, tokens: number): () => Promise<void> {
  const ids = someIds(tokens, engine.layout.config.vocabSize);
  return async () => {
    const sequence = engine.sequence();
    await engine.prefill(sequence, ids, () => {});
    sequence.free();
  };
}

/** Ends an engine's threads. */
export function close(engine: Engine): void {
  engine.retire(new Error("the measurement is over"));
}
