// The page: reads the form, talks to the engine in its worker (worker.js lists the messages), and shows the text.
import { BANDS, TokenView } from "./tokens.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
const numbers = ["temperature", "topK", "topP", "minP", "repeatPenalty", "seed", "maxTokens"];
const endings = {
  eos: "Done: the model ended its text.",
  length: "Done: as many tokens as were asked for.",
  context: "Done: the model's context is full.",
};
/** Milliseconds after which the page ends an engine that does not answer to Stop. */
const PATIENCE_MS = 1000;
/** Free space under the end of a growing text. */
const FOLLOW_PX = 48;
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const view = new TokenView($("tokens"), $("alternatives"));
let worker;
/** The model that the worker has or loads: source and threads from the form, and the engine's description of itself. */
let model;
/** The worker's current task: undefined, "load" or "generate". */
let doing;
/** A timer that runs after Stop, until the generation answers. */
let patience;
let tokens = 0;
let firstTokenAt = 0;
/** Whether the page scrolls with the text. It does until the user scrolls. */
let following = false;

const plural = (n, word) => `${whole.format(n)} ${word}${n === 1 ? "" : "s"}`;
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

function setText(id, text) {
  $(id).textContent = text;
}

function showError(message) {
  setText("error", message);
  $("error").hidden = message === "";
}

/** Shows the current task, and updates the buttons. */
function setDoing(what, status) {
  doing = what;
  clearTimeout(patience);
  patience = undefined;
  setText("status", status);
  $("start").disabled = what !== undefined;
  $("stop").disabled = what === undefined;
  $("loading").hidden = what !== "load";
  $("tokens").setAttribute("aria-busy", String(what === "generate"));
  $("copy").disabled = what !== undefined || tokens === 0;
}

function showProgress({ loadedBytes, totalBytes, download }) {
  const [done, all] =
    totalBytes > 0 ? [loadedBytes, totalBytes] : [download?.receivedBytes, download?.totalBytes];
  if (all) $("progress").value = done / all;
  else $("progress").removeAttribute("value");
  setText("progress-text", done ? `${megabytes(done)} ${all ? `of ${megabytes(all)} ` : ""}MB` : "");
}

function showSpeed(perSecond) {
  const { threads, kernel } = model.engine;
  const simd = kernel.variant.startsWith("relaxed") ? "relaxed SIMD" : "SIMD";
  const rate = perSecond > 0 ? `${whole.format(perSecond)} tokens/s, ` : "";
  setText("speed", `${plural(tokens, "token")}, ${rate}${plural(threads, "thread")}, ${simd}`);
}

function addPieces(pieces) {
  const isFirst = tokens === 0;
  tokens += pieces.length;
  view.append(pieces);
  if (isFirst) {
    firstTokenAt = performance.now();
    showProbabilities();
  }
  $("plain").append(...pieces.map(({ text }) => text));
  follow();
  showSpeed((1000 * (tokens - pieces.length)) / (performance.now() - firstTokenAt));
}

function selectedSource() {
  const kind = new FormData(form).get("source");
  if (kind === "file") return $("file").files[0];
  return kind === "url" ? $("url").value.trim() : undefined;
}

function settings() {
  const values = numbers.map((id) => [id, $(id).valueAsNumber]);
  // An empty field means no seed.
  return Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value)));
}

function load(source, threads) {
  model = { source, threads, engine: undefined };
  showProgress({ loadedBytes: 0, totalBytes: 0 });
  setDoing("load", "Loading the model.");
  const cache = typeof source === "string" && $("cache").checked;
  worker.postMessage({ load: { source, options: { threads, cache } } });
}

/** Clears the output of an earlier run. After a failure it would look like output of this one. */
function clear() {
  tokens = 0;
  view.clear();
  showProbabilities();
  for (const id of ["before", "plain", "speed"]) setText(id, "");
  showError("");
}

/** Scrolls the text into view if it is below the screen. On a phone the form fills the screen. */
function showResult() {
  following = true;
  const room = innerHeight - $("text").getBoundingClientRect().top;
  if (room < innerHeight / 3) $("result").scrollIntoView({ block: "start" });
}

/** Keeps the end of the text in view. */
function follow() {
  const end = ($("show").checked ? $("tokens") : $("plain")).getBoundingClientRect().bottom;
  const below = end - innerHeight + FOLLOW_PX;
  if (following && below > 0) scrollBy(0, below);
}

function generate() {
  const prompt = $("prompt").value;
  clear();
  setText("before", prompt);
  setDoing("generate", "Generating.");
  worker.postMessage({ generate: { prompt, options: settings() } });
}

