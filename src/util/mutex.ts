// A fair mutex for asynchronous work.

/** One holder at a time; waiters get it in the order in which they asked. */
export class Mutex {
  #locked = false;
  readonly #waiting: (() => void)[] = [];

  /** Whether it is held. */
  get locked(): boolean {
    return this.#locked;
  }

  /** Acquires it if it is free; false if it is not. */
  tryAcquire(): boolean {
    if (this.#locked) return false;
    this.#locked = true;
    return true;
  }

  /** Acquires it: at once if it is free, which makes no promise, else when all who asked before have released it. */
  acquire(): Promise<void> | undefined {
    if (this.#locked) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#locked = true;
  }

  /** Passes it to the first waiter. */
  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#locked = false;
  }
}
