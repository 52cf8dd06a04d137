// The page: reads what is chosen and written, asks the engine (engine.js), and shows the conversation (turn.js).
import { Engine, Stopped } from "./engine.js";
import { invitation, MODELS, size } from "./models.js";
import { Picker } from "./picker.js";
import { Served } from "./served.js";
import { Settings } from "./settings.js";
import { Alternatives } from "./tokens.js";
import { isSend, plural, Turn } from "./turn.js";

const $ = (id) => document.getElementById(id);
/** Free space under the end of a growing text. */
const FOLLOW_PX = 24;
/** How near the end of the page somebody must scroll for the page to follow the text again. */
const NEAR_PX = 40;

const engine = new Engine();
const settings = new Settings($("settings"), $("settings-form"));
const alternatives = new Alternatives($("alternatives"));
const picker = new Picker($("models"), choose);

const served = new Served(async () => {
  // Others take the model as it is: other threads in the settings are for the next message of this page.
  await (engine.facts || engine.doing === "load" ? loading.promise : ensureLoaded());
  const { port1, port2 } = new MessageChannel();
  engine.connect(port1);
  return port2;
});

let model = MODELS[0];
/** The turns of the conversation, and the one that is being answered. */
let turns = [];
let answering;
/** What is loaded or loading: `{ model, threads, promise }`. */
let loading;
/** How far loading is, as the library says it. */
let progress;
/** Whether the page scrolls with the text. It does until the user scrolls up. */
let following = true;

function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function showError(message) {
  setText("error", message);
  $("error").hidden = message === "";
}

const mode = () => document.querySelector("input[name=mode]:checked").value;

function setMode(value) {
  document.querySelector(`input[name=mode][value=${value}]`).checked = true;
}

/** Shows what can be done now, and what is loaded. */
function update() {
  const busy = answering !== undefined;
  const isLoading = engine.doing === "load";
  $("send").hidden = busy;
  $("stop").hidden = !busy;
  $("loading").hidden = !isLoading;
  for (const button of document.querySelectorAll(".retry, .edit, .editor [type=submit]"))
    button.disabled = busy;
  $("new").disabled = busy || turns.length === 0;
  $("invitation").hidden = turns.length > 0;
  document.querySelector("input[name=mode][value=chat]").disabled = !canChat();
  setText("model-name", model.name);
  setText("model-size", model.bytes === undefined ? "" : size(model.bytes));
  const state = isLoading ? progressText() : engine.facts ? "In use" : "";
  picker.show({ model, state, fraction: isLoading ? (progress?.fraction ?? 0) : undefined });
}

/** Whether the model has a chat template, as far as is known. */
const canChat = () => engine.facts?.hasTemplate ?? !model.isTeller;

