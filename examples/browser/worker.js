// Runs the engine in a worker: the page stays responsive, and threads may wait here. Messages from the page:
//   { load: { source, options } }   loads a model: undefined for the embedded one, a File, or a URL
//   { generate: { prompt, options } }
//   { stop: true }                  ends the generation; to drop the model, the page ends the worker
// Messages to the page: { progress } and { pieces } meanwhile, then one of { loaded }, { done }, { aborted } and
// { error, retired }. `retired` means that the model must be loaded again.
import { Llama } from "../../dist/cria.js";

/** Alternatives that the page shows for each token. */
const ALTERNATIVES = 5;
/** Milliseconds between messages with tokens, because small models make thousands of tokens a second. */
const BATCH_MS = 30;

let llama;
/** Aborts the current generation. */
let controller;

const decoder = new TextDecoder();
// Part of a character can be a token. It has no text of its own.
function textOf(id) {
  const bytes = llama.tokenizer.bytes(id, { special: true });
  const text = decoder.decode(bytes);
  if (!text.includes("\ufffd")) return text;
  return Array.from(bytes, (byte) => `<${byte.toString(16).padStart(2, "0").toUpperCase()}>`).join("");
}

const withText = ({ id, logprob }) => ({
  id,
  text: textOf(id),
  isEnd: llama.tokenizer.eosIds.includes(id),
  probability: Math.exp(logprob),
});

async function load({ source, options }) {
  llama?.dispose();
  llama = undefined;
  const onProgress = (progress) => postMessage({ progress });
  llama = await Llama.load(source, { ...options, onProgress });
  const { threads, kernel, loadMs, contextLength } = llama;
  return { loaded: { threads, kernel, loadMs, contextLength } };
}

async function generate({ prompt, options }) {
  controller = new AbortController();
  const { signal } = controller;
  const generation = llama.generate(prompt, { ...options, signal, logprobs: ALTERNATIVES });
  let pieces = [];
  let sent = performance.now();
  const send = () => {
    if (pieces.length > 0) postMessage({ pieces });
    pieces = [];
    sent = performance.now();
  };
  try {
    for (;;) {
      const { done, value } = await generation.next();
      if (done) {
        send();
        const { finishReason, usage, timings } = value;
        return { done: { finishReason, usage, timings } };
      }
      const { text, alternatives } = value;
      pieces.push({
        ...withText(value),
        text,
        token: textOf(value.id),
        alternatives: alternatives.map(withText),
      });
      if (performance.now() - sent >= BATCH_MS) send();
    }
  } finally {
    send();
  }
}

async function run(work, request) {
  try {
    postMessage(await work(request));
  } catch (error) {
    if (error === controller?.signal.reason) postMessage({ aborted: true });
    else postMessage({ error: error.message ?? String(error), retired: error.code === "ENGINE" });
  }
}

addEventListener("message", ({ data }) => {
  if (data.stop) controller?.abort();
  if (data.load) run(load, data.load);
  if (data.generate) run(generate, data.generate);
});
