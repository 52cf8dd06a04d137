// The queue of an isolate's requests: the first compute, the others wait.
import { untilNextLook } from "./look.ts";

/** A request's place in the queue. */
export interface Ticket {
  /** Waits until the request may compute. @throws QueueError if its place was lost; the signal's reason */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * From now on the place is lost if the client reads nothing for long and others wait; {@link beat} says each time that
   * it reads.
   * @throws QueueError if the place was lost
   */
  follow(): void;
  /** Says that the client reads. @throws QueueError if the place was lost */
  beat(): void;
  /** Leaves the queue. Safe to call twice. */
  leave(): void;
}

/** There is no place, or a place was lost. */
export class QueueError extends Error {}

interface Queued {
  /** When the request's own timer was last heard; milliseconds. */
  seen: number;
  /** When its client last read; undefined before there is anything to read. */
  read: number | undefined;
  readonly onLost: () => void;
}

const PULSE_MS = 500;
// A request whose timer was not heard for so long is gone. A step of another one may well hold timers up for a second.
const GONE_MS = 5_000;

/**
 * Lets the first `places` requests compute. The others wait in the order of their arrival.
 *
 * Each request looks for itself whether it may compute, by timers of its own. In workerd a request's promises and
 * timers end with it, without a word. A request that waited for another to pass its place on would wait forever. For the
 * same reason a request that gives no sign of life loses its place.
 */
export class RequestQueue {
  /** How many compute at once. */
  places: number;
  readonly #mostWaiting: number;
  readonly #idleMs: number;
  #requests: Queued[] = [];

  /**
   * @param mostWaiting how many may wait
   * @param idleMs how long a client may read nothing, once others wait
   */
  constructor(places: number, mostWaiting: number, idleMs: number) {
    this.places = places;
    this.#mostWaiting = mostWaiting;
    this.#idleMs = idleMs;
  }

  /** Requests that compute. */
  get active(): number {
    this.#dropLost();
    return Math.min(this.#requests.length, this.places);
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#requests.length - this.active;
  }

  /**
   * Joins the queue.
   * @param onLost called if the place is lost
   * @param before jobs of the same request, which may wait beyond the most that may
   * @throws QueueError if the queue is full
   */
  enter(onLost: () => void, before = 0): Ticket {
    this.#dropLost();
    if (this.#requests.length >= this.places + this.#mostWaiting + before) {
      throw new QueueError(`Cannot generate: ${this.active} requests are served and ${this.waiting} wait`);
    }
    const request: Queued = { seen: Date.now(), read: undefined, onLost };
    const pulse = setInterval(() => {
      request.seen = Date.now();
    }, PULSE_MS);
    this.#requests.push(request);
    return {
      ready: (signal) => this.#ready(request, signal),
      follow: () => {
        request.read = Date.now();
        this.#beat(request);
      },
      beat: () => this.#beat(request),
      leave: () => {
        clearInterval(pulse);
        this.#leave(request);
      },
    };
  }

  async #ready(request: Queued, signal: AbortSignal | undefined): Promise<void> {
    for (this.#beat(request); this.#requests.indexOf(request) >= this.places; this.#beat(request)) {
      signal?.throwIfAborted();
      await untilNextLook();
      this.#dropLost();
    }
  }

  #beat(request: Queued): void {
    if (!this.#requests.includes(request)) {
      throw new QueueError("Cannot go on: the request was idle, and its place was given to another");
    }
    if (request.read !== undefined) request.read = Date.now();
  }

  #leave(request: Queued): void {
    this.#requests = this.#requests.filter((other) => other !== request);
  }

  #dropLost(): void {
    const now = Date.now();
    const crowded = this.#requests.length > this.places;
    const lost = this.#requests.filter(
      ({ seen, read = now }) => now - seen > GONE_MS || (crowded && now - read > this.#idleMs),
    );
    for (const request of lost) {
      this.#leave(request);
      request.onLost();
    }
  }
}
