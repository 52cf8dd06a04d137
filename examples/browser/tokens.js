// Shows the generated tokens with their probabilities, and the alternatives of one token on hover or keyboard focus.

/**
 * Bands of probability: the least probability of each, and its name in the legend. style.css defines their colours. Only
 * unlikely tokens are coloured, because several words are likely at most places of a text.
 */
export const BANDS = [
  [0.3, "30% and more"],
  [0.1, "10–30%"],
  [0.03, "3–10%"],
  [0, "under 3%"],
];

/** The shown name of the token that ends a text. */
const END = "end of text";

const percents = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });

/** "83%", "0.12%". */
export const percent = (probability) => percents.format(probability);

/** The index in {@link BANDS} of a probability. */
export function bandOf(probability) {
  const band = BANDS.findIndex(([least]) => probability >= least);
  return band < 0 ? BANDS.length - 1 : band;
}

/** A token's text with visible spaces and line breaks; a name for the token that ends a text. */
function visible(text, isEnd) {
  if (isEnd) return END;
  return text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "(nothing)";
}

/** The text of a token for screen readers. */
function spoken(text, isEnd) {
  if (isEnd) return END;
  return text.trim() || { "": "nothing", " ": "space", "\n": "line break" }[text] || "white space";
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function row({ id, token, isEnd, probability }, chosen) {
  const name = element(
    "th",
    { scope: "row" },
    visible(token, isEnd),
    ...(chosen ? [" ", element("small", {}, "chosen")] : []),
  );
  const bar = element("span", { className: "bar" });
  bar.style.setProperty("--part", probability);
  const cell = element("td", {}, bar, element("span", {}, percent(probability)));
  const made = element("tr", {}, name, cell);
  made.dataset.id = id;
  if (chosen) made.className = "chosen";
  return made;
}

/** The tokens of the current text, and the panel that shows the alternatives of one of them. */
export class TokenView {
  #list;
  #panel;
  #pieces = [];
  #current = -1;

  /**
   * @param list the listbox whose options are the tokens
   * @param panel contains a table with a caption; it has the same positioned ancestor as the list
   */
  constructor(list, panel) {
    this.#list = list;
    this.#panel = panel;
    // A lifted finger leaves every element, so a tapped token stays shown until a tap elsewhere. A touch may also be a scroll;
    // a click is not, so touches count by their clicks. A mouse counts only if it moves, because growing text may move under it.
    list.addEventListener("pointermove", ({ pointerType, target }) => {
      if (pointerType !== "touch") this.#showFor(target);
    });
    list.addEventListener("click", ({ target }) => this.#showFor(target));
    document.addEventListener("click", ({ target }) => {
      if (target instanceof Node && !list.contains(target) && !panel.contains(target)) this.#hide();
    });
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("focus", () => {
      if (list.matches(":focus-visible")) this.#show(Math.max(0, this.#current));
    });
    list.addEventListener("blur", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && panel.contains(relatedTarget))) this.#hide();
    });
    // The pointer may move onto the panel. Leaving both the list and the panel closes it.
    for (const part of [list, panel]) {
      part.addEventListener("pointerleave", ({ pointerType, relatedTarget }) => {
        if (pointerType === "touch") return;
        const inside =
          relatedTarget instanceof Node && (list.contains(relatedTarget) || panel.contains(relatedTarget));
        if (!inside && document.activeElement !== list) this.#hide();
      });
    }
    addEventListener("keydown", ({ key }) => key === "Escape" && this.#hide());
  }

  clear() {
    this.#hide();
    this.#pieces = [];
    this.#current = -1;
    this.#list.replaceChildren();
  }

  /** Adds tokens at the end. */
  append(pieces) {
    const spans = document.createDocumentFragment();
    for (const piece of pieces) {
      const index = this.#pieces.push(piece) - 1;
      const span = element("span", { className: "token", id: `token-${index}`, textContent: piece.text });
      span.dataset.band = bandOf(piece.probability);
      span.setAttribute("role", "option");
      span.setAttribute("aria-selected", "false");
      if (piece.isEnd) span.dataset.end = END;
      span.setAttribute("aria-label", `${spoken(piece.token, piece.isEnd)}, ${percent(piece.probability)}`);
      spans.append(span);
    }
    this.#list.append(spans);
  }

  #showFor(target) {
    const span = target instanceof Element && target.closest(".token");
    if (!span) return;
    const index = Number(span.id.slice("token-".length));
    if (this.#panel.hidden || index !== this.#current) this.#show(index);
  }

  #onKey(event) {
    const last = this.#pieces.length - 1;
    const to = {
      ArrowRight: this.#current + 1,
      ArrowDown: this.#current + 1,
      ArrowLeft: this.#current - 1,
      ArrowUp: this.#current - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.#show(Math.min(Math.max(0, to), last));
    this.#list.children[this.#current]?.scrollIntoView({ block: "nearest" });
  }

  #show(index) {
    const piece = this.#pieces[index];
    if (!piece) return;
    this.#mark(false);
    this.#current = index;
    this.#mark(true);
    const { id, token, isEnd, probability, alternatives } = piece;
    const rows = alternatives.map((other) => row({ ...other, token: other.text }, other.id === id));
    if (!alternatives.some((other) => other.id === id))
      rows.push(row({ id, token, isEnd, probability }, true));
    this.#panel.querySelector("tbody").replaceChildren(...rows);
    this.#panel.hidden = false;
    this.#place(this.#list.children[index]);
  }

  // Sets or removes the mark of the current token.
  #mark(on) {
    const span = this.#list.children[this.#current];
    if (!span) return;
    span.setAttribute("aria-selected", String(on));
    if (on) {
      this.#list.setAttribute("aria-activedescendant", span.id);
      span.setAttribute("aria-describedby", this.#panel.id);
    } else {
      span.removeAttribute("aria-describedby");
    }
  }

  // Places the panel under the last line of the token, inside the page.
  #place(span) {
    const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
    const parent = this.#panel.offsetParent.getBoundingClientRect();
    const left = Math.min(box.left - parent.left, parent.width - this.#panel.offsetWidth);
    this.#panel.style.left = `${Math.max(0, left)}px`;
    this.#panel.style.top = `${box.bottom - parent.top}px`;
  }

  #hide() {
    if (this.#panel.hidden) return;
    this.#mark(false);
    this.#list.removeAttribute("aria-activedescendant");
    this.#panel.hidden = true;
  }
}
