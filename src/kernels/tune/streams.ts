// How many groups of strips a kernel of one token reads at once: measured once, when a model was loaded.
import { GROUP_STRIPS } from "../../../assembly/layout/blocks.ts";
import type { KernelExports } from "../exports.gen.ts";
import { warmUp } from "./warm_up.ts";

/** A number of streams. */
export type Streams = 1 | 2 | 4 | 8;

/** All of them, in the order in which they are tried. */
export const streamChoices: readonly Streams[] = [1, 2, 4, 8];

/** A matrix of tiles with scales, to try numbers of streams on. */
export interface StreamedMatrix {
  readonly address: number;
  readonly format: { readonly code: number; readonly tileBytes: number };
  readonly strips: number;
  readonly blocks: number;
}

/** Memory that sweeps may use: activations of the widest matrix, rows of the tallest, and a thread's scratch. */
export interface SweepArea {
  readonly x: number;
  readonly out: number;
  readonly scratch: number;
}

// What a sweep reads: enough that its time is that of memory, little enough that all take some milliseconds.
const SWEEP_BYTES = 9 << 20;
const ROUNDS = 2;
// Weights of a model that second caches hold, or nearly: all numbers are equal there. In third caches they are not.
const LEAST_BYTES = 8 << 20;
// Before the first sweep, on weights that caches hold.
const WARM_UP_MS = 1;
const WARM_UP_CALLS = 64;
const WARM_UP_GROUPS = 8;
// More streams must be worth it: on short calls they cost a little.
const GAIN = 0.98;

/**
 * The fastest number of streams on this machine; 1 for a model so small that second caches hold it. Sweeps read one part
 * of the matrices after the other, and all again if there are few, as the steps of the model will.
 * @param now milliseconds, for tests
 */
export function measureStreams(
  kernels: KernelExports,
  matrices: readonly StreamedMatrix[],
  { x, out, scratch }: SweepArea,
  dot: number,
  now: () => number = () => performance.now(),
): Streams {
  const sweeps = partition(matrices, streamChoices.length * ROUNDS);
  if (sweeps === undefined) return 1;
  const call = (matrix: StreamedMatrix, most: number, streams: number) => {
    const { address, format, strips, blocks } = matrix;
    const end = Math.min(most, Math.ceil(strips / GROUP_STRIPS));
    kernels.matvec(format.code, address, x, out, 0, 0, end, strips, blocks, dot, streams, 1, scratch);
  };
  const [[first] = []] = sweeps;
  if (first === undefined) return 1;
  if (!warmUp(WARM_UP_MS, WARM_UP_CALLS, now, () => call(first, WARM_UP_GROUPS, 2))) return 1;
  const best = streamChoices.map(() => Number.POSITIVE_INFINITY);
  sweeps.forEach((sweep, i) => {
    const choice = i % streamChoices.length;
    const begin = now();
    let bytes = 0;
    for (const matrix of sweep) {
      call(matrix, Number.POSITIVE_INFINITY, streamChoices[choice] as number);
      bytes += bytesOf(matrix);
    }
    best[choice] = Math.min(best[choice] as number, (now() - begin) / bytes);
  });
  let chosen = 0;
  for (let i = 1; i < best.length; i++) {
    if ((best[i] as number) < GAIN * (best[chosen] as number)) chosen = i;
  }
  return streamChoices[chosen] as Streams;
}

/** Bytes of a matrix's tiles. */
export function bytesOf({ strips, blocks, format }: StreamedMatrix): number {
  return strips * blocks * format.tileBytes;
}

/** `count` lists of matrices, SWEEP_BYTES each or all there are; undefined if that is too little. */
function partition(matrices: readonly StreamedMatrix[], count: number): StreamedMatrix[][] | undefined {
  const total = matrices.reduce((sum, matrix) => sum + bytesOf(matrix), 0);
  if (total < LEAST_BYTES) return undefined;
  const least = Math.min(SWEEP_BYTES, total);
  let next = 0;
  return Array.from({ length: count }, () => {
    const list: StreamedMatrix[] = [];
    for (let bytes = 0; bytes < least; next = (next + 1) % matrices.length) {
      const matrix = matrices[next] as StreamedMatrix;
      list.push(matrix);
      bytes += bytesOf(matrix);
    }
    return list;
  });
}
