// Model files of llama2.c: the header, and the tensors in their fixed order.
import type { ByteSource } from "../source/byte_source.ts";
import { ByteCursor } from "../util/bytes.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import { LLAMA2C_Q8 } from "./gguf/tensor_types.ts";
import { HeaderReader, hasByte } from "./header_reader.ts";
import { unknownFormat } from "./magic.ts";
import type { MetaValue, ModelFile, TensorInfo } from "./model_file.ts";

/** "ak42" as a u32; little-endian, so that the file begins with "24ka". Legacy files have no magic. */
export const LLAMA2C_MAGIC = 0x616b3432;
/** The legacy header: seven i32. */
export const LEGACY_HEADER_BYTES = 28;
/** The header of versions 1 and 2, padded with zeros. */
export const HEADER_BYTES = 256;

// Largest values that are believed: several times those of the largest Llama models. No product of them passes 2^53.
/** Llama 3.1 405B has 16,384. */
export const MAX_DIM = 1 << 17;
/** Llama 3.1 405B has 53,248. */
export const MAX_HIDDEN_DIM = 1 << 19;
/** Llama 3.1 405B has 126. */
export const MAX_LAYERS = 1 << 10;
/** The largest vocabularies have 262,144. */
export const MAX_VOCAB_SIZE = 1 << 22;
/** The longest contexts are 10 M. */
export const MAX_SEQ_LEN = 1 << 24;

/** A llama2.c header, under its own names. */
interface Header {
  /** 0 for legacy files. */
  readonly version: number;
  readonly dim: number;
  readonly hidden_dim: number;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly vocab_size: number;
  readonly seq_len: number;
  /** 1 if the output layer is the token embedding. */
  readonly shared_classifier: number;
  /** Version 2: values that share a scale. */
  readonly group_size?: number;
}

/**
 * Reads the header of a llama2.c model: legacy (version 0), 1 (f32) or 2 (int8 groups). Tensors get their
 * GGUF names. Row order is the one of GGUF files of the same architecture (rotary pairs are adjacent): nothing is
 * permuted. The file must have exactly the size that its header says. If the source does not know its size, `checkEnd`
 * finds out.
 *
 * Source: https://github.com/karpathy/llama2.c export.py, run.c, runq.c.
 * @throws FormatError when the header is no llama2.c header or contradicts the size of the file
 * @throws UnsupportedError for versions above 2
 * @throws SourceError when the bytes cannot be had
 */
export async function readLlama2c(source: ByteSource): Promise<ModelFile> {
  const { name, size } = source;
  const reader = new HeaderReader(source, HEADER_BYTES);
  const head = (await reader.need(LEGACY_HEADER_BYTES)).peek(LEGACY_HEADER_BYTES);
  const legacy = new ByteCursor(head, name).u32() !== LLAMA2C_MAGIC;
  const header = legacy ? legacyHeader(head, name) : versionedHeader(await reader.need(HEADER_BYTES), name);
  const problem = headerProblem(header);
  if (problem !== undefined) {
    throw legacy ? unknownFormat(name, head) : new FormatError(`Cannot read ${name}: ${problem}`);
  }
  const { tensors, end } = layout(header, source);
  const wrongSize = (got: string) => {
    const mismatch = `Expected ${end} bytes for ${summary(header)}, got ${got}`;
    return legacy
      ? unknownFormat(name, head, `If it is a llama2.c file: ${mismatch}`)
      : new FormatError(`Cannot read ${name}: ${mismatch}`);
  };
  if (size !== undefined && size !== end) throw wrongSize(String(size));
  return {
    format: "llama2c",
    source,
    architecture: "llama",
    metadata: new Map(
      Object.entries(header).map(([key, value]): [string, MetaValue] => [key, { type: "i32", value }]),
    ),
    tensors,
    checkEnd: async () => {
      if (await hasByte(source, end)) throw wrongSize("more");
    },
    tokenizer: () => undefined,
  };
}

function legacyHeader(head: Uint8Array, name: string): Header {
  const dims = readDims(new ByteCursor(head, name));
  // A negative vocabulary size says that the output layer is stored at the end.
  const shared_classifier = dims.vocab_size > 0 ? 1 : 0;
  return { version: 0, ...dims, vocab_size: Math.abs(dims.vocab_size), shared_classifier };
}

function versionedHeader(cursor: ByteCursor, name: string): Header {
  cursor.skip(4);
  const version = cursor.i32();
  if (version !== 1 && version !== 2) {
    throw new UnsupportedError(
      `Cannot read ${name}: Expected llama2.c version 1 or 2, got version ${version}`,
    );
  }
  const header = { version, ...readDims(cursor), shared_classifier: cursor.u8() };
  return version === 2 ? { ...header, group_size: cursor.i32() } : header;
}

function readDims(cursor: ByteCursor) {
  const [dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len] = Array.from(
    { length: 7 },
    () => cursor.i32(),
  ) as [number, number, number, number, number, number, number];
  return { dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len };
}

