import type { LoadProgress } from "../mod.ts";
import { show } from "./args.ts";

/** The part of a standard stream that a progress line needs. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A line on a terminal that says how far loading has come; silent on anything else. */
export class ProgressLine {
  private readonly stream: ProgressStream;
  private readonly title: string;
  private shown = -1;

  constructor(stream: ProgressStream, title: string) {
    this.stream = stream;
    // A line longer than the terminal is wide could not be redrawn.
    this.title = show(title);
  }

  /** Redraws the line when the percentage has changed. */
  update({ loadedBytes, totalBytes, download }: LoadProgress): void {
    // A download is what one waits for; the weights follow it closely.
    const [done, total] = download?.totalBytes
      ? [download.receivedBytes, download.totalBytes]
      : [loadedBytes, totalBytes];
    if (download && total === 0) return;
    const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
    if (!this.stream.isTTY || percent === this.shown) return;
    this.shown = percent;
    this.stream.write(`\r${this.title} ${String(percent).padStart(3)}% of ${megabytes(total)}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.shown >= 0) this.stream.write("\r\x1b[K");
    this.shown = -1;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
