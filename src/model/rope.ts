// Rotary embeddings: what turns by how much, and the tables of frequencies that the plan's angles come from.
import type { KernelInstance } from "../kernels/instance.ts";
import { ln } from "../util/elementary.ts";

/** How positions turn queries and keys (Su et al. 2021, "RoFormer", arXiv:2104.09864). */
export interface RopeSpec extends RopeScaling {
  /** Which values of a head are a pair: neighbours, or those half of `dim` apart. */
  readonly pairing: "adjacent" | "halves";
  /** Leading values of a head that are rotated, even; the others stay. */
  readonly dim: number;
  /** Pair i turns by theta^(-2i / dim) a position. */
  readonly theta: number;
}

/** How a rotation differs from the plain one, so that it reaches more positions than training did. */
export interface RopeScaling {
  /** Positions are divided by this (linear scaling); 1: none. */
  readonly scale: number;
  /** Only slow pairs are scaled. */
  readonly yarn?: YarnSpec;
  /** Theta grows with the context that a model is loaded with: it has grown once that is known. */
  readonly dynamic?: DynamicSpec;
  /** What cosines and sines are multiplied by, besides what YaRN does; without it 1. */
  readonly growth?: number;
  /** What tensors of the file each frequency is divided by: those of Llama 3.1 and later if there are any, or LongRoPE's. */
  readonly factors?: "optional" | LongRopeSpec;
}

/**
 * YaRN: pairs that turn more often than `fast` times in the context of the training are not scaled, those that turn less
 * often than `slow` times are, and those between are in part. Cosines and sines grow with the logarithm of the scale.
 * Source: Peng et al. 2023, "YaRN", arXiv:2309.00071, sections 3.2 and 3.4
 */
export interface YarnSpec {
  /** Positions of the context that the model was trained for before it was scaled. */
  readonly context: number;
  readonly fast: number;
  readonly slow: number;
  /** Part of the growth that is taken off again; 0: none. */
  readonly logMultiplier: number;
  /** Part of the fast pairs' frequencies that is not scaled; without it 1, all of it. */
  readonly extrapolation?: number;
  /** Whether the borders between fast and slow lie between pairs, instead of at whole ones. */
  readonly fractional?: boolean;
  /** DeepSeek's way: what `logMultiplier` takes off goes into the scores instead, squared (see {@link scoreGrowth}). */
  readonly inScores?: boolean;
}

/** NTK-aware scaling by the context in use. Source: huggingface/transformers, modeling_rope_utils.py (dynamic). */
export interface DynamicSpec {
  readonly factor: number;
  /** Positions of the context that the model was trained for. */
  readonly context: number;
}

/**
 * LongRoPE: a tensor of factors for contexts longer than the model was trained for, and one for the others.
 * Source: Ding et al. 2024, "LongRoPE", arXiv:2402.13753, section 3.3
 */
export interface LongRopeSpec {
  /** Positions of the context that the model was trained for. */
  readonly context: number;
}

/** A rotation's tables. */
export interface RopeTable {
  readonly rope: RopeSpec;
  /** f32 [dim / 2], and what cosines and sines are multiplied by. */
  readonly freqs: number;
  /** f32 [batch][dim / 2][2]. */
  readonly angles: number;
}

/** Addresses of the f32 [dim / 2] that frequencies are divided by, if the file has them. */
export interface RopeFactors {
  readonly ropeFactors?: { readonly address: number } | undefined;
  readonly longFactors?: { readonly address: number } | undefined;
  readonly shortFactors?: { readonly address: number } | undefined;
}

/** The rotations of a model's layers, each once. */
export function distinctRopes(ropes: readonly (RopeSpec | undefined)[]): RopeSpec[] {
  const found = new Map<string, RopeSpec>();
  for (const rope of ropes) if (rope && !found.has(tableKey(rope))) found.set(tableKey(rope), rope);
  return [...found.values()];
}

/** The tables of a rotation. */
export function ropeTable(tables: readonly RopeTable[], rope: RopeSpec): RopeTable {
  return tables.find((table) => tableKey(table.rope) === tableKey(rope)) as RopeTable;
}

// Everything that a table depends on. Pairing does not change the angles.
function tableKey({ dim, theta, scale, yarn, growth, factors }: RopeSpec): string {
  return JSON.stringify([dim, theta, scale, yarn, growth, factors]);
}

/** What the scores of attention are multiplied by because of a rotation. */
export function scoreGrowth(rope: RopeSpec | undefined): number {
  if (!rope?.yarn?.inScores) return 1;
  const growth = (rope.growth ?? 1) * grown(rope.scale, rope.yarn.logMultiplier);
  return growth * growth;
}

/**
 * Writes the frequencies of each table. Angles are the plan's to compute.
 * @param contextLength positions that the model is loaded for, by which LongRoPE chooses
 */
export function writeFrequencies(
  { exports, memory }: Pick<KernelInstance, "exports" | "memory">,
  tables: readonly RopeTable[],
  factors: RopeFactors,
  contextLength: number,
): void {
  for (const { rope, freqs } of tables) {
    const half = rope.dim / 2;
    exports.rope_freqs(rope.theta, rope.dim, freqs);
    const values = new Float32Array(memory.buffer, freqs, half + 1);
    const mix = rope.yarn && yarnMix(rope, rope.yarn);
    values[half] = (rope.growth ?? 1) * (rope.yarn ? yarnGrowth(rope.scale, rope.yarn) : 1);
    const address = chosenFactors(rope, factors, contextLength);
    const divisors = address === undefined ? undefined : new Float32Array(memory.buffer, address, half);
    for (let i = 0; i < half; i++) {
      const divisor = divisors?.[i] ?? 1;
      const own = mix?.(i) ?? 0;
      values[i] = own
        ? ((values[i] as number) / divisor) * (own + (1 - own) / rope.scale)
        : (values[i] as number) / (divisor * rope.scale);
    }
  }
}

// Chosen once, for all positions: keys that are cached stay right however long a text grows.
function chosenFactors({ factors }: RopeSpec, of: RopeFactors, contextLength: number): number | undefined {
  if (factors === undefined) return undefined;
  if (factors === "optional") return of.ropeFactors?.address;
  return (contextLength > factors.context ? of.longFactors : of.shortFactors)?.address;
}

// What part of pair i's frequency is not scaled.
function yarnMix({ dim, theta }: RopeSpec, yarn: YarnSpec): (i: number) => number {
  const { context, fast, slow, extrapolation = 1, fractional = false } = yarn;
  // The pair that turns so many times in the context.
  const pairOf = (turns: number) => (dim * ln(context / (turns * 2 * Math.PI))) / (2 * ln(theta));
  const [begin, end] = [pairOf(fast), pairOf(slow)];
  const first = Math.max(0, fractional ? begin : Math.floor(begin));
  const last = Math.min(dim - 1, fractional ? end : Math.ceil(end));
  const ramp = (i: number) => Math.min(1, Math.max(0, (i - first) / Math.max(0.001, last - first)));
  return (i) => (1 - ramp(i)) * extrapolation;
}

function yarnGrowth(scale: number, { logMultiplier, inScores }: YarnSpec): number {
  if (inScores && logMultiplier > 0) return 1;
  return grown(scale, 1) / grown(scale, logMultiplier);
}

function grown(scale: number, multiplier: number): number {
  return 1 + multiplier * (0.1 * ln(scale));
}
