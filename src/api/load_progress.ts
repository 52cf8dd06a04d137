// Reports of loading: what has come, how fast, and how long the rest will take.

import type { WeightProgress } from "../engine/load_weights.ts";
import type { LoadProgress } from "./load_options.ts";

/** Fewer bytes than this since the last report are not reported. */
const REPORT_BYTES = 256 << 10;

/** What reports of a download and of weights are passed to. */
export interface ProgressReport {
  readonly onBytes: (receivedBytes: number, totalBytes: number | undefined) => void;
  readonly onWeights: (progress: WeightProgress) => void;
  /** All is done, whether or not the last bytes of the file were needed. */
  readonly onEnd: () => void;
}

/** Joins the progress of a download and of the weights in it into one series of reports. `now` is for tests. */
export function progressReport(
  onProgress: (progress: LoadProgress) => void,
  now: () => number = () => performance.now(),
): ProgressReport {
  let weights: WeightProgress = { loadedBytes: 0, totalBytes: 0 };
  let download: LoadProgress["download"];
  let reported = 0;
  let fraction: number | undefined;
  let rate = new Rate();
  const report = () => {
    const [done, total] = download
      ? [download.receivedBytes, download.totalBytes ?? 0]
      : [weights.loadedBytes, weights.totalBytes];
    rate.add(now(), done);
    // Without the size of the download, the weights say how much is left; they come at the same pace.
    const known =
      total > 0 ? done / total : weights.totalBytes > 0 && weights.loadedBytes / weights.totalBytes;
    if (known !== false) fraction = Math.min(1, Math.max(fraction ?? 0, known));
    const bytesPerSecond = rate.perSecond();
    onProgress({
      ...weights,
      ...(download && { download }),
      fraction,
      bytesPerSecond,
      remainingMs: remaining(fraction, bytesPerSecond, total > 0 ? total : weights.totalBytes),
    });
  };
  return {
    onBytes(receivedBytes, totalBytes) {
      // What was counted so far came from elsewhere: the cache, another file.
      if (!download) rate = new Rate();
      download = { receivedBytes, totalBytes };
      if (receivedBytes - reported < REPORT_BYTES && receivedBytes !== totalBytes) return;
      reported = receivedBytes;
      report();
    },
    onWeights(progress) {
      weights = progress;
      report();
    },
    onEnd() {
      if (fraction === 1) return;
      fraction = 1;
      report();
    },
  };
}

function remaining(
  fraction: number | undefined,
  bytesPerSecond: number | undefined,
  totalBytes: number,
): number | undefined {
  if (fraction === 1) return 0;
  if (fraction === undefined || bytesPerSecond === undefined || bytesPerSecond === 0) return undefined;
  return (((1 - fraction) * totalBytes) / bytesPerSecond) * 1000;
}

/** A shorter time says nothing of a rate. */
const LEAST_MS = 250;
/** What is longer ago counts no more. */
const WINDOW_MS = 5000;
const SAMPLES = 50;

/** How fast a count grows, over the last seconds. */
export class Rate {
  readonly #samples: { readonly ms: number; count: number }[] = [];

  /** The count at a time. Times and counts never fall; what falls all the same is passed over. */
  add(ms: number, count: number): void {
    const samples = this.#samples;
    const last = samples.at(-1);
    if (last && (ms < last.ms || count < last.count)) return;
    const before = samples.at(-2);
    // Samples are spread over the window: the last one moves until it is far enough from the one before.
    if (last && before && last.ms - before.ms < WINDOW_MS / SAMPLES) samples.pop();
    samples.push({ ms, count });
    while (samples.length > 2 && (samples[1] as { ms: number }).ms <= ms - WINDOW_MS) samples.shift();
  }

  /** Counts per second; undefined until enough was measured. */
  perSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.ms - first.ms < LEAST_MS) return undefined;
    return ((last.count - first.count) / (last.ms - first.ms)) * 1000;
  }
}
