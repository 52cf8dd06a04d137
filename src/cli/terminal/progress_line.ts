// How far loading is, with rate and time left.
import type { LoadProgress } from "../../mod.ts";
import { sizeText } from "../../util/bytes.ts";
import { show } from "../flags/args.ts";
import { type Status, type StatusDisplay, StatusLine, type StatusStream } from "./status_line.ts";

/** What the library may report beside bytes; what it does not report is computed here. */
interface Rates {
  readonly fraction?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  readonly remainingMs?: number | undefined;
}

/** A line about a model that is being loaded. */
export class ProgressLine {
  readonly #line: StatusLine;
  readonly #title: string;
  readonly #meter: RateMeter;

  constructor(stream: StatusStream, title: string, display: StatusDisplay = {}) {
    this.#title = show(title);
    this.#line = new StatusLine(stream, { title: this.#title }, display);
    this.#meter = new RateMeter(display.now ?? (() => performance.now()));
  }

  update(progress: LoadProgress & Rates): void {
    this.#line.update(loadStatus(this.#title, progress, this.#meter));
  }

  /** Clears the line. */
  clear(): void {
    this.#line.clear();
  }
}

function loadStatus(title: string, progress: LoadProgress & Rates, meter: RateMeter): Status {
  const { loadedBytes, totalBytes, download } = progress;
  // A download takes longest; the weights follow it closely.
  const done = download?.receivedBytes ?? loadedBytes;
  const total = positive(download ? download.totalBytes : totalBytes);
  const rate = positive(progress.bytesPerSecond) ?? meter.rate(done);
  const remainingMs =
    positive(progress.remainingMs) ?? (total && rate ? (1000 * (total - done)) / rate : undefined);
  const fraction = progress.fraction ?? (total ? done / total : undefined);
  const size = total ? `of ${sizeText(total)}` : done > 0 ? sizeText(done) : undefined;
  const details = [
    size,
    rate && `${sizeText(rate)}/s`,
    remainingMs !== undefined && remainingMs >= 0 ? timeText(remainingMs) : undefined,
  ];
  return { title, fraction, details: details.filter((text) => typeof text === "string") };
}

/** Measures bytes per second over the last seconds. */
class RateMeter {
  readonly #now: () => number;
  #samples: { readonly at: number; readonly bytes: number }[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The rate at which `bytes` grew; undefined until there is enough to measure. */
  rate(bytes: number): number | undefined {
    const at = this.#now();
    const last = this.#samples.at(-1);
    // Fewer than before: something was begun anew.
    if (last && bytes < last.bytes) this.#samples = [];
    if (!last || bytes < last.bytes || at - last.at >= SAMPLE_MS) this.#samples.push({ at, bytes });
    while ((this.#samples[1]?.at ?? at) <= at - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || at - first.at < MIN_MEASURED_MS) return undefined;
    return positive((1000 * (bytes - first.bytes)) / (at - first.at));
  }
}

const SAMPLE_MS = 50;
const WINDOW_MS = 5000;
const MIN_MEASURED_MS = 100;

/** Time left: "0:07 left", "1:02:03 left"; undefined beyond four days, which is no estimate. */
export function timeText(ms: number): string | undefined {
  const seconds = Math.ceil(ms / 1000);
  if (!(seconds >= 0 && seconds < 360_000)) return undefined;
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const clock = hours > 0 ? `${hours}:${two(minutes % 60)}` : String(minutes);
  return `${clock}:${two(seconds % 60)} left`;
}

/** A number over 0 that is finite, else undefined. */
function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 && Number.isFinite(value) ? value : undefined;
}
