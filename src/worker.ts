/**
 * A compute thread as a file of its own, for pages whose Content-Security-Policy allows no `blob:` workers:
 * serve this file and name it in the option `workerUrl` of `Llama.load`.
 *
 * @module
 */
import { computeThread, type ThreadData } from "./engine/threads/compute_thread.ts";

addEventListener("message", (event: MessageEvent<ThreadData>) => {
  computeThread(event.data, (text) => postMessage(text));
});
