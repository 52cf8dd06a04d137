// Threads of browsers: module-less workers whose code is a Blob, so that bundles need no second file.
import type { WorkerHandle, WorkerMain } from "./runtime.ts";

/** A thread that runs `main(data, send)`. */
export function startWebWorker<Data>(main: WorkerMain<Data>, data: Data): WorkerHandle {
  const code = `onmessage = (event) => (${main})(event.data, (text) => postMessage(text));`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(url);
  let ended = false;
  const handle: WorkerHandle = {
    onText: () => {},
    onDeath: () => {},
    terminate() {
      ended = true;
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
  worker.onmessage = (event) => handle.onText(event.data);
  worker.onerror = (event) => {
    if (ended) return;
    ended = true;
    handle.onDeath(event.message);
  };
  worker.postMessage(data);
  return handle;
}
