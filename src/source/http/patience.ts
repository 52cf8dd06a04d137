// Waiting for a network: it ends if nothing comes for too long, or if the caller gives up.
import { Interruption, isLoss, reasonOf } from "./http_errors.ts";

/** The waits of one file. At most one is under way at a time. */
export class Patience {
  readonly #idleMs: number;
  readonly #signals: readonly AbortSignal[];
  readonly #onEnd: () => void;
  readonly #onAbort: () => void;
  #ending: { readonly reason: unknown } | undefined;
  // Ends the wait that is under way.
  #interrupt: (reason: unknown) => void = () => {};

  /** @param onEnd called once, when nothing more is waited for */
  constructor(signals: readonly AbortSignal[], idleMs: number, onEnd: () => void) {
    this.#idleMs = idleMs;
    this.#signals = signals;
    this.#onEnd = onEnd;
    this.#onAbort = () => this.end(signals.find(({ aborted }) => aborted)?.reason);
    for (const signal of signals) signal.addEventListener("abort", this.#onAbort);
  }

  /** Why nothing more is waited for; undefined as long as that is not so. */
  get ending(): { readonly reason: unknown } | undefined {
    return this.#ending;
  }

  /** Ends all waits if a signal was aborted before it could be listened to. */
  checkSignals(): void {
    if (this.#signals.some(({ aborted }) => aborted)) this.#onAbort();
  }

  /** Ends all waits, now and from now on. Safe to call twice. */
  end(reason: unknown): void {
    if (this.#ending) return;
    this.#ending = { reason };
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onAbort);
    this.#interrupt(reason);
    this.#onEnd();
  }

  /** Waits for the network. @throws Interruption if nothing comes for too long or the connection is lost */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const seconds = this.#idleMs / 1000;
    const stalled = () => this.#interrupt(new Interruption(`nothing came for ${seconds} s`));
    const timer = setTimeout(stalled, this.#idleMs);
    try {
      return await this.#interruptible(promise);
    } catch (error) {
      throw isLoss(error) ? new Interruption(reasonOf(error), { cause: error }) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits some time. */
  async sleep(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await this.#interruptible(slept).finally(() => clearTimeout(timer));
  }

  #interruptible<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      promise.then(resolve, reject);
    });
  }
}
