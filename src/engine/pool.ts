import * as control from "../../assembly/layout/control.ts";
import type { Runtime, WorkerHandle } from "../runtime/runtime.ts";
import { EngineError } from "../util/errors.ts";
import { computeThread, type ThreadData } from "./compute_thread.ts";

// Longest that starting a thread may take on a busy machine.
const START_MS = 20_000;
const POLL_MS = 1;

/**
 * Threads that compute beside the one that called: each runs the same module on the same memory, parked
 * inside WebAssembly between steps. They take part as soon as they are there. One that cannot be started, or fails
 * before it is there, is given up; one that fails later ends the model.
 */
export class WorkerPool {
  readonly #workers: (WorkerHandle | undefined)[] = [];
  readonly #words: Int32Array;
  readonly #deadline = performance.now() + START_MS;
  #failure: string | undefined;
  #cause: unknown;

  /**
   * Starts a thread for each scratch address.
   * @param onDeath called where a thread traps or dies after it has started
   * @param workerUrl the file dist/worker.js, where threads cannot be started from text
   */
  constructor(
    runtime: Runtime,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    scratches: readonly number[],
    onDeath: (reason: string) => void,
    workerUrl?: string | URL,
  ) {
    this.#words = new Int32Array(memory.buffer);
    for (const [i, scratch] of scratches.entries()) {
      const startedWord = control.CONTROL_STARTED / 4 + i;
      const data: ThreadData = {
        module,
        memory,
        scratch,
        startedWord,
        statusWord: control.CONTROL_STATUS / 4,
        trapStatus: control.STATUS_TRAP,
        insideWord: control.CONTROL_INSIDE / 4,
      };
      const fail = (reason: string) => {
        if (this.#hasStarted(i)) onDeath(reason);
        else this.#giveUp(i, reason);
      };
      try {
        const worker = runtime.startWorker(computeThread, data, workerUrl);
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

  /** Threads that may take part now. */
  get ready(): number {
    return Atomics.load(this.#words, control.CONTROL_READY / 4);
  }

  /** Threads that take part or, as far as is known, will. */
  get size(): number {
    const late = performance.now() > this.#deadline;
    return this.#workers.filter((worker, i) => worker && (!late || this.#hasStarted(i))).length;
  }

  /**
   * Waits until all threads are there.
   * @throws EngineError where one does not come
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
    // A thread inside WebAssembly cannot be terminated everywhere: it is asked to leave first.
    Atomics.store(words, control.CONTROL_SHUTDOWN / 4, 1);
    Atomics.store(words, control.CONTROL_CANCEL / 4, 1);
    Atomics.store(words, control.CONTROL_N_THREADS / 4, control.SHUTDOWN_THREADS);
    Atomics.add(words, control.CONTROL_SEGMENT / 4, 1);
    Atomics.notify(words, control.CONTROL_N_THREADS / 4);
    Atomics.notify(words, control.CONTROL_SEGMENT / 4);
    Atomics.notify(words, control.CONTROL_INSIDE / 4);
    for (const worker of this.#workers.splice(0)) worker?.terminate();
  }

  #hasStarted(i: number): boolean {
    return Atomics.load(this.#words, control.CONTROL_STARTED / 4 + i) === 1;
  }

  #giveUp(i: number, reason: string): void {
    this.#failure ??= reason;
    this.#workers[i]?.terminate();
    this.#workers[i] = undefined;
  }
}
