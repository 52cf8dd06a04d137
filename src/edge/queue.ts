/** A request's place in the line. */
export interface Ticket {
  /** Waits until the request may compute. @throws GateError where its place was lost; the signal's reason */
  turn(signal?: AbortSignal): Promise<void>;
  /**
   * From now on the place is lost, once others wait, where the client reads nothing for long; {@link beat} says each time
   * that it does.
   * @throws GateError where its place was lost
   */
  follow(): void;
  /** Says that the client reads. @throws GateError where its place was lost */
  beat(): void;
  /** Leaves the line. Safe to call twice. */
  leave(): void;
}

/** No place, or a place that was lost. */
export class GateError extends Error {}

interface Waiting {
  /** When the request's own timer was last heard; milliseconds. */
  seen: number;
  /** When its client last read; undefined before there is anything to read. */
  read: number | undefined;
  readonly onLost: () => void;
}

// Between two looks of a waiting request at the line.
const LOOK_MS = 15;
const PULSE_MS = 500;
// A request whose timer was not heard for so long is gone. A step of another one may well hold timers up for a second.
const GONE_MS = 5_000;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Lets the first `places` requests compute and the others wait in the order of their arrival.
 *
 * Each request looks for itself whether it is its turn, by timers of its own: in workerd a request's promises and
 * timers end with it, without a word, and whoever waited for it to pass its place on would wait forever. For the same
 * reason a place is lost by whoever gives no sign of life.
 */
export class Gate {
  /** How many compute at once. */
  places: number;
  readonly #queue: number;
  readonly #idleMs: number;
  #line: Waiting[] = [];

  /**
   * @param queue how many may wait
   * @param idleMs how long a client may read nothing, once others wait
   */
  constructor(places: number, queue: number, idleMs: number) {
    this.places = places;
    this.#queue = queue;
    this.#idleMs = idleMs;
  }

  /** Requests that compute. */
  get active(): number {
    this.#dropLost();
    return Math.min(this.#line.length, this.places);
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#line.length - this.active;
  }

  /**
   * Gets in line.
   * @param onLost called where the place is lost
   * @throws GateError where the line is full
   */
  enter(onLost: () => void): Ticket {
    this.#dropLost();
    if (this.#line.length >= this.places + this.#queue) {
      throw new GateError(`Cannot generate: ${this.active} requests are served and ${this.waiting} wait`);
    }
    const waiting: Waiting = { seen: Date.now(), read: undefined, onLost };
    const pulse = setInterval(() => {
      waiting.seen = Date.now();
    }, PULSE_MS);
    this.#line.push(waiting);
    return {
      turn: (signal) => this.#turn(waiting, signal),
      follow: () => {
        waiting.read = Date.now();
        this.#beat(waiting);
      },
      beat: () => this.#beat(waiting),
      leave: () => {
        clearInterval(pulse);
        this.#leave(waiting);
      },
    };
  }

  async #turn(waiting: Waiting, signal: AbortSignal | undefined): Promise<void> {
    for (this.#beat(waiting); this.#line.indexOf(waiting) >= this.places; this.#beat(waiting)) {
      signal?.throwIfAborted();
      await sleep(LOOK_MS);
      this.#dropLost();
    }
  }

  #beat(waiting: Waiting): void {
    if (!this.#line.includes(waiting)) {
      throw new GateError("Cannot go on: the request was idle, and its place was given to another");
    }
    if (waiting.read !== undefined) waiting.read = Date.now();
  }

  #leave(waiting: Waiting): void {
    this.#line = this.#line.filter((other) => other !== waiting);
  }

  #dropLost(): void {
    const now = Date.now();
    const crowded = this.#line.length > this.places;
    const lost = this.#line.filter(
      ({ seen, read = now }) => now - seen > GONE_MS || (crowded && now - read > this.#idleMs),
    );
    for (const waiting of lost) {
      this.#leave(waiting);
      waiting.onLost();
    }
  }
}
