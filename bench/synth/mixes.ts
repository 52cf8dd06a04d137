// Which tensor types native llama.cpp's quantizer gives to the matrices of a Llama model, for the names of files that people
// download. The rules are those of llama.cpp's src/llama-quant.cpp (llama_tensor_get_type) for models without experts and
// without an importance matrix.
import type { BlockTypeName } from "./blocks.ts";

/** A place of a matrix in a model. */
export interface Place {
  /** The tensor's name in GGUF. */
  readonly tensor: string;
  readonly layer: number;
  readonly nLayers: number;
  /** Query heads for each head of keys and values. */
  readonly kvMul: number;
  /** Whether the embedding is the output matrix too. */
  readonly tied: boolean;
  /** Without it 0. */
  readonly nExperts?: number;
}

/** A name of a quantized file. */
export interface Mix {
  /** `general.file_type`. */
  readonly code: number;
  readonly base: BlockTypeName;
  /** The type of a matrix of a layer, if it is not the base. */
  readonly layer?: (place: Place) => BlockTypeName | undefined;
  /** The type of the output matrix, if it is not Q6_K. */
  readonly output?: BlockTypeName;
}

// Layers that get more bits: the first and last eighth, and every third between them.
function moreBits({ layer, nLayers }: Place): boolean {
  const eighth = Math.floor(nLayers / 8);
  return layer < eighth || layer >= Math.floor((7 * nLayers) / 8) || (layer - eighth) % 3 === 2;
}

function isValue({ tensor }: Place): boolean {
  return tensor.endsWith("attn_v.weight");
}

function isDown({ tensor }: Place): boolean {
  return tensor.includes("ffn_down");
}

// Eight experts share one attention, which therefore gets more bits.
function besideExperts({ tensor, nExperts }: Place): BlockTypeName | undefined {
  if (nExperts !== 8) return undefined;
  if (tensor.endsWith("attn_output.weight")) return "Q5_K";
  return /attn_[kv]\.weight$/.test(tensor) ? "Q8_0" : undefined;
}

function medium(place: Place): BlockTypeName | undefined {
  const beside = besideExperts(place);
  if (beside) return beside;
  return (isValue(place) || isDown(place)) && moreBits(place) ? "Q6_K" : undefined;
}

function nonLinear(place: Place): BlockTypeName | undefined {
  const value = isValue(place) && place.kvMul >= 4;
  const down = isDown(place) && place.layer < Math.floor(place.nLayers / 8);
  return value || down ? "Q5_K" : undefined;
}

/** Mixes by name. */
export const mixes = {
  q4_k_m: { code: 15, base: "Q4_K", layer: medium },
  q5_k_m: { code: 17, base: "Q5_K", layer: medium },
  q6_k: { code: 18, base: "Q6_K" },
  iq4_xs: { code: 30, base: "IQ4_XS", layer: nonLinear },
  q4_0_q6_k: { code: 2, base: "Q4_0" },
  q8_0: { code: 7, base: "Q8_0", output: "Q8_0" },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof mixes;

/** The tensor type of a matrix in a mix. */
export function typeIn(name: MixName, place: Place): BlockTypeName {
  const mix: Mix = mixes[name];
  const output = place.tied ? "token_embd.weight" : "output.weight";
  if (place.tensor === output) return mix.output ?? "Q6_K";
  return mix.layer?.(place) ?? mix.base;
}
