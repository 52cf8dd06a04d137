import * as control from "../../assembly/layout/control.ts";
import type { Runtime, WorkerHandle } from "../runtime/runtime.ts";
import { EngineError } from "../util/errors.ts";
import { yieldToEvents } from "../util/yield.ts";

/** What a compute thread needs to begin. */
interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly scratch: number;
  readonly statusWord: number;
  readonly trapStatus: number;
  readonly barrierWord: number;
}

// Longest that starting a thread may take on a busy machine.
const START_MS = 20_000;

// Runs in the worker, from its source text: it may use nothing of this module.
function computeThread(data: WorkerData, send: (text: string) => void): void {
  try {
    const { exports } = new WebAssembly.Instance(data.module, { env: { memory: data.memory } });
    (exports.work as (scratch: number) => void)(data.scratch);
  } catch (error) {
    // Whoever waits at the barrier learns of it at once.
    const words = new Int32Array(data.memory.buffer);
    Atomics.compareExchange(words, data.statusWord, 0, data.trapStatus);
    Atomics.notify(words, data.barrierWord);
    send(String(error));
  }
}

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
   * @throws EngineError where one does not start
   */
  static async start(
    runtime: Runtime,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    scratches: readonly number[],
    onDeath: (reason: string) => void,
  ): Promise<WorkerPool> {
    const pool = new WorkerPool(memory);
    let failure: string | undefined;
    const fail = (reason: string) => {
      failure ??= reason;
      onDeath(reason);
    };
    for (const scratch of scratches) {
      const worker = runtime.startWorker<WorkerData>(computeThread, {
        module,
        memory,
        scratch,
        statusWord: control.CONTROL_STATUS / 4,
        trapStatus: control.STATUS_TRAP,
        barrierWord: control.CONTROL_BARRIER_GENERATION / 4,
      });
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
      await yieldToEvents();
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
