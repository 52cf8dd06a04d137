// How far a work of several stages is.
import { type StatusDisplay, StatusLine, type StatusStream } from "./status_line.ts";

/** Stages follow each other quickly; a log needs no more lines than this. */
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

  /** Says where the work is. `done` is 0 to 1, or undefined when it is not known. */
  update(stage: string, done: number | undefined): void {
    this.#line.update({ title: `${this.#work}: ${stage}`, fraction: done });
  }

  /** Takes the line away. */
  clear(): void {
    this.#line.clear();
  }
}
