// Threads of Bun, Deno and Node: node:worker_threads, the only interface of all three whose workers need not keep the
// process alive. The code travels as text: bundles need no second file.
import { EngineError } from "../util/errors.ts";
import type { WorkerHandle, WorkerMain } from "./runtime.ts";

/** A thread that runs `main(data, send)` when it is given its data. */
export function startProcessWorker<Data>(main: WorkerMain<Data>): WorkerHandle<Data> {
  const { Worker } = globalThis.process.getBuiltinModule("node:worker_threads");
  const code = `const { parentPort } = process.getBuiltinModule("node:worker_threads");
parentPort.once("message", (data) => (${main})(data, (text) => parentPort.postMessage(text)));`;
  const worker = started(() => new Worker(code, { eval: true }));
  let ended = false;
  const handle: WorkerHandle<Data> = {
    onText: () => {},
    onDeath: () => {},
    begin: (data) => worker.postMessage(data),
    terminate() {
      ended = true;
      void worker.terminate();
    },
  };
  const die = (reason: string) => {
    if (ended) return;
    ended = true;
    handle.onDeath(reason);
  };
  worker.on("message", (text: string) => handle.onText(text));
  worker.on("error", (error: unknown) => die(String(error)));
  worker.on("exit", (status: number) => die(`it ended with status ${status}`));
  worker.unref();
  return handle;
}

// Node's permission model refuses workers with an error that does not say what would allow them.
function started<T>(start: () => T): T {
  try {
    return start();
  } catch (cause) {
    if ((cause as { code?: unknown } | undefined)?.code !== "ERR_ACCESS_DENIED") throw cause;
    throw new EngineError("the permission model refuses workers (--allow-worker allows them)", { cause });
  }
}
