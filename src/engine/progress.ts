import type { LoadProgress } from "./options.ts";

/** Fewer bytes than this since the last report are not reported. */
const REPORT_BYTES = 256 << 10;

/** What reports of a download and of weights are passed to. */
export interface ProgressReport {
  readonly onBytes: (receivedBytes: number, totalBytes: number | undefined) => void;
  readonly onWeights: (progress: LoadProgress) => void;
}

/** Joins the progress of a download and of the weights in it into one series of reports. */
export function progressReport(onProgress: (progress: LoadProgress) => void): ProgressReport {
  let weights: LoadProgress = { loadedBytes: 0, totalBytes: 0 };
  let download: LoadProgress["download"];
  let reported = 0;
  const report = () => onProgress({ ...weights, ...(download && { download }) });
  return {
    onBytes(receivedBytes, totalBytes) {
      download = { receivedBytes, totalBytes };
      if (receivedBytes - reported < REPORT_BYTES && receivedBytes !== totalBytes) return;
      reported = receivedBytes;
      report();
    },
    onWeights(progress) {
      weights = progress;
      report();
    },
  };
}
