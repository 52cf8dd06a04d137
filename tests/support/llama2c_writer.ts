// Writes llama2.c models of all three versions, with the weights that the tiny GGUF model has for the same
// seed, and llama2.c's tokenizer.bin. The layout follows karpathy/llama2.c export.py and tokenizer.py.
import { ByteWriter, TINY, type TinyWeight, tinyValues } from "./gguf_writer.ts";

/** The seven numbers of a header, under llama2.c's names and in its order. */
export interface Llama2cConfig {
  readonly dim: number;
  readonly hidden_dim: number;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly vocab_size: number;
  readonly seq_len: number;
}

export interface Llama2cOptions {
  /** Default 0, the legacy format. */
  readonly version?: 0 | 1 | 2;
  /** Version 2: values that share a scale. Default 32. */
  readonly groupSize?: number;
  readonly config?: Partial<Llama2cConfig>;
  /** Whether the output layer is the token embedding. Default true. */
  readonly shared?: boolean;
  /** Default 1. */
  readonly seed?: number;
}

export interface Llama2cFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** By GGUF name, as read back from the file. */
  readonly weights: ReadonlyMap<string, TinyWeight>;
}

const tinyConfig: Llama2cConfig = {
  dim: TINY.dim,
  hidden_dim: TINY.hiddenDim,
  n_layers: TINY.nLayers,
  n_heads: TINY.nHeads,
  n_kv_heads: TINY.nKvHeads,
  vocab_size: TINY.vocabSize,
  seq_len: TINY.contextLength,
};

/** Writes a model file. */
export function llama2cFile(options: Llama2cOptions = {}): Llama2cFile {
  const { version = 0, groupSize = 32, shared = true, seed = 1 } = options;
  const config = { ...tinyConfig, ...options.config };
  const { dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len } = config;
  const headSize = dim / n_heads;
  const kvDim = headSize * n_kv_heads;
  const writer = new ByteWriter();
  const weights = new Map<string, TinyWeight>();

  const tensor = (name: string, shape: readonly number[]) => {
    const values = tinyValues(name, shape, seed);
    if (version === 2 && shape.length === 2) {
      weights.set(name, { shape, type: "Q8_G", values: putGroups(writer, values, groupSize) });
    } else {
      writer.f32s(values);
      weights.set(name, { shape, type: "F32", values });
    }
  };
  const layers = (stem: string, shape: readonly number[]) => {
    for (let layer = 0; layer < n_layers; layer++) tensor(`blk.${layer}.${stem}.weight`, shape);
  };
  const embedding = () => tensor("token_embd.weight", [vocab_size, dim]);
  const norm = () => tensor("output_norm.weight", [dim]);
  const output = () => {
    if (!shared) tensor("output.weight", [vocab_size, dim]);
  };
  const attention = () => {
    layers("attn_q", [dim, dim]);
    layers("attn_k", [kvDim, dim]);
    layers("attn_v", [kvDim, dim]);
    layers("attn_output", [dim, dim]);
  };
  const feedForward = () => {
    layers("ffn_gate", [hidden_dim, dim]);
    layers("ffn_down", [dim, hidden_dim]);
    layers("ffn_up", [hidden_dim, dim]);
  };

  if (version === 0) {
    putConfig(writer, { ...config, vocab_size: shared ? vocab_size : -vocab_size });
    embedding();
    layers("attn_norm", [dim]);
    attention();
    layers("ffn_norm", [dim]);
    feedForward();
    norm();
    for (const table of freqCis(seq_len, headSize)) writer.f32s(table);
    output();
  } else {
    writer.scalar("u32", 0x616b3432);
    writer.scalar("i32", version);
    putConfig(writer, config);
    writer.scalar("u8", shared ? 1 : 0);
    if (version === 2) writer.scalar("i32", groupSize);
    writer.pad(256);
    layers("attn_norm", [dim]);
    layers("ffn_norm", [dim]);
    norm();
    embedding();
    attention();
    feedForward();
    output();
  }
  return { bytes: writer.done(), weights };
}

function putConfig(writer: ByteWriter, config: Llama2cConfig): void {
  for (const key of Object.keys(tinyConfig) as (keyof Llama2cConfig)[]) writer.scalar("i32", config[key]);
}

/** int8 values, then f32 scales; returns what they stand for. */
function putGroups(writer: ByteWriter, values: Float32Array, groupSize: number): Float32Array {
  const scales = new Float32Array(values.length / groupSize);
  const quants = new Int8Array(values.length);
  const read = new Float32Array(values.length);
  for (let group = 0; group < scales.length; group++) {
    const begin = group * groupSize;
    let most = 0;
    for (let i = begin; i < begin + groupSize; i++) most = Math.max(most, Math.abs(values[i] as number));
    scales[group] = most / 127;
    const scale = scales[group] as number;
    for (let i = begin; i < begin + groupSize; i++) {
      quants[i] = scale === 0 ? 0 : Math.round((values[i] as number) / scale);
      read[i] = (quants[i] as number) * scale;
    }
  }
  writer.put(new Uint8Array(quants.buffer));
  writer.f32s(scales);
  return read;
}

/** Cosines and sines of the rotary angles, [seqLen, headSize / 2] each. */
function freqCis(seqLen: number, headSize: number): [Float32Array, Float32Array] {
  const half = headSize / 2;
  const angle = (i: number) => Math.floor(i / half) / 10000 ** ((2 * (i % half)) / headSize);
  const table = (f: (x: number) => number) =>
    Float32Array.from({ length: seqLen * half }, (_, i) => f(angle(i)));
  return [table(Math.cos), table(Math.sin)];
}

/**
 * llama2.c's tokenizer.bin: the length of the longest piece, then score, length and bytes of each. Spaces are
 * spaces there, and bos and eos are spelled between newlines.
 */
export function tokenizerBin(vocab: {
  pieces: readonly string[];
  scores: ArrayLike<number>;
}): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  const encoded = vocab.pieces.map((piece, id) =>
    new TextEncoder().encode(id === 1 || id === 2 ? `\n${piece}\n` : piece.replaceAll("▁", " ")),
  );
  writer.scalar("u32", Math.max(...encoded.map((bytes) => bytes.length)));
  encoded.forEach((bytes, id) => {
    writer.scalar("f32", vocab.scores[id] as number);
    writer.scalar("u32", bytes.length);
    writer.put(bytes);
  });
  return writer.done();
}
