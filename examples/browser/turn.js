// One turn of a conversation: what was said, the answer as it comes, and its buttons.
import { BANDS, Tokens } from "./tokens.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const plural = (n, word) => `${whole.format(n)} ${word}${n === 1 ? "" : "s"}`;

/** What is said of an answer that did not end by itself. */
const endings = {
  length: "cut at the limit",
  context: "the context is full",
  abort: "stopped",
};

/** The parts of a turn in index.html by their classes. */
const PARTS = [
  ..."said before thoughts error legend meta".split(" "),
  ..."retry edit copy probabilities editor".split(" "),
];

/** A turn, and its element in the page. */
export class Turn {
  #parts;
  #editor;
  #isBusy = false;
  /** How often the answer was begun. */
  attempts = 0;
  /** The text of the answer, without thoughts. */
  answer = "";
  /** Whether there is an answer that a later message may build on. */
  isAnswered = false;
  /** Whether the model does not know this turn any more. */
  isForgotten = false;

  /**
   * @param said what the user wrote
   * @param mode "chat" or "story": a story goes on in the same paragraph
   * @param alternatives the panel of the page
   * @param actions `retry(turn)`, `edit(turn, text)`, `copied(error)`, `explained(turn)`, `isIdle()`
   */
  constructor(said, mode, alternatives, actions) {
    this.mode = mode;
    this.element = document.getElementById("turn").content.firstElementChild.cloneNode(true);
    this.element.classList.add(mode);
    const part = (name) => this.element.querySelector(`.${name}`);
    this.#parts = Object.fromEntries(PARTS.map((name) => [name, part(name)]));
    this.#editor = part("editor");
    if (mode === "story") this.#parts.retry.after(this.#parts.edit);
    this.tokens = new Tokens(part("tokens"), alternatives);
    this.thoughts = new Tokens(part("thoughts").querySelector("div"), alternatives);
    this.say(said);
    this.#listen(actions);
  }

  #listen(actions) {
    const { retry, edit, copy, probabilities } = this.#parts;
    const editor = this.#editor;
    const text = editor.querySelector("textarea");
    retry.addEventListener("click", () => actions.retry(this));
    edit.addEventListener("click", () => this.openEditor());
    copy.addEventListener("click", () => {
      const copied = this.mode === "story" ? this.said + this.answer : this.answer;
      navigator.clipboard.writeText(copied).then(() => actions.copied(), actions.copied);
    });
    probabilities.addEventListener("click", () => {
      this.#explain(!this.tokens.isShown);
      actions.explained(this);
    });
    editor.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!actions.isIdle() || text.value.trim() === "") return;
      this.closeEditor();
      actions.edit(this, text.value);
    });
    editor.addEventListener("reset", (event) => {
      event.preventDefault();
      this.closeEditor();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        this.closeEditor();
      } else if (isSend(event)) {
        event.preventDefault();
        editor.requestSubmit();
      }
    });
  }

  // Shows or hides how likely each token was.
  #explain(shown) {
    const { legend, probabilities } = this.#parts;
    this.tokens.isShown = shown;
    this.thoughts.isShown = shown;
    probabilities.setAttribute("aria-pressed", String(shown));
    legend.hidden = !shown;
    if (!shown || legend.childElementCount > 0) return;
    for (const [band, [, name]] of BANDS.entries()) {
      const swatch = Object.assign(document.createElement("span"), {
        className: "swatch",
        textContent: name,
      });
      swatch.dataset.band = band;
      if (band > 0) legend.append(" ", swatch);
    }
  }

  /** Changes what the user said. */
  say(said) {
    this.said = said;
    this.#parts.said.textContent = said;
    this.#parts.before.textContent = said;
  }

  openEditor() {
    const text = this.#editor.querySelector("textarea");
    text.value = this.said;
    this.element.classList.add("editing");
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  }

  closeEditor() {
    this.element.classList.remove("editing");
    this.#parts.edit.focus();
  }

  /** Drops the answer that there is: another one comes. */
  begin() {
    this.attempts += 1;
    this.answer = "";
    this.isAnswered = false;
    this.isForgotten = false;
    this.element.classList.remove("forgotten");
    this.tokens.clear();
    this.thoughts.clear();
    this.#parts.thoughts.hidden = true;
    this.#parts.meta.textContent = "";
    this.#say("");
    this.#setBusy(true);
  }

  append(pieces) {
    const answer = pieces.filter(({ isThought }) => !isThought);
    const thoughts = pieces.filter(({ isThought }) => isThought);
    if (thoughts.length > 0) {
      this.#parts.thoughts.hidden = false;
      this.thoughts.append(thoughts);
    }
    this.tokens.append(answer);
    for (const { text } of answer) this.answer += text;
    this.#nameThoughts(this.answer === "" ? "Thinking …" : "Thoughts");
  }

  /** The model knows this turn no more: its context is too small for the whole conversation. */
  forget() {
    this.isForgotten = true;
    this.element.classList.add("forgotten");
  }

  /** Ends the answer: `{ finishReason, usage, timings }` and the seed. */
  end({ finishReason, usage, timings }, seed) {
    this.#setBusy(false);
    this.#nameThoughts("Thoughts");
    this.isAnswered = this.answer.trim() !== "";
    const rate = timings.decodeTps > 0 && `${whole.format(timings.decodeTps)} tokens/s`;
    const facts = [plural(usage.generatedTokens, "token"), rate, `seed ${seed}`, endings[finishReason]];
    this.#parts.meta.textContent = facts.filter(Boolean).join(" · ");
  }

  /** Ends without an answer, or with a part of one. */
  fail(message) {
    this.#setBusy(false);
    this.isAnswered = this.answer.trim() !== "";
    this.#say(message);
  }

  #nameThoughts(name) {
    this.#parts.thoughts.querySelector("summary").textContent = name;
  }

  #say(message) {
    this.#parts.error.textContent = message;
    this.#parts.error.hidden = message === "";
  }

  #setBusy(busy) {
    this.#isBusy = busy;
    this.element.classList.toggle("busy", busy);
    this.element.setAttribute("aria-busy", String(busy));
  }

  get isBusy() {
    return this.#isBusy;
  }
}

/** Whether a key sends a text: Enter without Shift, when no input method is composing. */
export const isSend = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing;
