// Times one call: warms it up until its times stop falling, then samples it with mitata.
import { measure as mitata } from "mitata";
import { median } from "./report.ts";

/** A call to time. A short call is repeated within a sample. */
export type Call = () => unknown;

/** Times of one call in nanoseconds. */
export interface Times {
  readonly medianNs: number;
  readonly minNs: number;
  readonly samples: number;
}

/** How long to measure. */
export interface Effort {
  /** A warm-up ends after this many rounds without a faster one, */
  readonly patience: number;
  /** or after this time. */
  readonly warmUpMs: number;
  /** Time of the samples in one of the two rounds of a short call. */
  readonly roundMs: number;
  /** Time of all samples of a long call. */
  readonly longMs: number;
}

/** For results that are committed. */
export const thorough: Effort = { patience: 5, warmUpMs: 2500, roundMs: 100, longMs: 8000 };
/** To check that a benchmark runs. */
export const quick: Effort = { patience: 1, warmUpMs: 50, roundMs: 5, longMs: 1 };

const WARM_UP_ROUND_MS = 25;
// A round counts as faster only if its time is below this share of the best.
const FASTER = 0.98;
// A sample lasts at least this long, so that the clock's resolution does not matter.
const SAMPLE_NS = 1e6;
const LONG_CALL_NS = 50e6;

interface WarmedUp {
  /** Nanoseconds of a call, in the fastest round. */
  readonly ns: number;
  readonly isAsync: boolean;
}

async function warmUpRound(call: Call): Promise<WarmedUp> {
  const begin = performance.now();
  let calls = 0;
  let elapsed = 0;
  let isAsync = false;
  while (elapsed < WARM_UP_ROUND_MS) {
    const result = call();
    isAsync = result instanceof Promise;
    if (isAsync) await result;
    calls++;
    elapsed = performance.now() - begin;
  }
  return { ns: (1e6 * elapsed) / calls, isAsync };
}

// Calls until the runtime's compilers have no faster code to offer.
async function warmUp(call: Call, effort: Effort): Promise<WarmedUp> {
  const begin = performance.now();
  let best = await warmUpRound(call);
  let stale = 0;
  while (stale < effort.patience && performance.now() - begin < effort.warmUpMs) {
    const round = await warmUpRound(call);
    stale = round.ns < FASTER * best.ns ? 0 : stale + 1;
    if (round.ns < best.ns) best = round;
  }
  return best;
}

// Makes one call of `repeat` calls.
function repeated(call: Call, repeat: number): Call {
  if (repeat === 1) return call;
  return () => {
    let last: unknown;
    for (let i = 0; i < repeat; i++) last = call();
    return last;
  };
}

// As repeated(), for calls that return promises.
function repeatedAsync(call: Call, repeat: number): Call {
  return async () => {
    for (let i = 0; i < repeat; i++) await call();
  };
}

function clamp(x: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, Math.floor(x)));
}

/** The number of rounds of samples, and the least that each round has. */
interface Schedule {
  readonly rounds: number;
  readonly samplesPerRound: number;
  readonly msPerRound: number;
}

/**
 * The schedule for a call of `callNs` nanoseconds. More rounds are better, because the bandwidth is sampled between them. But
 * each round begins with a call that is not counted.
 */
export function schedule(callNs: number, effort: Effort): Schedule {
  if (callNs <= LONG_CALL_NS) return { rounds: 2, samplesPerRound: 5, msPerRound: effort.roundMs };
  const rounds = clamp((1e6 * effort.longMs) / (2 * callNs), 1, 5);
  const samplesPerRound = clamp((1e6 * effort.longMs) / (rounds * 2 * callNs), Math.ceil(3 / rounds), 5);
  return { rounds, samplesPerRound, msPerRound: 0 };
}

/**
 * Warms a call up and times it in rounds. `between` runs before, between and after them, untimed.
 * Every sample counts: mitata would drop the fastest and slowest ones, and that is turned off.
 */
export async function measure(call: Call, effort: Effort, between: () => void): Promise<Times> {
  const { ns, isAsync } = await warmUp(call, effort);
  const { rounds, samplesPerRound, msPerRound } = schedule(ns, effort);
  const repeat = clamp(SAMPLE_NS / ns, 1, 1e6);
  const sample = (isAsync ? repeatedAsync : repeated)(call, repeat);
  const samples: number[] = [];
  between();
  for (let round = 0; round < rounds; round++) {
    const stats = await mitata(sample, {
      gc: false,
      min_samples: samplesPerRound,
      min_cpu_time: 1e6 * msPerRound,
      samples_threshold: Number.POSITIVE_INFINITY,
      batch_threshold: -1,
    });
    for (const time of stats.samples) samples.push(time / repeat);
    between();
  }
  return { medianNs: median(samples), minNs: Math.min(...samples), samples: samples.length };
}
