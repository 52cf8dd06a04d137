// A page whose worker runs cria.
import type { Answer, Call } from "../protocol.ts";

const worker = new Worker("/cria_worker.js", { type: "module" });

Object.assign(globalThis, {
  call(call: Call): Promise<Answer> {
    const file = document.querySelector("input")?.files?.[0];
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => resolve({ error: message });
      worker.postMessage({ call, file });
    });
  },
});
