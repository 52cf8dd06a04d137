import * as control from "../../assembly/layout/control.ts";
import type { Runtime, WorkerHandle } from "../runtime/runtime.ts";
import { EngineError } from "../util/errors.ts";
import { computeThread, type ThreadData } from "./compute_thread.ts";

// Longest that starting a thread may take on a busy machine.
const START_MS = 20_000;
const POLL_MS = 1;

/**
 * Threads that compute beside the one that called: each runs the same module on the same memory, parked
 * inside WebAssembly between steps.
 */
export class WorkerPool {
  readonly #workers: WorkerHandle[] = [];
  readonly #memory: WebAssembly.Memory;

  private constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /**
   * Starts a thread for each scratch address and waits until all are parked.
   * @param onDeath called where a thread traps or dies later
   * @param workerUrl the file dist/worker.js, where threads cannot be started from text
   * @throws EngineError where one does not start
   */
  static async start(
    runtime: Runtime,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    scratches: readonly number[],
    onDeath: (reason: string) => void,
    workerUrl?: string | URL,
  ): Promise<WorkerPool> {
    const pool = new WorkerPool(memory);
    let failure: string | undefined;
    const fail = (reason: string) => {
      failure ??= reason;
      onDeath(reason);
    };
    for (const scratch of scratches) {
      const worker = runtime.startWorker<ThreadData>(
        computeThread,
        {
          module,
          memory,
          scratch,
          statusWord: control.CONTROL_STATUS / 4,
          trapStatus: control.STATUS_TRAP,
          barrierWord: control.CONTROL_BARRIER_GENERATION / 4,
        },
        workerUrl,
      );
      worker.onText = fail;
      worker.onDeath = fail;
      pool.#workers.push(worker);
    }
    const words = new Int32Array(memory.buffer);
    const deadline = performance.now() + START_MS;
    while (Atomics.load(words, control.CONTROL_READY / 4) < scratches.length) {
      if (failure === undefined && performance.now() > deadline) failure = `it took more than ${START_MS} ms`;
      if (failure !== undefined) {
        pool.stop();
        throw new EngineError(`Cannot start a compute thread: ${failure}`);
      }
      // Asking without a pause would take a core from the threads that start, and in Chromium the events they need.
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return pool;
  }

  /** Ends the threads. Safe to call twice. */
  stop(): void {
    const words = new Int32Array(this.#memory.buffer);
    // A thread inside WebAssembly cannot be terminated everywhere: it is asked to leave first.
    Atomics.store(words, control.CONTROL_SHUTDOWN / 4, 1);
    Atomics.store(words, control.CONTROL_CANCEL / 4, 1);
    Atomics.add(words, control.CONTROL_STEP / 4, 1);
    Atomics.notify(words, control.CONTROL_STEP / 4);
    Atomics.notify(words, control.CONTROL_BARRIER_GENERATION / 4);
    for (const worker of this.#workers.splice(0)) worker.terminate();
  }
}
