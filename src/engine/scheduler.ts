// Joins what waits for the model into steps, so that several generations read its weights once.
//
// A step takes up to eight sequences and 64 tokens (see step_queue.ts for who comes first). What it computes for each
// does not depend on the others, so that joining changes times and never bits. A work that fails, is aborted or finds no
// memory fails alone.
//
// When does a step begin? Generations that take turns ask for their next token one after the other, some microtasks
// after the last step has ended, each in its own chain of promises. If the first that asks began a step at once, no two
// would ever share one. Hence:
// - Who took part in the last step is expected back. A step begins when all of them have asked again, or have said that
//   they do not come (`leave`).
// - Nobody is waited for whose consumer does something else. Microtasks are given a chance to run, so many that any
//   chain of generators has come back by then; after that the runtime handles events once, for consumers whose promise
//   is resolved by an event. Who has not come by then is not expected any more, and no timer is waited for.
// - Who was not in the last step lets microtasks run too, for others that begin at the same time.
// - One that is alone is waited for by nobody: its next token is a plain call, which allocates nothing and returns no
//   promise unless the step pauses.
//
// In runtimes that never pause (`pauses` is false: workerd), a promise of one request must not be resolved by another, and
// a request may end without a word. There each work is in the list for one step at a time. Whoever finds that all are
// there, or has waited one timer of its own, runs the step for all that are listed, at once. Results are left with the
// works, and each owner looks for itself, by its own timer. A work whose owner is gone is computed once at most.
import type { PagePool } from "../model/page_pool.ts";
import { MemoryError } from "../util/errors.ts";
import type { Mutex } from "../util/mutex.ts";
import { yieldToRequests } from "../util/yield.ts";
import type { StepWatcher } from "./plan_runner.ts";
import { PrefillPace } from "./prefill_pace.ts";
import { MAX_SEGMENTS, outputRows, type Segment, type StepLimits } from "./step_area.ts";
import { chooseChunks, Entry, type Work } from "./step_queue.ts";

/** What a scheduler needs of an engine. */
export interface StepEngine {
  readonly layout: StepLimits;
  readonly pool: PagePool;
  /** Held while a step runs and its logits are read. */
  readonly mutex: Mutex;
  /** Whether steps may pause for events. */
  readonly pauses: boolean;
  /** Milliseconds that the last step has computed, pauses left out. */
  readonly stepMs: number;
  /** Checks a segment and takes the pages it writes. @throws what is wrong with it or the engine; MemoryError */
  admit(segment: Segment): void;
  /** Runs a step of admitted segments; undefined if it is over. The caller holds the mutex. */
  run(segments: readonly Segment[], watcher?: StepWatcher): Promise<void> | undefined;
  /** Lets the runtime handle events. */
  yield(): Promise<void>;
  /** Asks for garbage collections until `isDone` or until it seems to be in vain. */
  collectGarbage(isDone: () => boolean): Promise<void>;
}

// Microtasks after which a generator's consumer has come back, if it waits for nothing else. `for await` over
// `llama.generate()` takes five of them, and each generator around it two more.
const MICROTASKS = 64;
// No step has this number.
const NO_STEP = 0;

/** Owns the steps of an engine. */
export class Scheduler implements StepWatcher {
  readonly #engine: StepEngine;
  // In the order of arrival.
  #waiting: Entry[] = [];
  #running: readonly Entry[] = [];
  // Works that there is no memory for. They are not listed.
  #starving: Entry[] = [];
  #isCollecting = false;
  // Pages that the running step writes for works that were aborted meanwhile.
  #heldPages: number[] = [];
  // The segment of a step of one.
  readonly #single: (Segment | undefined)[] = [undefined];
  #isDriving = false;
  #hasNewcomer = false;
  #entries = 0;
  #step = NO_STEP + 1;
  readonly #pace = new PrefillPace();
  // Works that the last step has ended and that have not asked again.
  #expected = 0;

  constructor(engine: StepEngine) {
    this.#engine = engine;
  }

  /**
   * Computes a work's ids in as many steps as it takes, and has its logits read. Undefined if that is done at the return.
   * The ids from `begin` to `end` must follow what the sequence holds. One work at a time for each sequence.
   * @throws (or rejects with) MemoryError if there is no page, not even after a garbage collection; ContextError;
   *   EngineError; the signal's reason; what `read` throws. Steps that were done before are not undone.
   */
  submit(work: Work, signal?: AbortSignal): Promise<void> | undefined {
    if (work.begin >= work.end) return;
    const isBack = work.lastStep === this.#step;
    if (isBack && this.#expected === 1 && this.#isIdle && work.end - work.begin === 1) {
      return this.#runAlone(work, signal);
    }
    return this.#enqueue(work, signal);
  }

