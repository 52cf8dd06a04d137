// The thread in which a served model computes, so that the one that listens never waits for a step.
import { URL } from "node:url";
import { MessageChannel, type MessagePort, Worker, workerData } from "node:worker_threads";
import type { EngineThread } from "../../server/remote/remote_model.ts";
import { serveEngine } from "../../server/remote/serve_engine.ts";
import { loadServed, type ServedValues } from "./load_served.ts";

interface ThreadData {
  readonly engine: ServedValues;
  readonly port: MessagePort;
}

// URL of the main module.
let main = "";

/** Starts the thread. It runs the main module again, which calls {@link runEngineThread} there: a command line is one file. */
export function startEngineThread(engine: ServedValues, onDeath: (reason: string) => void): EngineThread {
  const { port1, port2 } = new MessageChannel();
  const data: ThreadData = { engine, port: port2 };
  const worker = new Worker(new URL(main), { workerData: data, transferList: [port2] });
  let isOver = false;
  const die = (reason: string) => {
    if (isOver) return;
    isOver = true;
    port1.close();
    onDeath(reason);
  };
  worker.on("error", (error) => die(String(error)));
  worker.on("exit", (status) => die(`it ended with status ${status}`));
  return {
    port: port1 as unknown as EngineThread["port"],
    stop() {
      isOver = true;
      port1.close();
      void worker.terminate();
    },
  };
}

/** What the main module does in the thread; false if this is another thread. @param url of the main module */
export function runEngineThread(url: string): boolean {
  main = url;
  const { engine, port } = (workerData ?? {}) as Partial<ThreadData>;
  if (!engine || !port) return false;
  serveEngine(port as unknown as EngineThread["port"], () => loadServed(engine));
  return true;
}