/** What an empty page asks for. */
function invite() {
  const { title, placeholder, suggestions, note } = invitation(model, mode());
  setText("invitation-title", title);
  setText("invitation-note", note);
  $("message").placeholder = placeholder;
  setText("message-label", mode() === "chat" ? "Message" : "Beginning of a story");
  $("suggestions").replaceChildren(
    ...suggestions.map((text) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.addEventListener("click", () => send(text));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

/** "34 of 292 MB · 5.2 MB/s · 50 s left" */
function progressText() {
  if (!progress) return "Beginning";
  const { download, loadedBytes, totalBytes, bytesPerSecond, remainingMs } = progress;
  const [done, all] = download ? [download.receivedBytes, download.totalBytes] : [loadedBytes, totalBytes];
  const parts = [all ? `${size(done)} of ${size(all)}` : size(done)];
  if (bytesPerSecond) parts.push(`${size(bytesPerSecond)}/s`);
  if (remainingMs > 0) parts.push(`${Math.ceil(remainingMs / 1000)} s left`);
  return parts.join(" · ");
}

function showProgress(report) {
  progress = report;
  if (report?.fraction === undefined) $("progress").removeAttribute("value");
  else $("progress").value = report.fraction;
  setText("progress-text", progressText());
  setText(
    "loading-what",
    `${report?.download && !model.isEmbedded ? "Downloading" : "Loading"} ${model.name}`,
  );
  update();
}

/** Loads the chosen model, unless it is there with the threads that are asked for. */
function ensureLoaded() {
  const { threads } = settings;
  const isSame = loading?.model === model && loading.threads === threads;
  if (isSame && (engine.facts || engine.doing === "load")) return loading.promise;
  showError("");
  const options = { threads, ...(model.cache && { cache: true }) };
  const mine = { model, threads };
  mine.promise = engine
    .load(model.source, options, showProgress)
    .then(loaded, (error) => notLoaded(error, loading === mine));
  loading = mine;
  showProgress(undefined);
  setText("status", "Loading the model.");
  return mine.promise;
}

function loaded({ hasTemplate, threads }) {
  if (!hasTemplate && mode() === "chat") {
    setMode("story");
    invite();
  }
  setText("status", `Ready, ${plural(threads, "thread")}.`);
  update();
  served.offer();
}

function notLoaded(error, isLatest) {
  if (isLatest) {
    setText("status", error instanceof Stopped ? "Loading was stopped." : "The model was not loaded.");
    update();
  }
  throw error;
}

/** Loads the model before somebody asks it something. */
function loadAhead() {
  // A turn that waits for the model shows the error as its own.
  ensureLoaded().catch((error) => !answering && !(error instanceof Stopped) && showError(error.message));
}

/** Takes another model: what runs is stopped first. */
async function choose(chosen) {
  stop();
  await Promise.allSettled([answering?.done, engine.doing === "load" ? loading.promise : undefined]);
  model = chosen;
  setMode(chosen.isTeller ? "story" : "chat");
  invite();
  loadAhead();
  focusMessage();
}

/** What the model is told: the turns before this one that have answers, as far as it knows them, and what is said now. */
function messagesOf(turn) {
  const before = turns
    .slice(0, turns.indexOf(turn))
    .filter(({ mode, isAnswered, isForgotten }) => mode === "chat" && isAnswered && !isForgotten);
  return [
    ...before.flatMap(({ said, answer }) => [
      { role: "user", content: said },
      { role: "assistant", content: answer },
    ]),
    { role: "user", content: turn.said },
  ];
}

/** Answers a turn: what came of it is in the page then. */
async function answer(turn) {
  const options = settings.options(invitation(model, turn.mode).maxTokens, turn.attempts);
  turn.begin();
  following = true;
  let end;
  let isLoaded = false;
  answering = { turn, done: new Promise((resolve) => (end = resolve)) };
  update();
  follow();
  try {
    await ensureLoaded();
    isLoaded = true;
    setText("status", turn.mode === "chat" ? "Answering." : "Writing.");
    const request =
      turn.mode === "chat"
        ? { chat: { system: settings.system, messages: messagesOf(turn), options } }
        : { generate: { prompt: turn.said, options } };
    const result = await engine.run(request, {
      onForgotten: forget,
      onPieces(pieces) {
        turn.append(pieces);
        follow();
      },
    });
    turn.end(result, options.seed);
    ended(turn, result);
  } catch (error) {
    turn.fail(
      error instanceof Stopped && !error.isLost ? "Stopped before the model was loaded." : error.message,
    );
    if (isLoaded) setText("status", error instanceof Stopped ? "Stopped." : "Ended by an error.");
  } finally {
    answering = undefined;
    end();
    update();
    follow();
    focusMessage();
  }
}

/** Puts the cursor into the message if it is nowhere else. On a phone that would open the keyboard. */
function focusMessage() {
  const { activeElement } = document;
  const isLost =
    activeElement === null || activeElement === document.body || activeElement.closest(":disabled, [hidden]");
  if (isLost && matchMedia("(hover: hover)").matches) $("message").focus({ preventScroll: true });
}

/** Marks the oldest turns that the model no longer knows, because its context is full. */
function forget(n) {
  const known = turns.filter((turn) => turn.mode === "chat" && turn.isAnswered && !turn.isForgotten);
  for (const turn of known.slice(0, n)) turn.forget();
  const border = document.querySelector(".border") ?? document.createElement("li");
  border.className = "border hint";
  border.textContent = "The model does not remember what stands above: its context was full.";
  known[n - 1]?.element.after(border);
}

/** Says how an answer ended; screen readers read it as a whole. */
function ended(turn, { finishReason, usage }) {
  const used = usage.promptTokens + usage.generatedTokens;
  const { contextLength } = engine.facts;
  const how = { abort: "Stopped", length: "Cut", context: "Full" }[finishReason] ?? "Done";
  setText("status", `${how}. ${used} of ${plural(contextLength, "token")} used.`);
  setText("spoken", turn.answer);
}

function addTurn(said) {
  const turn = new Turn(said, mode(), alternatives, {
    isIdle: () => answering === undefined,
    retry: (turn) => retry(turn, turn.said),
    edit: retry,
    // The legend takes room.
    explained: (turn) => turn === turns.at(-1) && follow(),
    copied(error) {
      if (error) showError(`Cannot copy the text: ${error.message}`);
      else setText("status", "The text was copied.");
    },
  });
  turns.push(turn);
  $("conversation").append(turn.element);
  return turn;
}

function send(text) {
  if (answering || text.trim() === "" || !settings.check()) return;
  $("message").value = "";
  fitMessage();
  showError("");
  answer(addTurn(text));
}

/** Answers a turn once more, perhaps with other words of the user. What followed it in a chat answered other words. */
function retry(turn, said) {
  if (answering || !settings.check()) return;
  if (turn.mode === "chat") {
    for (const later of turns.splice(turns.indexOf(turn) + 1)) later.element.remove();
  }
  if (said !== turn.said) turn.attempts = 0;
  turn.say(said);
  showError("");
  answer(turn);
}

function stop() {
  if (!engine.doing) return;
  setText("status", "Stopping.");
  engine.stop();
}

/** Begins or ends to answer requests of other pages. */
async function serve({ target }) {
  let message = "";
  try {
    await (target.checked ? served.start() : served.stop());
  } catch (error) {
    target.checked = false;
    message = error.message;
  }
  setText("serve-error", message);
  $("serve-error").hidden = message === "";
}

function startAnew() {
  if (answering) return;
  turns = [];
  $("conversation").replaceChildren();
  alternatives.hide();
  showError("");
  setText("status", "");
  invite();
  update();
  focusMessage();
}

/** The field is as high as its text, up to a limit of style.css. */
function fitMessage() {
  const field = $("message");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

/** Keeps the end of the text in view, above the dock. */
function follow() {
  const end = answering?.turn.element ?? turns.at(-1)?.element;
  if (!following || !end) return;
  const below = end.getBoundingClientRect().bottom + FOLLOW_PX - $("dock").getBoundingClientRect().top;
  if (below > 0) scrollBy(0, below);
}

function followAgain() {
  const { scrollHeight } = document.documentElement;
  if (innerHeight + scrollY >= scrollHeight - NEAR_PX) following = true;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send($("message").value);
});
$("message").addEventListener("input", fitMessage);
$("message").addEventListener("keydown", (event) => {
  if (!isSend(event)) return;
  event.preventDefault();
  send($("message").value);
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (alternatives.isOpen) alternatives.hide();
  else stop();
});
for (const gesture of ["wheel", "touchmove"]) {
  addEventListener(gesture, () => (following = false), { passive: true });
}
addEventListener("scrollend", followAgain);
$("stop").addEventListener("click", stop);
$("stop-loading").addEventListener("click", stop);
$("new").addEventListener("click", startAnew);
$("model").addEventListener("click", () => picker.open());
$("other-models").addEventListener("click", () => picker.open());
$("open-settings").addEventListener("click", () => settings.open());
$("mode").addEventListener("change", invite);
$("serve").addEventListener("change", serve);
setText("serve-url", Served.baseUrl);

invite();
loadAhead();
