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
  /** Whether files state by what each frequency is divided (Llama 3.1 and later). */
  readonly factors?: "optional";
}

/** A rotation's tables. */
export interface RopeTable {
  readonly rope: RopeSpec;
  /** f32 [dim / 2]. */
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
  return a.dim === b.dim && a.theta === b.theta && a.scale === b.scale && a.factors === b.factors;
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
    const values = new Float32Array(memory.buffer, freqs, half);
    const divisors =
      rope.factors && factors !== undefined ? new Float32Array(memory.buffer, factors, half) : undefined;
    for (let i = 0; i < half; i++) {
      values[i] = (values[i] as number) / ((divisors?.[i] ?? 1) * rope.scale);
    }
  }
}