  /** Computes work of an owner who asks for no other step soon. Errors as {@link submit}. */
  async compute(segment: Segment, read: Work["read"], signal?: AbortSignal): Promise<void> {
    const work: Work = { ...segment, read, lastStep: NO_STEP };
    await this.submit(work, signal);
    this.leave(work);
  }

  /** Says that a work's owner asks for no other step soon, so that nobody waits for it. */
  leave(work: Work): void {
    if (work.lastStep !== this.#step) return;
    work.lastStep = NO_STEP;
    this.#expected--;
  }

  /** @internal The engine calls it. Aborted works end at once; the step goes on for the others, if there are any. */
  betweenSlices(): void {
    for (const entry of this.#waiting) this.#checkSignal(entry);
    const [first] = this.#running;
    if (first && this.#running.every(({ settled }) => settled)) throw first.error;
  }

  get #isIdle(): boolean {
    return !this.#isDriving && this.#waiting.length === 0 && !this.#engine.mutex.locked;
  }

  // The next token of the only generation there is. Nothing here makes an object, unless the step pauses.
  #runAlone(work: Work, signal: AbortSignal | undefined): Promise<void> | undefined {
    signal?.throwIfAborted();
    const { mutex } = this.#engine;
    mutex.acquire();
    let rest: Promise<void> | undefined;
    try {
      this.#engine.admit(work);
      this.#single[0] = work;
      rest = this.#engine.run(this.#single as Segment[], this);
      if (rest === undefined) {
        work.sequence.advance(1);
        this.#pace.ran(1, 1, this.#engine.stepMs);
        this.#step++;
        work.lastStep = this.#step;
        if (work.outputs !== "none") work.read(0, work.begin);
        return;
      }
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
    } finally {
      // A sequence that nobody else refers to must be collected.
      this.#single[0] = undefined;
      if (rest === undefined) mutex.release();
    }
    return rest ? this.#finishAlone(work, signal, rest) : this.#enqueue(work, signal);
  }

  // The step has begun and pauses. Others may come meanwhile.
  #finishAlone(work: Work, signal: AbortSignal | undefined, rest: Promise<void>): Promise<void> {
    const entry = this.#entryOf(work, signal);
    entry.chunkEnd = work.end;
    this.#waiting = [entry];
    this.#running = [entry];
    void this.#drive(rest);
    return promiseOf(entry);
  }

  #enqueue(work: Work, signal: AbortSignal | undefined): Promise<void> {
    const entry = this.#entryOf(work, signal);
    if (!this.#engine.pauses) return this.#share(entry);
    this.#offer(entry);
    return promiseOf(entry);
  }

  #entryOf(work: Work, signal: AbortSignal | undefined): Entry {
    if (work.lastStep === this.#step) this.#expected--;
    else this.#hasNewcomer = true;
    work.lastStep = NO_STEP;
    return new Entry(work, signal, this.#entries++);
  }

  // Lists an entry at its place.
  #list(entry: Entry): void {
    const at = this.#waiting.findIndex(({ order }) => order > entry.order);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, entry);
  }

  #offer(entry: Entry): void {
    this.#list(entry);
    if (!this.#isDriving) void this.#drive();
  }

