// Which tensor gets which type: the mixes of llama.cpp's quantizer, by the names of tensors.
import type { TensorInfo } from "../format/model_file.ts";
import { type TensorType, tensorTypes } from "../quant/file_types.ts";
import type { FileKind, QuantizeType } from "./file_kinds.ts";

/** What the mix depends on beside the names of tensors. */
export interface MixedModel {
  readonly architecture: string;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly nExperts: number;
}

/** A tensor, as far as its type depends on it. */
export type MixedTensor = Pick<TensorInfo, "name" | "shape" | "type">;

const byName: ReadonlyMap<string, TensorType> = new Map(tensorTypes.map((type) => [type.name, type]));

/** A known tensor type: its number, and the size of its blocks. */
export function tensorType(name: string): TensorType {
  return byName.get(name) as TensorType;
}

/** Tensors in the order of llama.cpp's files: those of no layer first, then layer by layer, by name. */
export function inFileOrder<T extends { readonly name: string }>(tensors: Iterable<T>): T[] {
  return [...tensors].sort(
    (a, b) => layerOf(a.name) - layerOf(b.name) || (a.name < b.name ? -1 : Number(a.name > b.name)),
  );
}

/**
 * The type of each tensor in a file of a kind; `tensors` are in the order of {@link inFileOrder}.
 * Source: llama_tensor_get_type and what it calls, of llama-quant.cpp, without an importance matrix.
 */
export function mixTypes(
  tensors: readonly MixedTensor[],
  name: QuantizeType,
  kind: FileKind,
  model: MixedModel,
): string[] {
  const roles = tensors.map((tensor) => roleOf(tensor.name));
  const mix = new Mix(name, model, {
    nValues: roles.filter((role) => role === "value" || role === "qkv").length,
    tied: !roles.includes("output"),
  });
  return tensors.map((tensor, i) => {
    if (!isQuantized(tensor)) return tensor.type;
    if (!kind.mixed) return kind.type;
    const cols = tensor.shape.at(-1) as number;
    return fitting(mix.choose(tensor, roles[i] as Role, kind.type, cols), cols);
  });
}

type Role = "output" | "embedding" | "qkv" | "value" | "key" | "attention output" | "down" | "other";

const roles: readonly (readonly [string, Role])[] = [
  ["attn_qkv.weight", "qkv"],
  ["attn_kv_b.weight", "qkv"],
  ["attn_v.weight", "value"],
  ["attn_k.weight", "key"],
  ["attn_output.weight", "attention output"],
  ["ffn_down", "down"],
];

function roleOf(name: string): Role {
  if (name === "output.weight") return "output";
  if (name === "token_embd.weight" || name === "per_layer_token_embd.weight") return "embedding";
  return roles.find(([part]) => name.includes(part))?.[1] ?? "other";
}

/** Parts of the names of matrices that keep their type: small ones that matter much. */
const spared = [
  ...["_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel"],
  ...["per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight"],
  ...["indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight"],
  ...["time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight"],
  ...["time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight"],
  ...["time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight"],
  ...["time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd", "sam.pos_embd", "sam.neck."],
  ...["sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd"],
];

function isQuantized({ name, shape }: MixedTensor): boolean {
  if (!name.endsWith("weight") || name === "position_embd.weight" || name === "token_types.weight")
    return false;
  // Matrices only: more than one row.
  if (!shape.slice(0, -1).some((rows) => rows > 1)) return false;
  return !spared.some((part) => name.includes(part));
}

/** A type whose blocks divide rows: the wanted one, or one of about as many bits. */
function fitting(wanted: string, cols: number): string {
  const fits = (type: string) => cols % tensorType(type).blockCols === 0;
  if (fits(wanted)) return wanted;
  const near = smallerBlocks[wanted] ?? wanted;
  return fits(near) ? near : "F16";
}

/** Types of blocks of 256, and what stands in for them. */
const smallerBlocks: Readonly<Record<string, string>> = { Q4_K: "Q5_0", Q5_K: "Q5_1", Q6_K: "Q8_0" };

interface Counts {
  /** Tensors of values, fused ones too. */
  readonly nValues: number;
  /** Whether the embedding is the output matrix. */
  readonly tied: boolean;
}

/** Chooses types one after the other: what a tensor gets depends on how many of its kind came before. */
class Mix {
  readonly #name: QuantizeType;
  readonly #model: MixedModel;
  readonly #counts: Counts;
  #values = 0;
  #downs = 0;

  constructor(name: QuantizeType, model: MixedModel, counts: Counts) {
    this.#name = name;
    this.#model = model;
    this.#counts = counts;
  }

  choose({ name }: MixedTensor, role: Role, usual: string, cols: number): string {
    const { architecture, nExperts } = this.#model;
    if (role === "output" || (role === "embedding" && this.#counts.tied)) {
      if (architecture === "falcon" || cols % tensorType(usual).blockCols !== 0) return "Q8_0";
      return usual === "Q8_0" ? usual : "Q6_K";
    }
    if (role === "embedding") return usual;
    if (role === "value" || role === "qkv") return this.#value(usual);
    if (role === "key") return nExperts === 8 ? "Q8_0" : usual;
    if (role === "down") return this.#down(name, usual);
    if (role !== "attention output" || architecture === "falcon" || nExperts !== 8) return usual;
    return ["IQ4_NL", "Q4_K_S", "Q4_K_M"].includes(this.#name) ? "Q5_K" : usual;
  }

  #value(usual: string): string {
    const { architecture, nLayers, nHeads, nKvHeads, nExperts } = this.#model;
    const i = this.#values++;
    let type = usual;
    if (this.#name === "IQ4_NL" && nKvHeads > 0 && nHeads / nKvHeads >= 4) type = "Q5_K";
    else if (["Q4_K_M", "Q5_K_M"].includes(this.#name) && matters(i, this.#counts.nValues)) type = "Q6_K";
    else if (this.#name === "Q4_K_S" && i < 4) type = "Q5_K";
    // Llama 2 and 3 of 70 billion: eight heads share each of these small matrices.
    const isLarge = architecture === "llama" && nLayers === 80 && nHeads !== nKvHeads;
    if (isLarge && type === "Q4_K") type = "Q5_K";
    return nExperts === 8 ? "Q8_0" : type;
  }

  #down(name: string, usual: string): string {
    const { architecture, nLayers, nExperts } = this.#model;
    const count = this.#downs++;
    const i = nExperts > 1 ? layerOf(name) : count;
    const isEarly = i < Math.floor(nLayers / 8);
    switch (this.#name) {
      case "Q4_K_M":
        if (architecture !== "falcon") return matters(i, nLayers) ? "Q6_K" : usual;
        if (i < Math.floor(nLayers / 16)) return "Q6_K";
        return matters(i, nLayers) ? "Q5_K" : usual;
      case "Q5_K_M":
        return matters(i, nLayers) ? "Q6_K" : usual;
      case "IQ4_NL":
        return isEarly ? "Q5_K" : usual;
      case "Q4_K_S":
        return isEarly && architecture !== "falcon" ? "Q5_K" : usual;
      default:
        return usual;
    }
  }
}

/** The first and last eighth of the layers, and every third between. */
function matters(i: number, n: number): boolean {
  const eighth = Math.floor(n / 8);
  return i < eighth || i >= Math.floor((7 * n) / 8) || (i - eighth) % 3 === 2;
}

/** The layer that a tensor's name says; -1 if none. */
function layerOf(name: string): number {
  return Number(/^blk\.(\d+)/.exec(name)?.[1] ?? -1);
}
