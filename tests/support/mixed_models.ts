// Tiny models whose matrices are of several types, as the mixes of llama.cpp's quantizer are; blocks are random and valid.
import { type TinyLlamaOptions, tinyLlamaGguf } from "./gguf_writer.ts";

/** Columns are whole blocks of the widest types, 256. */
const shape = { dim: 256, nLayers: 2, hiddenDim: 768, vocabSize: 17 * 32 + 16, contextLength: 128 };

/** Ids that the models have. */
export const MIXED_VOCAB = shape.vocabSize;

const mixes = {
  // Q6_K where it matters most: values and the way down in some layers, and the output.
  Q4_K_M: {
    type: "Q4_K",
    tensors: { "blk.0.attn_v": "Q6_K", "blk.0.ffn_down": "Q6_K", output: "Q6_K" },
  },
  Q6_K: { type: "Q6_K", tensors: {} },
  IQ4_NL: {
    type: "IQ4_NL",
    tensors: { "blk.0.attn_v": "Q5_K", "blk.1.ffn_down": "Q5_K", output: "Q6_K" },
  },
  // As files of experts have them: attention and embedding in 8 bits.
  MXFP4: {
    type: "MXFP4",
    tensors: { token_embd: "Q8_0", "blk.0.attn_q": "Q8_0", "blk.1.attn_output": "Q8_0", output: "Q8_0" },
  },
  Q4_0: { type: "Q4_0", tensors: { "blk.0.attn_k": "Q4_1", "blk.1.ffn_up": "Q5_0", output: "Q6_K" } },
} as const satisfies Record<string, { type: string; tensors: Readonly<Record<string, string>> }>;

/** Names of the mixes. */
export type Mix = keyof typeof mixes;

/** All of them. */
export const mixNames = Object.keys(mixes) as readonly Mix[];

// Random blocks take longer to write than models to load.
const written = new Map<Mix, Uint8Array<ArrayBuffer>>();

/** The model of a mix as a GGUF file: the same bytes in every runtime. Callers share them. */
export function mixedModel(mix: Mix): Uint8Array<ArrayBuffer> {
  let bytes = written.get(mix);
  if (bytes === undefined) {
    const { type, tensors } = mixes[mix];
    const types = Object.entries(tensors).map(([name, type]) => [`${name}.weight`, { type }] as const);
    const options: TinyLlamaOptions = { ...shape, type, tensors: Object.fromEntries(types) };
    bytes = tinyLlamaGguf(options).bytes;
    written.set(mix, bytes);
  }
  return bytes;
}
