/** Lets one piece of work at a time. Who waits is served in order; taking what is free makes nothing. */
export class Turn {
  #taken = false;
  readonly #waiting: (() => void)[] = [];

  /** Takes it where nobody has it; says whether it did. */
  tryTake(): boolean {
    if (this.#taken) return false;
    this.#taken = true;
    return true;
  }

  /** Takes it as soon as all who have asked before gave it back. */
  async take(): Promise<void> {
    if (this.tryTake()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Gives it back, to who has waited longest. */
  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken = false;
  }
}
