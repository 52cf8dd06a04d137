// Threads of browsers: workers whose code is a Blob (bundles then need no second file), or a file if one is named.
import { EngineError } from "../util/errors.ts";
import type { WorkerHandle, WorkerMain } from "./runtime.ts";

// A worker that is forbidden or does not load gives no reason.
function startFailure(url: string | URL): string {
  return String(url).startsWith("blob:")
    ? "the page's Content-Security-Policy may forbid blob: workers: serve dist/worker.js and name it in the option workerUrl"
    : `${url} does not load, or the page may not start it`;
}

function blobUrl<Data>(main: WorkerMain<Data>): string {
  const code = `onmessage = (event) => (${main})(event.data, (text) => postMessage(text));`;
  return URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}

// With `require-trusted-types-for 'script'` only addresses that a policy has made start a worker.
function startWorker(url: string | URL): Worker {
  try {
    return new Worker(url, { type: "module" });
  } catch (cause) {
    try {
      return new Worker(trustedUrl(url), { type: "module" });
    } catch {
      throw new EngineError(`${cause instanceof Error ? cause.message : cause}; ${startFailure(url)}`, {
        cause,
      });
    }
  }
}

interface ScriptPolicy {
  createScriptURL(url: string): string;
}

let policy: ScriptPolicy | undefined;

// A policy of one name can be made only once, and only if the page allows it (`trusted-types cria`).
function trustedUrl(url: string | URL): string {
  const { trustedTypes } = globalThis as {
    trustedTypes?: { createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy };
  };
  if (!trustedTypes) throw new EngineError("Cannot start a worker: no Trusted Types");
  policy ??= trustedTypes.createPolicy("cria", { createScriptURL: (text) => text });
  return policy.createScriptURL(String(url));
}

/**
 * A thread that runs `main(data, send)` when it is given its data, from the file at `url` if there is one.
 * @throws EngineError if the page's policies refuse it at once
 */
export function startWebWorker<Data>(
  main: WorkerMain<Data>,
  url: string | URL = blobUrl(main),
): WorkerHandle<Data> {
  const worker = startWorker(url);
  let ended = false;
  const handle: WorkerHandle<Data> = {
    onText: () => {},
    onDeath: () => {},
    begin: (data) => worker.postMessage(data),
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
    handle.onDeath(event.message || startFailure(url));
  };
  return handle;
}
