// A thread of its own with an engine over the embedded model, for tests of models behind a port.
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { EngineThread } from "../../src/server/remote/remote_model.ts";

/** What tests ask of the thread. */
export interface EngineThreadOptions {
  readonly contextLength?: number;
  readonly parallel?: number;
  readonly prefixCache?: number;
  /** A model that is loaded instead of the embedded one. */
  readonly model?: string;
}

/** Starts a thread whose model has the name "tales". */
export function startEngineThread(
  options: EngineThreadOptions,
  onDeath: (reason: string) => void,
): EngineThread {
  const { port1, port2 } = new MessageChannel();
  const url = new URL("./engine_worker.ts", import.meta.url);
  const worker = new Worker(url, {
    workerData: { port: port2, options },
    transferList: [port2 as MessagePort],
  });
  let isStopped = false;
  const die = (reason: string) => {
    if (isStopped) return;
    isStopped = true;
    port1.close();
    onDeath(reason);
  };
  worker.on("error", (error) => die(String(error)));
  worker.on("exit", (status) => die(`it ended with status ${status}`));
  return {
    port: port1 as unknown as EngineThread["port"],
    stop() {
      isStopped = true;
      port1.close();
      void worker.terminate();
    },
  };
}
