/** Lets one piece of work at a time. Who waits is served in order. */
export class Turn {
  #taken = false;
  readonly #waiting: (() => void)[] = [];

  /** Takes it: at once where nobody has it, which makes no promise, or as soon as all who asked before gave it back. */
  take(): Promise<void> | undefined {
    if (this.#taken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
  }

  /** Gives it back, to who has waited longest. */
  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken = false;
  }
}
