// How kernels that multiply superblocks as pairs have each activation in every row: measured once, when a model was loaded.
import {
  ACT_TOKENS,
  DOT_MOVED,
  GROUP_STRIPS,
  TILE_ROWS,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
} from "../../../assembly/layout/blocks.ts";
import { SPLAT_LOADS, SPLAT_SHUFFLES } from "../../../assembly/layout/control.ts";
import type { KernelExports } from "../exports.gen.ts";
import { bytesOf, type StreamedMatrix, type SweepArea } from "./streams.ts";
import { warmUp } from "./warm_up.ts";

/** One load for each activation, or one for four and a shuffle for each. */
export type Splats = "loads" | "shuffles";

/** Codes for CONTROL_SPLATS. */
export const splatCodes: Readonly<Record<Splats, number>> = { loads: SPLAT_LOADS, shuffles: SPLAT_SHUFFLES };

/** Formats whose pairs can be multiplied in both ways. */
const paired: ReadonlySet<number> = new Set([WEIGHT_Q2K, WEIGHT_Q4K, WEIGHT_Q5K, WEIGHT_Q6K]);

const TOKENS = 2 * ACT_TOKENS;
// A group of strips is some 30 us: so many are longer than the ticks of a page's clock.
const CALLS = 12;
const ROUNDS = 8;
// Before the first round: so many times CALLS at most.
const WARM_UP_MS = 4;
const WARM_UP_ROUNDS = 16;
// Models of fewer bytes are loaded in about the time that this takes.
const LEAST_BYTES = 8 << 20;
// What shuffles must save to be taken.
const GAIN = 0.98;

// Multiplies the first group of a matrix by eight tokens, all of them with the same activations.
function multiplier(
  { matmul }: KernelExports,
  { address, format, strips, blocks }: StreamedMatrix,
  { x, out, scratch }: SweepArea,
  dot: number,
): () => void {
  const rows = [address, x, 0, out, 4 * TILE_ROWS * GROUP_STRIPS, 0, 0] as const;
  const shape = [0, 1, strips, blocks, TOKENS] as const;
  return () => matmul(format.code, ...rows, ...shape, dot, 1, 1, scratch);
}

/**
 * The faster way on this machine, for eight tokens; "loads" where there is no choice, as with another form of the dot product.
 * @param area rows for one group of strips and eight tokens, besides what streams are measured with
 * @param set writes CONTROL_SPLATS
 * @param now milliseconds, for tests
 */
export function measureSplats(
  kernels: KernelExports,
  matrices: readonly StreamedMatrix[],
  area: SweepArea,
  dot: number,
  set: (code: number) => void,
  now: () => number = () => performance.now(),
): Splats {
  const matrix = matrices.find(({ format }) => paired.has(format.code));
  const bytes = matrices.reduce((sum, matrix) => sum + bytesOf(matrix), 0);
  if (dot !== DOT_MOVED || !matrix || bytes < LEAST_BYTES) return "loads";
  const multiply = multiplier(kernels, matrix, area, dot);
  const call = (splats: Splats) => {
    set(splatCodes[splats]);
    for (let i = 0; i < CALLS; i++) multiply();
  };
  const both = () => {
    call("loads");
    call("shuffles");
  };
  if (!warmUp(WARM_UP_MS, WARM_UP_ROUNDS, now, both)) return "loads";
  const best = { loads: Number.POSITIVE_INFINITY, shuffles: Number.POSITIVE_INFINITY };
  for (let round = 0; round < ROUNDS; round++) {
    for (const splats of ["loads", "shuffles"] as const) {
      const begin = now();
      call(splats);
      best[splats] = Math.min(best[splats], now() - begin);
    }
  }
  return best.shuffles < GAIN * best.loads ? "shuffles" : "loads";
}
