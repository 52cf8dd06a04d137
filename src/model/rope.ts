// Rotary embeddings: what turns by how much, and the tables of frequencies that the plan's angles come from.
import type { KernelInstance } from "../kernels/instance.ts";

/** How positions turn queries and keys (Su et al. 2021, "RoFormer", arXiv:2104.09864). */
export interface RopeSpec {
  /** Which values of a head are a pair: neighbours, or those half of `dim` apart. */
  readonly pairing: "adjacent" | "halves";
  /** Leading values of a head that are rotated, even; the others stay. */
  readonly dim: number;
  /** Pair i turns by theta^(-2i / dim) a position. */
  readonly theta: number;
  /** Positions are divided by this (linear scaling); 1: none. */
  readonly scale: number;
  /** Only slow pairs are scaled. */
  readonly yarn?: YarnSpec;
  /** Whether files state by what each frequency is divided (Llama 3.1 and later). */
  readonly factors?: "optional";
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
}

/** A rotation's tables. */
export interface RopeTable {
  readonly rope: RopeSpec;
  /** f32 [dim / 2], and what cosines and sines are multiplied by. */
  readonly freqs: number;
  /** f32 [batch][dim / 2][2]. */
  readonly angles: number;
}

/** The rotations of a model's layers, each once. */
export function distinctRopes(ropes: readonly (RopeSpec | undefined)[]): RopeSpec[] {
  const found: RopeSpec[] = [];
  for (const rope of ropes) {
    if (rope && !found.some((other) => hasSameTable(other, rope))) found.push(rope);
  }
  return found;
}

/** The tables of a rotation. */
export function ropeTable(tables: readonly RopeTable[], rope: RopeSpec): RopeTable {
  return tables.find((table) => hasSameTable(table.rope, rope)) as RopeTable;
}

// Pairing does not change the angles.
function hasSameTable(a: RopeSpec, b: RopeSpec): boolean {
  const same = a.dim === b.dim && a.theta === b.theta && a.scale === b.scale && a.factors === b.factors;
  return same && a.yarn === b.yarn;
}

/**
 * Writes the frequencies of each table. Angles are the plan's to compute.
 * @param factors address of f32 [dim / 2] that frequencies are divided by, in tables of ropes that have them
 */
export function writeFrequencies(
  { exports, memory }: Pick<KernelInstance, "exports" | "memory">,
  tables: readonly RopeTable[],
  factors: number | undefined,
): void {
  for (const { rope, freqs } of tables) {
    const half = rope.dim / 2;
    exports.rope_freqs(rope.theta, rope.dim, freqs);
    const values = new Float32Array(memory.buffer, freqs, half + 1);
    const mix = rope.yarn && yarnMix(rope, rope.yarn, exports);
    values[half] = rope.yarn ? yarnGrowth(rope, rope.yarn, exports) : 1;
    const divisors =
      rope.factors && factors !== undefined ? new Float32Array(memory.buffer, factors, half) : undefined;
    for (let i = 0; i < half; i++) {
      const divisor = divisors?.[i] ?? 1;
      const own = mix?.(i) ?? 0;
      values[i] = own
        ? ((values[i] as number) / divisor) * (own + (1 - own) / rope.scale)
        : (values[i] as number) / (divisor * rope.scale);
    }
  }
}

type Logarithm = Pick<KernelInstance["exports"], "log_f64">;

// What part of pair i's frequency is not scaled.
function yarnMix({ dim, theta }: RopeSpec, { context, fast, slow }: YarnSpec, { log_f64 }: Logarithm) {
  // The pair that turns so many times in the context.
  const pairOf = (turns: number) => (dim * log_f64(context / (turns * 2 * Math.PI))) / (2 * log_f64(theta));
  const first = Math.max(0, Math.floor(pairOf(fast)));
  const last = Math.min(dim - 1, Math.ceil(pairOf(slow)));
  return (i: number) => 1 - Math.min(1, Math.max(0, (i - first) / Math.max(0.001, last - first)));
}

function yarnGrowth({ scale }: RopeSpec, { logMultiplier }: YarnSpec, { log_f64 }: Logarithm): number {
  const growth = 0.1 * log_f64(scale);
  return (1 + growth) / (1 + logMultiplier * growth);
}
