// Reports progress of a training, yields to events, and ends it when the signal aborts.
import { yieldToEvents } from "../../util/yield.ts";
import type { TrainProgress } from "./options.ts";

/** Training computes at most this long before signals and timers get their turn. */
const TURN_MS = 50;

/** Shares time with the rest of the program while training computes: tells progress, and hears an abort. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ((progress: TrainProgress) => void) | undefined;
  #turnEnds = 0;

  constructor(signal: AbortSignal | undefined, onProgress: ((progress: TrainProgress) => void) | undefined) {
    this.#signal = signal;
    this.#onProgress = onProgress;
    signal?.throwIfAborted();
  }

  /** Whether {@link rest} is due. */
  due(): boolean {
    return Date.now() >= this.#turnEnds;
  }

  /** Tells how far a stage is and lets the runtime handle what waits. @throws the signal's reason */
  async rest(stage: string, done?: number): Promise<void> {
    this.#onProgress?.({ stage, done });
    await yieldToEvents();
    this.#signal?.throwIfAborted();
    this.#turnEnds = Date.now() + TURN_MS;
  }
}
