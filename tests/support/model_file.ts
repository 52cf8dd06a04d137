// Model files that are only a header: what a reader would say of a file that is not there.
import assert from "node:assert/strict";
import type { MetaValue, ModelFile, TensorInfo } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { type GgufValue, meta, tensorBytes } from "./gguf_writer.ts";

export interface Header {
  readonly format?: ModelFile["format"];
  readonly architecture?: string;
  /** Keys to add, replace or (undefined) leave out. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  /** Shape and, if it is not F32, type of each tensor, in the order of the file. */
  readonly tensors?: Readonly<Record<string, readonly [readonly number[], string?]>>;
}

/** Hyper-parameters of the smallest Llama that makes sense, in GGUF's words. */
export const llamaKeys: Readonly<Record<string, GgufValue>> = {
  "llama.context_length": meta("u32", 128),
  "llama.embedding_length": meta("u32", 64),
  "llama.block_count": meta("u32", 1),
  "llama.feed_forward_length": meta("u32", 96),
  "llama.attention.head_count": meta("u32", 4),
  "llama.attention.head_count_kv": meta("u32", 2),
  "llama.attention.layer_norm_rms_epsilon": meta("f32", 1e-5),
};

/** A header named "m" with {@link llamaKeys} for GGUF, no keys for llama2.c. */
export function modelHeader(header: Header): ModelFile {
  const { format = "gguf", architecture = "llama", tensors = {} } = header;
  const keys = { ...(format === "gguf" ? llamaKeys : {}), ...header.metadata };
  const infos = new Map<string, TensorInfo>();
  const source = bytesSource(new Uint8Array(0), "m");
  let offset = 0;
  for (const [name, [shape, type = "F32"]] of Object.entries(tensors)) {
    const byteLength = tensorBytes(type, shape);
    infos.set(name, { name, shape, type, source, offset, byteLength });
    offset += byteLength;
  }
  return {
    format,
    architecture,
    source,
    metadata: new Map(
      Object.entries(keys).filter((entry) => entry[1] !== undefined) as [string, MetaValue][],
    ),
    tensors: infos,
    tokenizer: () => undefined,
  };
}

/** Numbers that decide the shapes of a model's tensors. */
export interface Shape {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly vocabSize: number;
}

/** What {@link llamaKeys} say, and a vocabulary of 300. */
const usual: Shape = { dim: 64, hiddenDim: 96, nLayers: 1, nHeads: 4, nKvHeads: 2, vocabSize: 300 };

/** All tensors of a model, matrices of one type, in the order that files of llama.cpp have. */
export function llamaTensors(
  shape: Partial<Shape> = {},
  type = "F32",
): Record<string, readonly [readonly number[], string?]> {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize } = { ...usual, ...shape };
  const kvDim = (dim / nHeads) * nKvHeads;
  const layer = {
    attn_norm: [dim],
    attn_q: [dim, dim],
    attn_k: [kvDim, dim],
    attn_v: [kvDim, dim],
    attn_output: [dim, dim],
    ffn_norm: [dim],
    ffn_gate: [hiddenDim, dim],
    ffn_up: [hiddenDim, dim],
    ffn_down: [dim, hiddenDim],
  };
  const shapes: [string, readonly number[]][] = [["token_embd.weight", [vocabSize, dim]]];
  for (let i = 0; i < nLayers; i++) {
    for (const [stem, shape] of Object.entries(layer)) shapes.push([`blk.${i}.${stem}.weight`, shape]);
  }
  shapes.push(["output_norm.weight", [dim]], ["output.weight", [vocabSize, dim]]);
  return Object.fromEntries(
    shapes.map(([name, shape]) => [name, [shape, shape.length === 1 ? "F32" : type] as const]),
  );
}

/** The keys of a model of another shape than {@link llamaKeys} say. */
export function shapeKeys(shape: Partial<Shape>): Record<string, GgufValue> {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads } = { ...usual, ...shape };
  return {
    "llama.embedding_length": meta("u32", dim),
    "llama.block_count": meta("u32", nLayers),
    "llama.feed_forward_length": meta("u32", hiddenDim),
    "llama.attention.head_count": meta("u32", nHeads),
    "llama.attention.head_count_kv": meta("u32", nKvHeads),
  };
}

/** The header of a Llama of some shape. */
export function shapeHeader(shape: Partial<Shape>, type?: string): ModelFile {
  return modelHeader({ metadata: shapeKeys(shape), tensors: llamaTensors(shape, type) });
}

/** Tensors of a file that is its only source, without that, so that those of two readings compare. */
export function placesOf(file: ModelFile): Map<string, Omit<TensorInfo, "source">> {
  return new Map(
    [...file.tensors].map(([name, { source, ...place }]) => {
      assert.equal(source, file.source, name);
      return [name, place];
    }),
  );
}
