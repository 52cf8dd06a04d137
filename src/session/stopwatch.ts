// How long the parts of a generation take.
import type { Timings } from "./options.ts";

/** Times the parts of a generation; what the caller does between tokens does not count. */
export class Stopwatch {
  readonly #loadMs: number;
  #begin = 0;
  #prefillMs = 0;
  #decodeMs = 0;

  constructor(loadMs: number) {
    this.#loadMs = loadMs;
  }

  /** A part begins. */
  start(): void {
    this.#begin = performance.now();
  }

  /** The prefill, with the drawing of the first token, is over. */
  prefilled(): void {
    this.#prefillMs += performance.now() - this.#begin;
  }

  /** The step of one more token is over. */
  decoded(): void {
    this.#decodeMs += performance.now() - this.#begin;
  }

  /** The first generated token belongs to the prefill; the rate of decoding is that of the others. */
  timings(promptTokens: number, generatedTokens: number): Timings {
    const rate = (tokens: number, ms: number) => (ms > 0 ? (1000 * tokens) / ms : 0);
    return {
      loadMs: this.#loadMs,
      prefillMs: this.#prefillMs,
      decodeMs: this.#decodeMs,
      prefillTps: rate(promptTokens, this.#prefillMs),
      decodeTps: rate(Math.max(0, generatedTokens - 1), this.#decodeMs),
    };
  }
}
