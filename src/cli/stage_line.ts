// A status line for work of several stages.
import { type StatusDisplay, StatusLine, type StatusStream } from "./status_line.ts";

/** Least time between two lines of a log: stages follow each other quickly. */
const GAP_MS = 1000;

/** A line that names the stage and how much of it is done. */
export class StageLine {
  readonly #work: string;
  readonly #line: StatusLine;

  /** @param work what the stages are of: "training" */
  constructor(stream: StatusStream, work: string, display: StatusDisplay = {}) {
    this.#work = work;
    this.#line = new StatusLine(stream, { title: work }, { gapMs: GAP_MS, ...display });
  }

  /** Shows a stage. `done` is 0 to 1, or undefined if it is not known. */
  update(stage: string, done: number | undefined): void {
    this.#line.update({ title: `${this.#work}: ${stage}`, fraction: done });
  }

  /** Clears the line. */
  clear(): void {
    this.#line.clear();
  }
}
