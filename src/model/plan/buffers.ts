// Buffers that a plan works on besides weights and the KV cache, and their addresses.
import { ACT_TOKENS, BLOCK_COLS, PADDED_ROWS } from "../../../assembly/layout/blocks.ts";
import type { Arena } from "../../kernels/arena.ts";
import type { KvType } from "../../quant/kv_types.ts";
import { weightFormats } from "../../quant/registry.ts";
import type { Model } from "../arch/spec.ts";
import { distinctRopes, type RopeTable } from "../rope.ts";
import { type LayerWeights, type Matrix, sharedInputs } from "../weights/weights.ts";

/** Rows of equal length, `stride` bytes apart. */
export interface Rows {
  readonly address: number;
  readonly stride: number;
}

/** Addresses of what a plan works on, and the strides between its rows. */
export interface Buffers {
  /** Hidden states, f32 [batch][dim]. */
  readonly x: Rows;
  /** Activations in the format of the next matmul [batch]. */
  readonly act: Rows;
  /** The same in another format each, if matrices with the same input take several formats. */
  readonly moreActs: readonly Rows[];
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  /** Attention's result, f32 [batch][nHeads * headDim]; the padding stays zero. */
  readonly attention: Rows;
  readonly gate: Rows;
  readonly up: Rows;
  /** f32 [outputs][vocabSize]. */
  readonly logits: Rows;
  /** Frequencies and angles of each rotation of the model. */
  readonly ropes: readonly RopeTable[];
  /** i32 tables of gqa.ts. */
  readonly heads: number;
  readonly groups: number;
}

/** Where keys and values lie inside a page. */
export interface KvShape {
  readonly type: KvType;
  /** Bytes of one kv head of one layer in a page. */
  readonly headBytes: number;
}

/** Gives every buffer its address, for steps of at most `batch` tokens and `outputs` rows of logits. */
export function placeBuffers(
  { config, layers: specs }: Model,
  layers: readonly LayerWeights[],
  arena: Arena,
  batch: number,
  outputs: number,
): Buffers {
  const { dim, hiddenDim, headDim, nHeads, nKvHeads, vocabSize } = config;
  // Kernels of several tokens compute ACT_TOKENS at a time.
  const rows = (n: number, count: number, pad: number): Rows => {
    const stride = 4 * padded(n, pad);
    return { address: arena.alloc(stride * (count > 1 ? padded(count, ACT_TOKENS) : 1)), stride };
  };
  const actBlocks = padded(Math.max(dim, hiddenDim, nHeads * headDim), BLOCK_COLS) / BLOCK_COLS;
  const actStride =
    actBlocks * Math.max(...Object.values(weightFormats).map((format) => format.activationBlockBytes));
  const acts = (): Rows => ({
    address: arena.alloc(actStride * padded(batch, ACT_TOKENS)),
    stride: actStride,
  });
  const formats = layers.flatMap((layer) => sharedInputs(layer).map((inputs) => actFormats(inputs).length));
  return {
    x: rows(dim, batch, BLOCK_COLS),
    act: acts(),
    moreActs: Array.from({ length: Math.max(0, ...formats.map((n) => n - 1)) }, acts),
    q: rows(nHeads * headDim, batch, PADDED_ROWS),
    k: rows(nKvHeads * headDim, batch, PADDED_ROWS),
    v: rows(nKvHeads * headDim, batch, PADDED_ROWS),
    attention: rows(nHeads * headDim, batch, BLOCK_COLS),
    gate: rows(hiddenDim, batch, PADDED_ROWS),
    up: rows(hiddenDim, batch, PADDED_ROWS),
    logits: rows(vocabSize, outputs, PADDED_ROWS),
    ropes: distinctRopes(specs.map(({ attention }) => attention.rope)).map((rope) => ({
      rope,
      freqs: arena.alloc(2 * rope.dim),
      angles: arena.alloc(4 * rope.dim * batch),
    })),
    heads: arena.alloc(4 * nHeads),
    groups: arena.alloc(4 * (nKvHeads + 1)),
  };
}

/** ACT_* of the activations that some matrices take, each once. */
export function actFormats(matrices: readonly Matrix[]): number[] {
  return [...new Set(matrices.map(({ format }) => format.activation))];
}

function padded(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
