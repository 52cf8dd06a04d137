import { BLOCK_COLS, PADDED_ROWS, TILE_ROWS } from "../../assembly/layout/blocks.ts";
import { assertTensorType } from "../format/gguf/tensor_types.ts";
import type { ModelFile, TensorInfo } from "../format/model_file.ts";
import type { Arena } from "../kernels/arena.ts";
import { naturalPrecision, weightFormats } from "../quant/registry.ts";
import type { WeightFormat } from "../quant/weight_format.ts";
import { quoted } from "../util/bytes.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import type { ModelConfig, Precision } from "./config.ts";

/** A weight matrix in linear memory: [strips * TILE_ROWS, blocks * BLOCK_COLS], zero-padded; strips are even. */
export interface Matrix {
  readonly kind: "matrix";
  readonly info: TensorInfo;
  readonly format: WeightFormat;
  readonly address: number;
  readonly rows: number;
  readonly cols: number;
  readonly strips: number;
  readonly blocks: number;
}

/** A vector of f32 in linear memory: norm weights, rope factors. */
export interface Vector {
  readonly kind: "vector";
  readonly info: TensorInfo;
  readonly address: number;
  readonly length: number;
}

/** Weights of one transformer layer. */
export interface LayerWeights {
  readonly attnNorm: Vector;
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  readonly attnOutput: Matrix;
  readonly ffnNorm: Vector;
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

/** Where every weight of a model goes. */
export interface ModelWeights {
  readonly embedding: Matrix;
  readonly layers: readonly LayerWeights[];
  readonly outputNorm: Vector;
  /** The embedding again where the file ties them. */
  readonly output: Matrix;
  /** What each rotary frequency is divided by (Llama 3.1 and later); f32 [headDim / 2]. */
  readonly ropeFactors: Vector | undefined;
  /** Each tensor once, in the order of the file. */
  readonly all: readonly (Matrix | Vector)[];
}

const IGNORED = /^blk\.\d+\.attn_rot_embd\.weight$/;

// The format that keeps what a file's type holds.
function natural(info: TensorInfo | undefined): Precision {
  return naturalPrecision(info?.type);
}

// The matrices of all layers share one format, so that a row of activations is quantized once.
function layerFormat(file: ModelFile, precision: Precision | undefined): WeightFormat {
  if (precision) return weightFormats[precision];
  const inLayers = [...file.tensors.values()].filter(
    (t) => t.shape.length === 2 && t.name.startsWith("blk."),
  );
  const [first, ...rest] = inLayers.map(natural);
  return weightFormats[first && rest.every((name) => name === first) ? first : natural(undefined)];
}

/**
 * Places the weights of a Llama-family model: checks that each tensor is there with the right shape and a type
 * the packer reads, and gives each an address.
 * @throws FormatError for missing tensors and wrong shapes; UnsupportedError for types that cannot be packed
 *   and for tensors that the architecture does not use (biases, experts): ignoring them would change results.
 */
export function placeWeights(
  file: ModelFile,
  config: ModelConfig,
  arena: Arena,
  precision: Precision | undefined,
): ModelWeights {
  const all: (Matrix | Vector)[] = [];
  const used = new Set<string>();

  function find(name: string, shape: readonly number[]): TensorInfo {
    const info = file.tensors.get(name);
    const expected = `Expected shape [${shape.join(", ")}]`;
    if (!info)
      throw new FormatError(`Cannot load tensor ${name} of ${file.source.name}: ${expected}, got none`);
    if (info.shape.length !== shape.length || shape.some((n, i) => info.shape[i] !== n)) {
      throw new FormatError(`Cannot load tensor ${name}: ${expected}, got [${info.shape.join(", ")}]`);
    }
    assertTensorType(info);
    used.add(name);
    return info;
  }

  function matrix(name: string, rows: number, cols: number, format: WeightFormat): Matrix {
    const info = find(name, [rows, cols]);
    const strips = Math.ceil(rows / PADDED_ROWS) * (PADDED_ROWS / TILE_ROWS);
    const blocks = Math.ceil(cols / BLOCK_COLS);
    const address = arena.alloc(strips * blocks * format.tileBytes);
    const placed: Matrix = { kind: "matrix", info, format, address, rows, cols, strips, blocks };
    all.push(placed);
    return placed;
  }

  function vector(name: string, length: number): Vector {
    const info = find(name, [length]);
    const placed: Vector = { kind: "vector", info, address: arena.alloc(4 * length), length };
    all.push(placed);
    return placed;
  }

  const { dim, hiddenDim, headDim, vocabSize } = config;
  const qDim = config.nHeads * headDim;
  const kvDim = config.nKvHeads * headDim;
  const inLayer = layerFormat(file, precision);
  const outside = (name: string) => weightFormats[precision ?? natural(file.tensors.get(name))];
  const embedding = matrix("token_embd.weight", vocabSize, dim, outside("token_embd.weight"));
  const layers: LayerWeights[] = [];
  for (let i = 0; i < config.nLayers; i++) {
    const blk = (name: string) => `blk.${i}.${name}.weight`;
    layers.push({
      attnNorm: vector(blk("attn_norm"), dim),
      q: matrix(blk("attn_q"), qDim, dim, inLayer),
      k: matrix(blk("attn_k"), kvDim, dim, inLayer),
      v: matrix(blk("attn_v"), kvDim, dim, inLayer),
      attnOutput: matrix(blk("attn_output"), dim, qDim, inLayer),
      ffnNorm: vector(blk("ffn_norm"), dim),
      gate: matrix(blk("ffn_gate"), hiddenDim, dim, inLayer),
      up: matrix(blk("ffn_up"), hiddenDim, dim, inLayer),
      down: matrix(blk("ffn_down"), dim, hiddenDim, inLayer),
    });
  }
  const outputNorm = vector("output_norm.weight", dim);
  const output = file.tensors.has("output.weight")
    ? matrix("output.weight", vocabSize, dim, outside("output.weight"))
    : embedding;
  const ropeFactors = file.tensors.has("rope_freqs.weight")
    ? vector("rope_freqs.weight", headDim / 2)
    : undefined;
  for (const name of file.tensors.keys()) {
    if (!used.has(name) && !IGNORED.test(name)) {
      throw new UnsupportedError(
        `Cannot load tensor ${quoted(name)} of ${file.source.name}: Unsupported by architecture ${config.architecture}; leaving it out would change results`,
      );
    }
  }
  all.sort((a, b) => a.info.offset - b.info.offset);
  return { embedding, layers, outputNorm, output, ropeFactors, all };
}
