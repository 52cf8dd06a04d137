// Headers of models of other families than Llama, in the shapes of models that people download, made from nothing.
import { type Header, type Tensor, text, u32, u64 } from "./header.ts";

/** A decoder of RMSNorm, gated feed-forward blocks and heads with norms of their own. */
export interface FamilyShape {
  readonly architecture: "gemma3" | "qwen3";
  readonly dim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly contextLength: number;
  readonly ropeTheta: number;
  /** Positions that layers with a window see; gemma3: five of six layers. */
  readonly window?: number;
}

// Types of metadata values in GGUF.
const U32 = 4;
const I32 = 5;
const F32 = 6;
const STRING = 8;
const ARRAY = 9;
// Types of tokens: unknown, control, byte, normal.
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];
const FIRST_PIECE = 259;

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function array(type: number, values: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(type), u64(values.length), ...values]);
}

// A SentencePiece vocabulary: the special pieces, the bytes, and as many words as it takes.
function tokenizerKeys(vocab: number): [string, number, Buffer][] {
  const piece = (id: number) => {
    if (id < 3) return ["<unk>", "<s>", "</s>"][id]!;
    return id < FIRST_PIECE
      ? `<0x${(id - 3).toString(16).toUpperCase().padStart(2, "0")}>`
      : `\u2581w${(id - FIRST_PIECE).toString(36)}`;
  };
  const type = (id: number) => {
    if (id < 3) return id === 0 ? UNKNOWN : CONTROL;
    return id < FIRST_PIECE ? BYTE : NORMAL;
  };
  const ids = Array.from({ length: vocab }, (_, id) => id);
  return [
    ["tokenizer.ggml.model", STRING, text("llama")],
    ["tokenizer.ggml.tokens", ARRAY, array(STRING, ids.map(piece).map(text))],
    [
      "tokenizer.ggml.scores",
      ARRAY,
      array(
        F32,
        ids.map((id) => f32(-id)),
      ),
    ],
    ["tokenizer.ggml.token_type", ARRAY, array(I32, ids.map(type).map(u32))],
    ["tokenizer.ggml.bos_token_id", U32, u32(1)],
    ["tokenizer.ggml.eos_token_id", U32, u32(2)],
    ["tokenizer.ggml.unknown_token_id", U32, u32(0)],
  ];
}

function modelKeys(shape: FamilyShape): [string, number, Buffer][] {
  const { architecture, window } = shape;
  const key = (name: string) => `${architecture}.${name}`;
  return [
    ["general.architecture", STRING, text(architecture)],
    // Changed by the writer of the file.
    ["general.file_type", U32, u32(0)],
    [key("context_length"), U32, u32(shape.contextLength)],
    [key("embedding_length"), U32, u32(shape.dim)],
    [key("block_count"), U32, u32(shape.nLayers)],
    [key("feed_forward_length"), U32, u32(shape.hidden)],
    [key("attention.head_count"), U32, u32(shape.nHeads)],
    [key("attention.head_count_kv"), U32, u32(shape.nKvHeads)],
    [key("attention.key_length"), U32, u32(shape.headDim)],
    [key("attention.value_length"), U32, u32(shape.headDim)],
    [key("attention.layer_norm_rms_epsilon"), F32, f32(1e-6)],
    [key("rope.freq_base"), F32, f32(shape.ropeTheta)],
    ...(window ? ([[key("attention.sliding_window"), U32, u32(window)]] as [string, number, Buffer][]) : []),
  ];
}

function layerTensors(shape: FamilyShape, layer: number): Tensor[] {
  const { dim, headDim, hidden, nHeads, nKvHeads, architecture } = shape;
  const named = (stem: string, ...dims: number[]) => ({ name: `blk.${layer}.${stem}.weight`, dims });
  const both = architecture === "gemma3";
  return [
    named("attn_norm", dim),
    named("attn_q", dim, nHeads * headDim),
    named("attn_k", dim, nKvHeads * headDim),
    named("attn_v", dim, nKvHeads * headDim),
    named("attn_q_norm", headDim),
    named("attn_k_norm", headDim),
    named("attn_output", nHeads * headDim, dim),
    ...(both ? [named("post_attention_norm", dim)] : []),
    named("ffn_norm", dim),
    named("ffn_gate", dim, hidden),
    named("ffn_up", dim, hidden),
    named("ffn_down", hidden, dim),
    ...(both ? [named("post_ffw_norm", dim)] : []),
  ];
}

/** The header of a model whose embedding is its output matrix too. */
export function familyHeader(shape: FamilyShape): Header {
  const keys = [...modelKeys(shape), ...tokenizerKeys(shape.vocab)];
  const layers = Array.from({ length: shape.nLayers }, (_, i) => layerTensors(shape, i));
  return {
    nMetadata: keys.length,
    metadata: Buffer.concat(keys.flatMap(([name, type, value]) => [text(name), u32(type), value])),
    tensors: [
      { name: "token_embd.weight", dims: [shape.dim, shape.vocab] },
      { name: "output_norm.weight", dims: [shape.dim] },
      ...layers.flat(),
    ],
  };
}

/** Shapes by name: those of Gemma 3 1B and Qwen 3 0.6B. */
export const familyShapes = {
  "gemma3-1b": {
    architecture: "gemma3",
    ...{ dim: 1152, nLayers: 26, nHeads: 4, nKvHeads: 1, headDim: 256, hidden: 6912, vocab: 262_144 },
    ...{ contextLength: 8192, ropeTheta: 1_000_000, window: 512 },
  },
  "qwen3-0.6b": {
    architecture: "qwen3",
    ...{ dim: 1024, nLayers: 28, nHeads: 16, nKvHeads: 8, headDim: 128, hidden: 3072, vocab: 151_936 },
    ...{ contextLength: 4096, ropeTheta: 1_000_000 },
  },
} as const satisfies Record<string, FamilyShape>;
