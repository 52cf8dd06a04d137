// When a lost connection is tried again, and after what pause.
import { randomWords } from "../../util/random.ts";
import type { HttpOptions } from "./http_options.ts";

/** Attempts to reach a server that has not answered yet: a wrong address should fail soon. */
const FIRST_RETRIES = 2;

/** Longest wait between two attempts, even if the server asks for more. */
export const MAX_WAIT_MS = 60_000;

/** Counts attempts that failed, and bytes that came in vain. */
export class Attempts {
  /** Attempts that failed since the last progress. */
  failures = 0;
  /** How often bytes that had come already came again, because a connection was lost. */
  repeats = 0;
  readonly #retries: number;
  readonly #retryMs: number;

  constructor({ retries = 5, retryMs = 250 }: HttpOptions = {}) {
    this.#retries = retries;
    this.#retryMs = retryMs;
  }

  /** New attempts that may fail: fewer if the server has never answered. */
  most(hasAnswered: boolean): number {
    return hasAnswered ? this.#retries : Math.min(this.#retries, FIRST_RETRIES);
  }

  /** Milliseconds before the next attempt. `askedMs` is what the server asks for. */
  pauseMs(askedMs: number | undefined): number {
    return Math.max(askedMs ?? 0, this.#retryMs * 2 ** (this.failures - 1) * jitter());
  }

  /** Counts bytes that came again; false if that has happened too often: the traffic costs somebody money. */
  allowsRepeat(): boolean {
    return ++this.repeats <= Math.max(1, this.#retries);
  }
}

// Spreads out clients that lost the same server at once. The bits of a model do not depend on it.
function jitter(): number {
  const [random = 0] = randomWords(1);
  return 0.75 + random / 2 ** 33;
}