  // Runs steps as long as somebody waits for one, or is expected to.
  async #drive(begun?: Promise<void>): Promise<void> {
    this.#isDriving = true;
    if (begun) await this.#finish(begun);
    while (this.#waiting.length > 0 || this.#expected > 1) {
      await this.#gather();
      const locked = this.#engine.mutex.acquire();
      if (locked) await locked;
      const rest = this.#runStep();
      if (rest) await rest;
    }
    this.#isDriving = false;
  }

  // Waits for those who are about to ask, as the head of this file says.
  async #gather(): Promise<void> {
    const isMissing = () => this.#expected > 0 && this.#waiting.length < MAX_SEGMENTS;
    for (let i = 0; i < MICROTASKS && (isMissing() || this.#hasNewcomer); i++) await undefined;
    if (isMissing()) await this.#engine.yield();
    this.#hasNewcomer = false;
    this.#forget();
  }

  // Nobody is expected any more.
  #forget(): void {
    if (this.#expected === 0) return;
    this.#expected = 0;
    this.#step++;
  }

  // A step of what waits. The mutex is held, and released at the step's end.
  #runStep(): Promise<void> | undefined {
    try {
      this.#running = this.#compose();
      if (this.#running.length > 0) {
        const segments = this.#running.map(({ segment }) => segment);
        const rest = this.#engine.run(segments, this);
        if (rest) return this.#finish(rest);
        this.#deliver();
      }
    } catch (error) {
      this.#failRunning(error);
    }
    this.#endStep();
  }

  async #finish(rest: Promise<void>): Promise<void> {
    try {
      await rest;
      this.#deliver();
    } catch (error) {
      this.#failRunning(error);
    }
    this.#endStep();
  }

  // What the next step takes. Who has aborted or cannot take part is off the list then.
  #compose(): Entry[] {
    // In workerd a signal is its own request's to look at.
    if (this.#engine.pauses) for (const entry of this.#waiting) this.#checkSignal(entry);
    this.#waiting = this.#waiting.filter(({ settled }) => !settled);
    const beside = (decoding: number) => this.#pace.chunk(decoding);
    return chooseChunks(this.#waiting, this.#engine.layout, beside).filter((entry) => this.#admit(entry));
  }

  #admit(entry: Entry): boolean {
    try {
      this.#engine.admit(entry.segment);
      return true;
    } catch (error) {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
      if (error instanceof MemoryError && this.#engine.pauses) this.#starve(entry, error);
      else entry.fail(error);
      return false;
    }
  }

  #starve(entry: Entry, error: MemoryError): void {
    entry.error = error;
    this.#starving.push(entry);
    if (!this.#isCollecting) void this.#findMemory();
  }

  // Sequences that were dropped give their pages back once they are collected, and a program that never lets events
  // be handled would wait for that in vain. Others go on meanwhile, and may end and give back theirs.
  async #findMemory(): Promise<void> {
    this.#isCollecting = true;
    while (this.#starving.length > 0) {
      await this.#engine.collectGarbage(() => this.#feed() === 0);
      // In vain. The last that came fails, so that its owner may give back what it has to those before it. Only one: who
      // comes while its owner does so has a collection of its own.
      const last = this.#starving.pop();
      last?.fail(last.error);
      await this.#engine.yield();
      this.#feed();
    }
    this.#isCollecting = false;
  }

  // Lists those again that memory is found for; how many are left.
  #feed(): number {
    this.#starving = this.#starving.filter((entry) => {
      try {
        entry.signal?.throwIfAborted();
        this.#engine.admit(entry.segment);
        this.#offer(entry);
        return false;
      } catch (error) {
        if (!(error instanceof MemoryError)) entry.fail(error);
        entry.error = error;
        return !entry.settled;
      }
    });
    return this.#starving.length;
  }

  // Logits are valid: each work reads its own.
  #deliver(): void {
    this.#step++;
    this.#expected = 0;
    let row = 0;
    let decoding = 0;
    let tokens = 0;
    for (const entry of this.#running) {
      const { work, next, chunkEnd, segment, remaining } = entry;
      tokens += chunkEnd - next;
      if (remaining === 1) decoding++;
      const rows = outputRows(segment.outputs, chunkEnd - next);
      if (!entry.settled) this.#hand(entry, row, rows);
      if (!entry.settled && chunkEnd === work.end) {
        work.lastStep = this.#step;
        this.#expected++;
        entry.end();
      }
      row += rows;
    }
    this.#pace.ran(decoding, tokens, this.#engine.stepMs);
  }

  #hand(entry: Entry, row: number, rows: number): void {
    const { work, next, chunkEnd } = entry;
    work.sequence.advance(chunkEnd - next);
    entry.next = chunkEnd;
    try {
      for (let i = 0; i < rows; i++) work.read(row + i, chunkEnd - rows + i);
    } catch (error) {
      entry.fail(error);
    }
  }

  #failRunning(error: unknown): void {
    for (const entry of this.#running) entry.fail(error);
  }

  #endStep(): void {
    const { pool, pauses, mutex } = this.#engine;
    const running = this.#running;
    this.#waiting = this.#waiting.filter((entry) => !entry.settled && (pauses || !running.includes(entry)));
    this.#running = [];
    for (const page of this.#heldPages.splice(0)) pool.drop(page);
    mutex.release();
  }

  #checkSignal(entry: Entry): void {
    if (entry.settled) return;
    try {
      entry.signal?.throwIfAborted();
    } catch (reason) {
      if (this.#running.includes(entry)) this.#holdPages(entry);
      entry.fail(reason);
    }
  }

  // The step goes on to write what it writes for an aborted work. Until it ends, nobody else may get these pages.
  #holdPages({ sequence }: Entry): void {
    for (const page of sequence.pages) {
      this.#engine.pool.share(page);
      this.#heldPages.push(page);
    }
    sequence.rollback(sequence.length);
  }

  // Where runtimes never pause: see the head of this file.
  async #share(entry: Entry): Promise<void> {
    for (let hasWaited = false; !entry.settled; hasWaited = true) {
      if (entry.signal?.aborted) {
        entry.fail(entry.signal.reason);
        break;
      }
      if (!this.#waiting.includes(entry)) this.#list(entry);
      if ((hasWaited || this.#expected === 0) && this.#engine.mutex.tryAcquire()) this.#runStep();
      if (entry.settled) break;
      await yieldToRequests();
    }
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    if (entry.failed) throw entry.error;
  }
}

function promiseOf(entry: Entry): Promise<void> {
  return new Promise((resolve, reject) => {
    entry.onSettled = () => (entry.failed ? reject(entry.error) : resolve());
  });
}
