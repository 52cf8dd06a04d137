import type { Timings } from "./options.ts";

/** Times the parts of a generation; what the caller does between tokens does not count. */
export class Stopwatch {
  readonly #loadMs: number;
  #prefillMs = 0;
  #decodeMs = 0;

  constructor(loadMs: number) {
    this.#loadMs = loadMs;
  }

  /** Runs the prefill and the drawing of the first token. */
  async prefill<T>(work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const result = await work();
    this.#prefillMs += performance.now() - begin;
    return result;
  }

  /** Runs the step of one more token. */
  async decode<T>(work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const result = await work();
    this.#decodeMs += performance.now() - begin;
    return result;
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
