// Writes safetensors files, and folders as Hugging Face stores Llama in them.

import { fixtureBytes } from "./fixtures.ts";
import type { TinyWeight } from "./gguf_writer.ts";
import { encodeTensor, TINY, type TinyLlamaOptions, tinyLlama } from "./gguf_writer.ts";

/** A tensor to write; `shape` is outermost first. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A file that begins with this header, whatever it says, before these bytes. */
export function withHeader(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** Writes a safetensors file: tensors one after the other. */
export function safetensorsFile(tensors: readonly StoredTensor[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  const all = new Uint8Array(end);
  let at = 0;
  for (const { data } of tensors) {
    all.set(data, at);
    at += data.length;
  }
  return withHeader(JSON.stringify(header), all);
}

/** Names that Hugging Face gives to tensors of Llama, by their stems in GGUF. */
const names: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

function storedName(gguf: string): string {
  const [, layer, stem = "", suffix] = /^(?:blk\.(\d+)\.)?(\w+)\.(\w+)$/.exec(gguf) ?? [];
  return `${layer === undefined ? "" : `model.layers.${layer}.`}${names[stem]}.${suffix}`;
}

/** Rows of adjacent rotary pairs in the order of halves: the first values of all pairs of a head, then the others. */
export function inHalves(values: Float32Array, rows: number, headDim: number): Float32Array {
  const cols = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const at = row % headDim;
    const to = row - at + (at >> 1) + (at % 2) * (headDim / 2);
    out.set(values.subarray(row * cols, (row + 1) * cols), to * cols);
  }
  return out;
}

/** The vocabulary of the tokenizers in a folder: that of bpe.model and bpe.tokenizer.json. */
export const FOLDER_VOCAB = 800;

/** What a folder is like, besides the weights. */
export interface FolderOptions extends TinyLlamaOptions {
  /** Files of weights; default 1, without an index. */
  readonly shards?: number;
  /** Keys of config.json to add, replace or (undefined) leave out. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Length of a head; default dim / heads. */
  readonly headDim?: number;
}

/** The model of {@link tinyLlama} with the vocabulary of {@link FOLDER_VOCAB}, in a folder as Hugging Face stores it. */
export function tinyFolder(options: FolderOptions = {}): Map<string, Uint8Array<ArrayBuffer>> {
  const { type = "F32", tied = false, shards = 1 } = options;
  const shape = { ...TINY, ...options };
  const headDim = options.headDim ?? shape.dim / shape.nHeads;
  const { weights } = tinyLlama({ ...options, vocabSize: FOLDER_VOCAB });
  const tensors = [...weights].map(([name, weight]) => stored(name, weight, type, headDim));
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const config: Record<string, unknown> = {
    ...{
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_act: "silu",
      torch_dtype: "float32",
    },
    ...{ hidden_size: shape.dim, intermediate_size: shape.hiddenDim, num_hidden_layers: shape.nLayers },
    ...{ num_attention_heads: shape.nHeads, num_key_value_heads: shape.nKvHeads },
    ...{ max_position_embeddings: shape.contextLength, rms_norm_eps: 1e-5, rope_theta: 10000 },
    ...{ vocab_size: FOLDER_VOCAB, tie_word_embeddings: tied, bos_token_id: 1, eos_token_id: 2 },
    ...(options.headDim === undefined ? {} : { head_dim: headDim }),
    ...options.config,
  };
  return new Map([
    ["config.json", json(config)],
    ["tokenizer.model", fixtureBytes("bpe.model")],
    ...(shards === 1
      ? [["model.safetensors", safetensorsFile(tensors)] as const]
      : sharded(tensors, shards, (index) => json(index))),
  ]);
}

function stored(name: string, { shape, values }: TinyWeight, type: string, headDim: number): StoredTensor {
  const paired = /\.attn_[qk]\./.test(name) ? inHalves(values, shape[0] as number, headDim) : values;
  // Of a matrix that was rounded to the type already, nothing is lost; vectors are rounded in both.
  return { name: storedName(name), dtype: type, shape, data: encodeTensor(type, paired) };
}

function sharded(
  tensors: readonly StoredTensor[],
  n: number,
  json: (index: unknown) => Uint8Array<ArrayBuffer>,
): [string, Uint8Array<ArrayBuffer>][] {
  const digits = (i: number) => String(i).padStart(5, "0");
  const weight_map: Record<string, string> = {};
  const files = Array.from({ length: n }, (_, i): [string, Uint8Array<ArrayBuffer>] => {
    const own = tensors.slice(
      Math.floor((i * tensors.length) / n),
      Math.floor(((i + 1) * tensors.length) / n),
    );
    const name = `model-${digits(i + 1)}-of-${digits(n)}.safetensors`;
    for (const tensor of own) weight_map[tensor.name] = name;
    return [name, safetensorsFile(own)];
  });
  return [...files, ["model.safetensors.index.json", json({ metadata: { total_size: 1 }, weight_map })]];
}
