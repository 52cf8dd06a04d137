// The threads of a model: how they start, get their memory and end.
import * as control from "../../../assembly/layout/control.ts";
import type { Runtime, WorkerHandle } from "../../runtime/runtime.ts";
import { EngineError } from "../../util/errors.ts";
import { computeThread, type ThreadData } from "./compute_thread.ts";

// Longest that starting a thread may take on a busy machine.
const START_MS = 20_000;
const POLL_MS = 1;

/**
 * Threads that compute beside the one that called: each runs the same module on the same memory, parked
 * inside WebAssembly between steps. They start before there is a memory, since that takes a while, and take part as soon
 * as they have one. One that cannot be started, or fails before it is there, is given up; one that fails later ends the
 * model.
 */
export class WorkerPool {
  readonly #runtime: Runtime;
  readonly #count: number;
  readonly #workerUrl: string | URL | undefined;
  #started = false;
  readonly #workers: (WorkerHandle<ThreadData> | undefined)[] = [];
  #words: Int32Array | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #onDeath: (reason: string) => void = () => {};
  #failure: string | undefined;
  #cause: unknown;

  /** @param workerUrl the file dist/worker.js, for runtimes that start no thread from text */
  constructor(runtime: Runtime, count: number, workerUrl?: string | URL) {
    this.#runtime = runtime;
    this.#count = count;
    this.#workerUrl = workerUrl;
  }

  /** Starts the threads, if they are not. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (let i = 0; i < this.#count; i++) {
      const fail = (reason: string) => {
        if (this.#hasStarted(i)) this.#onDeath(reason);
        else this.#giveUp(i, reason);
      };
      try {
        const worker = this.#runtime.startWorker(computeThread, this.#workerUrl);
        this.#workers.push(worker);
        worker.onText = fail;
        worker.onDeath = fail;
      } catch (error) {
        // What refuses one thread refuses the others.
        this.#failure = error instanceof Error ? error.message : String(error);
        this.#cause = error;
        return;
      }
    }
  }

  /**
   * Gives the threads, started now if they are not, what they compute with; each has a scratch address.
   * @param onDeath called if a thread traps or dies after it has started
   */
  begin(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    scratches: readonly number[],
    onDeath: (reason: string) => void,
  ): void {
    this.start();
    this.#words = new Int32Array(memory.buffer);
    this.#deadline = performance.now() + START_MS;
    this.#onDeath = onDeath;
    for (const [i, scratch] of scratches.entries()) {
      try {
        this.#workers[i]?.begin({
          module,
          memory,
          scratch,
          startedWord: control.CONTROL_STARTED / 4 + i,
          statusWord: control.CONTROL_STATUS / 4,
          trapStatus: control.STATUS_TRAP,
          insideWord: control.CONTROL_INSIDE / 4,
        });
      } catch (error) {
        this.#giveUp(i, String(error));
      }
    }
  }

  /** Threads that may take part now. */
  get ready(): number {
    return this.#words ? Atomics.load(this.#words, control.CONTROL_READY / 4) : 0;
  }

  /** Threads that take part or, as far as is known, will. */
  get size(): number {
    const late = performance.now() > this.#deadline;
    return this.#workers.filter((worker, i) => worker && (!late || this.#hasStarted(i))).length;
  }

  /**
   * Waits until all threads are there.
   * @throws EngineError if one does not come
   */
  async allReady(count: number): Promise<void> {
    while (this.ready < count) {
      if (performance.now() > this.#deadline) this.#failure ??= `it took more than ${START_MS} ms`;
      if (this.#failure !== undefined) {
        throw new EngineError(
          `Cannot start a compute thread: ${this.#failure}. Without the option threads a model does with those ` +
            "that start; with threads: 1 it starts none",
          { cause: this.#cause },
        );
      }
      // Asking without a pause would take a core from the threads that start, and in Chromium the events they need.
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Ends the threads. Safe to call twice. */
  stop(): void {
    const words = this.#words;
    if (words) {
      // A thread inside WebAssembly cannot be terminated everywhere: it is asked to leave first.
      Atomics.store(words, control.CONTROL_SHUTDOWN / 4, 1);
      Atomics.store(words, control.CONTROL_CANCEL / 4, 1);
      Atomics.store(words, control.CONTROL_N_THREADS / 4, control.SHUTDOWN_THREADS);
      Atomics.add(words, control.CONTROL_SEGMENT / 4, 1);
      Atomics.notify(words, control.CONTROL_N_THREADS / 4);
      Atomics.notify(words, control.CONTROL_SEGMENT / 4);
      Atomics.notify(words, control.CONTROL_INSIDE / 4);
    }
    for (const worker of this.#workers.splice(0)) worker?.terminate();
  }

  #hasStarted(i: number): boolean {
    return this.#words !== undefined && Atomics.load(this.#words, control.CONTROL_STARTED / 4 + i) === 1;
  }

  #giveUp(i: number, reason: string): void {
    this.#failure ??= reason;
    this.#workers[i]?.terminate();
    this.#workers[i] = undefined;
  }
}
