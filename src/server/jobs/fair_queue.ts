// The queue of jobs: a fixed number of places that compute, and owners who get them in fair shares.
//
// Source: Sheng et al. 2024, "Fairness in Serving Large Language Models", arXiv:2401.00588, the virtual token counter.
import { QueueError } from "./queue_error.ts";

/** What a generated token weighs against one of a prompt. */
export const GENERATED_WEIGHT = 4;

/** A place among those that compute. */
export interface Place {
  /** In [0, places); undefined while it is given back. */
  readonly id: number | undefined;
  /** Tokens of the prompt, and those that were generated: for people to look at. */
  promptTokens: number;
  tokens: number;
  /** Gives the place to others. Safe to call twice. */
  release(): void;
  /** Waits for a place again, before what else its owner has waiting. @throws as {@link FairQueue.again} */
  retake(signal: AbortSignal): Promise<void>;
}

interface Owner {
  readonly name: string;
  counter: number;
  readonly waiting: Waiter[];
}

interface Waiter {
  /** Charged when it gets a place. */
  readonly cost: number;
  /** Whether it is a job's first place. */
  readonly isNew: boolean;
  readonly arrival: number;
  grant(id: number): void;
  fail(error: unknown): void;
}

// Owners that nobody waits for are remembered up to this number, so that who comes back is not taken for a newcomer.
const MOST_OWNERS = 4096;
const FIRST_SERVICE_MS = 1000;
const MOST_RETRY_SECONDS = 60;

/**
 * Places for jobs. Each owner has a counter of what was computed for it; the owner with the least of those who wait gets the
 * next place. An owner who comes with nothing waiting is lifted to the least of those who wait, so that idleness earns
 * nothing.
 */
export class FairQueue {
  readonly #mostWaiting: number;
  // In the order of their last arrival.
  readonly #owners = new Map<string, Owner>();
  readonly #places: (Place | undefined)[];
  #waiting = 0;
  #arrivals = 0;
  // The counter of the owner whose last job left the line.
  #lastCounter = 0;
  #serviceMs = FIRST_SERVICE_MS;

  /** @param mostWaiting jobs that may wait beyond those with a place */
  constructor(places: number, mostWaiting: number) {
    this.#places = Array.from({ length: places }, () => undefined);
    this.#mostWaiting = mostWaiting;
  }

  /** Jobs that wait for their first place. */
  get waiting(): number {
    return this.#waiting;
  }

  /** What computes at each place. */
  get places(): readonly (Place | undefined)[] {
    return this.#places;
  }

  /**
   * A place for a new job.
   * @param cost charged to its owner with the place: the tokens of its prompt
   * @param before jobs of the same request, which may wait beyond the most that may: otherwise a request of many could never
   *   be answered
   * @throws QueueError if too many wait; the signal's reason; what {@link fail} was given
   */
  async enter(owner: string, cost: number, signal: AbortSignal, before = 0): Promise<Place> {
    signal.throwIfAborted();
    if (this.#waiting >= this.#mostWaiting + before && !this.#places.includes(undefined)) throw this.#full();
    const place = new OwnedPlace(this, owner);
    await this.#wait(this.#arrive(owner), place, cost, signal, true);
    return place;
  }

  /** One more place for a job that has begun, before what else its owner has waiting. @throws the signal's reason */
  async again(owner: string, signal: AbortSignal): Promise<Place> {
    const place = new OwnedPlace(this, owner);
    await place.retake(signal);
    return place;
  }

  /** Adds what was computed for an owner to its counter. */
  charge(owner: string, cost: number): void {
    this.#owner(owner).counter += cost;
  }

  /** All that wait fail. */
  fail(error: unknown): void {
    for (const { waiting } of this.#owners.values())
      for (const waiter of waiting.splice(0)) waiter.fail(error);
  }

  /** @internal for places */
  async retake(place: OwnedPlace, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#wait(this.#owner(place.owner), place, 0, signal, false);
  }

  /** @internal for places */
  free(id: number, ms: number): void {
    this.#serviceMs += (ms - this.#serviceMs) / 8;
    this.#places[id] = undefined;
    this.#grant();
  }

  #wait(owner: Owner, place: OwnedPlace, cost: number, signal: AbortSignal, isNew: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => signal.removeEventListener("abort", onAbort);
      const waiter: Waiter = {
        cost,
        isNew,
        arrival: this.#arrivals++,
        grant: (id) => {
          settle();
          this.#places[id] = place;
          place.take(id);
          resolve();
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = () => {
        this.#leave(owner, waiter);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (isNew) {
        this.#waiting++;
        owner.waiting.push(waiter);
      } else owner.waiting.unshift(waiter);
      this.#grant();
    });
  }

  #leave(owner: Owner, waiter: Waiter): void {
    const at = owner.waiting.indexOf(waiter);
    if (at < 0) return;
    owner.waiting.splice(at, 1);
    if (waiter.isNew) this.#waiting--;
    if (owner.waiting.length === 0) this.#lastCounter = owner.counter;
  }