function start() {
  clear();
  showResult();
  worker ??= startWorker();
  const source = selectedSource();
  const threads = crossOriginIsolated ? $("threads").valueAsNumber : 1;
  if (model?.engine && model.source === source && model.threads === threads) generate();
  else load(source, threads);
}

// Stop ends a worker that loads at once: loading has no pauses, and its result is not needed. A generation ends by itself, with
// its next token at the latest, and its model stays loaded.
function stop() {
  if (!doing || patience !== undefined) return;
  performance.mark("stop-asked");
  if (doing === "load") {
    endWorker();
    stopped("Loading was stopped.");
    return;
  }
  patience = setTimeout(() => {
    endWorker();
    stopped(
      `Stopped after ${plural(tokens, "token")}. The engine did not answer: the model will be loaded again.`,
    );
  }, PATIENCE_MS);
  setText("status", "Stopping.");
  worker.postMessage({ stop: true });
}

function stopped(status) {
  performance.measure("stop", "stop-asked");
  setDoing(undefined, status);
}

function fail(message) {
  setDoing(undefined, doing === "load" ? "The model was not loaded." : "Ended by an error.");
  showError(message);
}

function receive({ progress, loaded, pieces, done, aborted, error, retired }) {
  if (progress) showProgress(progress);
  if (pieces) addPieces(pieces);
  if (loaded) {
    model.engine = loaded;
    generate();
  }
  if (done) {
    showSpeed(done.timings.decodeTps);
    setDoing(undefined, endings[done.finishReason]);
  }
  if (aborted) stopped(`Stopped after ${plural(tokens, "token")}.`);
  if (retired) model = undefined;
  if (error !== undefined) fail(error);
}

function startWorker() {
  const started = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  started.onmessage = ({ data }) => receive(data);
  started.onerror = (event) => {
    event.preventDefault();
    endWorker();
    // If the imports of a worker cannot be loaded, its error has no message.
    fail(event.message || "Cannot start the engine: dist/cria.js does not load; `bun run dist` makes it");
  };
  return started;
}

/** Ends the worker with its threads, its memory and its task. It sends no messages after this. */
function endWorker() {
  worker.terminate();
  worker = undefined;
  model = undefined;
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("before").textContent + $("plain").textContent);
    setText("status", "The text was copied.");
  } catch (error) {
    showError(`Cannot copy the text: ${error.message}`);
  }
}

/** Shows the fields for the chosen kind of model, and makes them required. */
function showChoice() {
  const chosen = new FormData(form).get("source");
  for (const part of document.querySelectorAll(".of-choice")) part.hidden = part.dataset.source !== chosen;
  $("file").required = chosen === "file";
  $("url").required = chosen === "url";
}

function showIsolation() {
  const cores = navigator.hardwareConcurrency;
  const threads = $("threads");
  threads.disabled = !crossOriginIsolated;
  if (crossOriginIsolated) threads.valueAsNumber = cores;
  setText(
    "threads-hint",
    crossOriginIsolated ? `this device can run ${cores} at once` : "this page may use one only",
  );
  setText(
    "isolation",
    crossOriginIsolated
      ? "This page is cross-origin isolated: the engine can use several threads."
      : "This page is not cross-origin isolated: the engine uses one thread. A server that sends the headers COOP and COEP changes that.",
  );
}

function showLegend() {
  $("legend").replaceChildren(
    ...BANDS.map(([, name], band) => {
      const sample = Object.assign(document.createElement("span"), { className: "token", textContent: name });
      sample.dataset.band = band;
      const item = document.createElement("li");
      item.append(sample);
      return item;
    }),
  );
}

function showProbabilities() {
  const shown = $("show").checked;
  $("tokens").hidden = !shown || tokens === 0;
  $("help").hidden = !shown;
  $("plain").hidden = shown;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!doing) start();
});
form.addEventListener("change", showChoice);
// Opens closed settings if a field in them is wrong, so the message is visible.
form.addEventListener(
  "invalid",
  ({ target }) => {
    target.closest("details")?.setAttribute("open", "");
    // The browser shows errors of this start. Clear an error of an earlier one.
    showError("");
    setText("status", "");
  },
  true,
);
$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  if (!doing) form.requestSubmit($("start"));
});
for (const gesture of ["wheel", "touchmove"]) {
  addEventListener(gesture, () => (following = false), { passive: true });
}
$("stop").addEventListener("click", stop);
$("copy").addEventListener("click", copy);
$("show").addEventListener("change", showProbabilities);

showChoice();
showIsolation();
showLegend();
showProbabilities();