/** What is wrong with a header, or undefined. */
function headerProblem(header: Header): string | undefined {
  const { dim, n_heads, n_kv_heads, group_size, shared_classifier } = header;
  const limits = [
    ["dim", MAX_DIM],
    ["hidden_dim", MAX_HIDDEN_DIM],
    ["n_layers", MAX_LAYERS],
    ["n_heads", dim],
    ["n_kv_heads", n_heads],
    ["vocab_size", MAX_VOCAB_SIZE],
    ["seq_len", MAX_SEQ_LEN],
  ] as const;
  for (const [key, max] of limits) {
    if (!(header[key] >= 1 && header[key] <= max))
      return `Expected ${key} from 1 to ${max}, got ${header[key]}`;
  }
  if (dim % (2 * n_heads) !== 0) {
    return `Expected dim to be an even multiple of n_heads, got ${dim} and ${n_heads}`;
  }
  if (n_heads % n_kv_heads !== 0) {
    return `Expected n_heads to be a multiple of n_kv_heads, got ${n_heads} and ${n_kv_heads}`;
  }
  if (shared_classifier > 1) return `Expected shared_classifier 0 or 1, got ${shared_classifier}`;
  if (group_size !== undefined && !(group_size >= 1 && dim % group_size === 0)) {
    return `Expected group_size to divide dim ${dim}, got ${group_size}`;
  }
  return undefined;
}

type TensorName = keyof ReturnType<typeof shapesOf>;

const f32Order: readonly TensorName[] = [
  "attn_norm",
  "ffn_norm",
  "output_norm",
  "token_embd",
  "attn_q",
  "attn_k",
  "attn_v",
  "attn_output",
  "ffn_gate",
  "ffn_down",
  "ffn_up",
  "output",
];

/** Tensors in the order of the file; those of layers stand there for all layers, one after the other. */
const orders: Readonly<Record<number, readonly TensorName[]>> = {
  0: [
    "token_embd",
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_down",
    "ffn_up",
    "output_norm",
    "freq_cis_real",
    "freq_cis_imag",
    "output",
  ],
  1: f32Order,
  2: f32Order,
};

/** Shapes as in GGUF: [rows, cols], or [n] of vectors. w1, w2, w3 are ffn_gate, ffn_down, ffn_up. */
function shapesOf({ dim, hidden_dim, n_heads, n_kv_heads, vocab_size, seq_len }: Header) {
  const headSize = dim / n_heads;
  return {
    token_embd: [vocab_size, dim],
    attn_norm: [dim],
    attn_q: [dim, dim],
    attn_k: [n_kv_heads * headSize, dim],
    attn_v: [n_kv_heads * headSize, dim],
    attn_output: [dim, dim],
    ffn_norm: [dim],
    ffn_gate: [hidden_dim, dim],
    ffn_down: [dim, hidden_dim],
    ffn_up: [hidden_dim, dim],
    output_norm: [dim],
    /** Rotation tables. They are in the file, but cria computes them: they are not tensors of the model. */
    freq_cis_real: [seq_len, headSize / 2],
    freq_cis_imag: [seq_len, headSize / 2],
    output: [vocab_size, dim],
  };
}

function layout(header: Header, source: ByteSource): { tensors: Map<string, TensorInfo>; end: number } {
  const tensors = new Map<string, TensorInfo>();
  const shapes = shapesOf(header);
  let end = header.version === 0 ? LEGACY_HEADER_BYTES : HEADER_BYTES;
  for (const stem of orders[header.version] as readonly TensorName[]) {
    if (stem === "output" && header.shared_classifier === 1) continue;
    for (const name of namesOf(stem, header.n_layers)) {
      const info = { ...tensorAt(end, name, shapes[stem], header.group_size), source };
      end += info.byteLength + (info.scales?.byteLength ?? 0);
      if (!stem.startsWith("freq_cis")) tensors.set(name, info);
    }
  }
  return { tensors, end };
}

function namesOf(stem: TensorName, nLayers: number): string[] {
  if (!stem.startsWith("attn_") && !stem.startsWith("ffn_")) return [`${stem}.weight`];
  return Array.from({ length: nLayers }, (_, layer) => `blk.${layer}.${stem}.weight`);
}

/** In version 2 matrices are all their int8 values, then the f32 scales of their groups; vectors are f32. */
function tensorAt(
  offset: number,
  name: string,
  shape: readonly number[],
  groupSize?: number,
): Omit<TensorInfo, "source"> {
  const n = shape.reduce((product, dim) => product * dim, 1);
  if (groupSize === undefined || shape.length === 1)
    return { name, shape, type: "F32", offset, byteLength: 4 * n };
  const scales = { offset: offset + n, byteLength: (4 * n) / groupSize, groupSize };
  return { name, shape, type: LLAMA2C_Q8, offset, byteLength: n, scales };
}

function summary(header: Header): string {
  return Object.entries(header)
    .map(([key, value]) => `${key} ${value}`)
    .join(", ");
}