  #grant(): void {
    for (let id = this.#places.indexOf(undefined); id >= 0; id = this.#places.indexOf(undefined)) {
      const owner = this.#next();
      const waiter = owner?.waiting[0];
      if (!owner || !waiter) return;
      this.#leave(owner, waiter);
      owner.counter += waiter.cost;
      waiter.grant(id);
    }
  }

  // Who waits with the least counter; of several the one whose first waiter came first.
  #next(): Owner | undefined {
    let best: Owner | undefined;
    for (const owner of this.#owners.values()) {
      const [first] = owner.waiting;
      if (!first) continue;
      const [other] = best?.waiting ?? [];
      const isLess = !best || owner.counter < best.counter;
      if (isLess || (owner.counter === best?.counter && first.arrival < (other as Waiter).arrival))
        best = owner;
    }
    return best;
  }

  #owner(name: string): Owner {
    let owner = this.#owners.get(name);
    if (!owner) {
      owner = { name, counter: 0, waiting: [] };
      this.#owners.set(name, owner);
    }
    return owner;
  }

  #arrive(name: string): Owner {
    const owner = this.#owner(name);
    this.#owners.delete(name);
    this.#owners.set(name, owner);
    if (owner.waiting.length === 0) {
      const others = [...this.#owners.values()].filter(({ waiting }) => waiting.length > 0);
      const least = others.reduce((min, { counter }) => Math.min(min, counter), Number.POSITIVE_INFINITY);
      owner.counter = Math.max(owner.counter, others.length > 0 ? least : this.#lastCounter);
    }
    this.#forget();
    return owner;
  }

  // Forgets the owner that came longest ago and has nothing waiting.
  #forget(): void {
    if (this.#owners.size <= MOST_OWNERS) return;
    for (const { name, waiting } of this.#owners.values()) {
      if (waiting.length > 0) continue;
      this.#owners.delete(name);
      return;
    }
  }

  #full(): QueueError {
    const places = this.#places.length;
    const seconds = Math.ceil((this.#serviceMs * (this.#waiting + 1)) / places / 1000);
    return new QueueError(
      `Cannot run the job: ${places} are computed and ${this.#waiting} wait, the most that may`,
      "full",
      Math.min(Math.max(seconds, 1), MOST_RETRY_SECONDS),
    );
  }
}

class OwnedPlace implements Place {
  id: number | undefined;
  promptTokens = 0;
  tokens = 0;
  readonly owner: string;
  readonly #queue: FairQueue;
  #since = 0;

  constructor(queue: FairQueue, owner: string) {
    this.#queue = queue;
    this.owner = owner;
  }

  take(id: number): void {
    this.id = id;
    this.#since = performance.now();
  }

  release(): void {
    const { id } = this;
    if (id === undefined) return;
    this.id = undefined;
    this.#queue.free(id, performance.now() - this.#since);
  }

  retake(signal: AbortSignal): Promise<void> {
    return this.#queue.retake(this, signal);
  }
}
