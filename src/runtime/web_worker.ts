// Threads of browsers: workers whose code is a Blob, so that bundles need no second file, or a file where one
// is named.
import type { WorkerHandle, WorkerMain } from "./runtime.ts";

// A worker that is forbidden or does not load says nothing of why.
function startFailure(url: string | URL): string {
  return String(url).startsWith("blob:")
    ? "the page's Content-Security-Policy may forbid blob: workers: serve dist/worker.js and name it in the option workerUrl"
    : `${url} does not load, or the page may not start it`;
}

function blobUrl<Data>(main: WorkerMain<Data>): string {
  const code = `onmessage = (event) => (${main})(event.data, (text) => postMessage(text));`;
  return URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}

/** A thread that runs `main(data, send)`, from the file at `url` where there is one. */
export function startWebWorker<Data>(
  main: WorkerMain<Data>,
  data: Data,
  url: string | URL = blobUrl(main),
): WorkerHandle {
  const worker = new Worker(url, { type: "module" });
  let ended = false;
  const handle: WorkerHandle = {
    onText: () => {},
    onDeath: () => {},
    terminate() {
      ended = true;
      worker.terminate();
      if (String(url).startsWith("blob:")) URL.revokeObjectURL(String(url));
    },
  };
  worker.onmessage = (event) => handle.onText(event.data);
  worker.onerror = (event) => {
    if (ended) return;
    ended = true;
    handle.onDeath(event.message ?? startFailure(url));
  };
  worker.postMessage(data);
  return handle;
}
