import type { ProgressStream } from "./progress.ts";

/** A line on a terminal that says what is being done and how far it is; silent on anything else. */
export class StageLine {
  private readonly stream: ProgressStream;
  private shown = "";

  constructor(stream: ProgressStream) {
    this.stream = stream;
  }

  /** Redraws the line when it has changed. `done` is 0 to 1, or undefined where it is not known. */
  update(stage: string, done: number | undefined): void {
    const percent = done === undefined ? "" : ` ${String(Math.floor(100 * done)).padStart(3)}%`;
    const line = stage + percent;
    if (!this.stream.isTTY || line === this.shown) return;
    this.shown = line;
    this.stream.write(`\r${line}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.shown !== "") this.stream.write("\r\x1b[K");
    this.shown = "";
  }
}
