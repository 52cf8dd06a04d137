// The events of a job on their way to whom reads them.
import type { JobEvent } from "../model.ts";

// Events that nobody has read: a job with so many waits. More than most answers have, so that a reader who is slow for a
// while holds nothing up.
const MOST_EVENTS = 1024;

/** Events in order, taken in batches by one reader. */
export class EventBuffer {
  #events: JobEvent[] = [];
  #isEnded = false;
  #error: unknown;
  #hasFailed = false;
  #wakeReader: (() => void) | undefined;
  readonly #wakeWriters: (() => void)[] = [];

  /** Whether the writer should wait, see {@link drained}. */
  get isFull(): boolean {
    return this.#events.length >= MOST_EVENTS;
  }

  push(event: JobEvent): void {
    this.#events.push(event);
    this.#wakeReader?.();
  }

  /** Nothing follows. */
  end(): void {
    this.#isEnded = true;
    this.#wakeReader?.();
  }

  /** Nothing follows but an error. Only the first end counts. */
  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#hasFailed = true;
    this.#error = error;
    this.end();
  }

  /** Waits until the reader has taken what there is. @throws the signal's reason */
  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#wakeWriters.push(wake);
      if (signal.aborted) wake();
    });
  }

  /** What has come since the last call, at least one event; undefined at the end. @throws what {@link fail} was given */
  async take(): Promise<readonly JobEvent[] | undefined> {
    while (this.#events.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
      this.#wakeReader = undefined;
    }
    const events = this.#events;
    this.#events = [];
    for (const wake of this.#wakeWriters.splice(0)) wake();
    if (events.length > 0) return events;
    if (this.#hasFailed) throw this.#error;
    return undefined;
  }
}
