// A thread of memory_process.ts.
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Sweep } from "../../machine.ts";

/** Index of the token that threads may read for. */
export const GO = 0;
/** Index of the number of parts that threads have read. */
export const DONE = 1;

/** How often a thread reads its part. */
export interface ReadTask {
  readonly tokens: number;
}

function listen(port: NonNullable<typeof parentPort>): void {
  const { bytes, flags } = workerData as { bytes: number; flags: Int32Array };
  const sweep = new Sweep(bytes);
  port.on("message", ({ tokens }: ReadTask) => {
    port.postMessage("awake");
    for (let token = 1; token <= tokens; token++) {
      while (Atomics.load(flags, GO) < token);
      sweep.read();
      Atomics.add(flags, DONE, 1);
    }
  });
  port.postMessage("ready");
}

if (!isMainThread && parentPort) listen(parentPort);
