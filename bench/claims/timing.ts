// Times several calls alternately. A busy second of the machine then slows all of them, not one.
import type { Call } from "../measure.ts";
import { median } from "../report.ts";

/** How long to measure. */
export interface Effort {
  /** Each call is warmed up for at least this long. */
  readonly warmUpMs: number;
  /** Time of all samples of a call, on average. */
  readonly sampleMs: number;
  /** Fewest samples of each call. */
  readonly samples: number;
}

/** For results that are committed. */
export const thorough: Effort = { warmUpMs: 400, sampleMs: 800, samples: 3 };
/** To check that everything runs. */
export const quick: Effort = { warmUpMs: 1, sampleMs: 1, samples: 1 };

// A sample lasts at least this long, so that the clock's resolution does not matter.
const SAMPLE_MS = 1;
const MAX_ROUNDS = 400;
// A sample that is shorter begins with an untimed call, because the call before it may have left caches cold and threads
// asleep.
const LOST_CALL_MS = 100;

/** Runs a call `repeat` times and returns the milliseconds of one. */
type Sampler = (repeat: number) => Promise<number>;

function sampler(call: Call, isAsync: boolean): Sampler {
  return async (repeat) => {
    const begin = performance.now();
    if (isAsync) for (let i = 0; i < repeat; i++) await call();
    else for (let i = 0; i < repeat; i++) call();
    return (performance.now() - begin) / repeat;
  };
}

interface Ready {
  readonly sample: Sampler;
  readonly repeat: number;
  readonly sampleMs: number;
}

async function warmUp(call: Call, { warmUpMs }: Effort): Promise<Ready> {
  const first = call();
  const isAsync = first instanceof Promise;
  await first;
  const sample = sampler(call, isAsync);
  let repeat = 1;
  let callMs = await sample(1);
  const begin = performance.now();
  while (performance.now() - begin < warmUpMs) {
    callMs = await sample(repeat);
    repeat = repeats(callMs);
  }
  return { sample, repeat, sampleMs: repeat * callMs };
}

/** Calls of a sample, for a call of `callMs` milliseconds. */
export function repeats(callMs: number): number {
  return Math.ceil(Math.min(1e6, Math.max(1, SAMPLE_MS / Math.max(callMs, 1e-9))));
}

/** How many rounds of samples to take, if one round of `calls` calls takes `roundMs`. */
export function rounds(roundMs: number, calls: number, { sampleMs, samples }: Effort): number {
  return Math.floor(Math.min(MAX_ROUNDS, Math.max(samples, (sampleMs * calls) / Math.max(roundMs, 1e-9))));
}

/** Median nanoseconds of each call. All are warmed up first, then their samples alternate. */
export async function timeInTurns(calls: readonly Call[], effort: Effort): Promise<number[]> {
  const ready: Ready[] = [];
  for (const call of calls) ready.push(await warmUp(call, effort));
  const roundMs = ready.reduce((sum, { sampleMs }) => sum + sampleMs, 0);
  const samples: number[][] = calls.map(() => []);
  for (let left = rounds(roundMs, calls.length, effort); left > 0; left--) {
    for (const [i, { sample, repeat, sampleMs }] of ready.entries()) {
      if (sampleMs < LOST_CALL_MS) await sample(1);
      samples[i]?.push(1e6 * (await sample(repeat)));
    }
  }
  return samples.map(median);
}
