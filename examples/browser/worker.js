// Runs the engine in a worker: the page stays responsive, and threads may wait here. Messages from the page:
//   { load: { source, options } }             loads a model: a name, a URL, a File or files by their names
//   { chat: { system, messages, options } }   answers the last of the messages, all of the conversation
//   { generate: { prompt, options } }         continues a text
//   { stop: true }                            ends all tasks so far soon
//   { port }                                  serves the model to a service worker at the other end, beside all else
// The first three are tasks, which have an `id` beside that and run one after the other. Messages to the page have the id of
// their task: { progress }, { pieces } and { forgotten } (how many turns did not fit) meanwhile, then one of { loaded }, { done },
// { stopped } and { error, retired }. `retired` means that the model must be loaded again.
import { Llama } from "../../dist/cria.js";

/** Alternatives that the page shows for each token. */
const ALTERNATIVES = 5;
/** Milliseconds between messages with tokens, because small models make thousands of tokens a second. */
const BATCH_MS = 30;

let llama;
/** The model as a server asks it. */
let served;
/** The conversation whose keys and values are in memory. */
let chat;
/** Aborts the tasks that have come and not ended. */
const controllers = new Set();
/** The task that runs, or ran last, and its end. */
let current;
let ending = Promise.resolve();

const tell = (message) => postMessage({ id: current, ...message });

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

async function load({ source, options }, signal) {
  llama?.dispose();
  llama = undefined;
  chat = undefined;
  served = undefined;
  const onProgress = (progress) => tell({ progress });
  llama = await Llama.load(source, { ...options, signal, onProgress });
  const { threads, kernel, loadMs, contextLength } = llama;
  const hasTemplate = llama.template.source !== undefined;
  return { loaded: { threads, kernel: kernel.variant, loadMs, contextLength, hasTemplate } };
}

/** The chat with the messages that the page has. What it has beyond them is undone: the page has edited or retried a message. */
function chatWith(system, messages) {
  const onTrim = (dropped) => tell({ forgotten: dropped.filter(({ role }) => role === "user").length });
  chat ??= llama.chat({ onTrim });
  chat.system = system || undefined;
  const isThere = ({ role, content }, i) => messages[i]?.role === role && messages[i].content === content;
  const said = () => chat.messages.filter(({ role }) => role !== "system");
  while (!said().every(isThere) || said().length >= messages.length) chat.undo();
  return said().length;
}

function answer({ system, messages, options }, signal) {
  const known = chatWith(system, messages);
  return stream(chat.send(messages.slice(known), asked(options, signal)));
}

const generate = ({ prompt, options }, signal) => stream(llama.generate(prompt, asked(options, signal)));

const asked = (options, signal) => ({ ...options, signal, stopOnAbort: true, logprobs: ALTERNATIVES });

/** What a piece of an answer or of a story adds: its text, and what the model thinks before. */
function entriesOf({ id, text, reasoning = "", logprob, alternatives }) {
  // What was held back comes without a token, and a token may end the thoughts and begin the answer.
  const token =
    id === undefined
      ? {}
      : { ...withText({ id, logprob }), token: textOf(id), alternatives: alternatives.map(withText) };
  const thought = { ...token, text: reasoning, isThought: true };
  if (reasoning !== "" && text === "") return [thought];
  return [...(reasoning === "" ? [] : [{ text: reasoning, isThought: true }]), { ...token, text }];
}

/** Sends the pieces of a generation in batches, and gives what it ends with. */
async function stream(generation) {
  let pieces = [];
  let sent = performance.now();
  const send = () => {
    if (pieces.length > 0) tell({ pieces });
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
      pieces.push(...entriesOf(value));
      if (performance.now() - sent >= BATCH_MS) send();
    }
  } finally {
    send();
  }
}

/** Runs the jobs of a server: they share the steps of the page's own answers. */
async function serve(port) {
  const { LocalModel, serveEngine } = await import("../../dist/server.js");
  serveEngine(port, async () => {
    served ??= new LocalModel(llama, { id: llama.name ?? "cria" });
    return served;
  });
}

const tasks = { load, chat: answer, generate };

async function run({ id, ...message }, signal) {
  current = id;
  const [name] = Object.keys(message);
  try {
    tell(await tasks[name](message[name], signal));
  } catch (error) {
    if (error === signal.reason) tell({ stopped: true });
    else tell({ error: error.message ?? String(error), retired: error.code === "ENGINE" });
  }
}

addEventListener("message", ({ data }) => {
  if (data.stop) {
    for (const controller of controllers) controller.abort();
    return;
  }
  if (data.port) {
    serve(data.port);
    return;
  }
  const controller = new AbortController();
  controllers.add(controller);
  ending = ending.then(() => run(data, controller.signal)).then(() => controllers.delete(controller));
});
