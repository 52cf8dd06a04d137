// Shows the generated tokens of an answer, how likely each was, and the alternatives of one of them.

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

/** Room between the panel and the edge of the page, and between it and its token. */
const MARGIN_PX = 8;
const GAP_PX = 2;

/** The shown name of the token that ends a text. */
const END = "end of text";

const percents = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });

/** "83%", "0.12%". */
const percent = (probability) => percents.format(probability);

/** The index in {@link BANDS} of a probability. */
function bandOf(probability) {
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

const isInside = (node, ...elements) =>
  node instanceof Node && elements.some((element) => element.contains(node));

/** The panel with the alternatives of a token: one for the whole page. */
export class Alternatives {
  #panel;
  /** The {@link Tokens} whose token is shown. */
  #owner;

  /** @param panel contains a table with a caption; what it is positioned in also contains all tokens */
  constructor(panel) {
    this.#panel = panel;
    document.addEventListener("click", ({ target }) => {
      if (!isInside(target, panel, ...(this.#owner ? [this.#owner.list] : []))) this.hide();
    });
    // The pointer may move from the tokens onto the panel. Leaving both closes it.
    panel.addEventListener("pointerleave", ({ pointerType, relatedTarget }) => {
      const owner = this.#owner;
      if (!owner?.isShown || pointerType === "touch" || document.activeElement === owner.list) return;
      if (!isInside(relatedTarget, panel, owner.list)) this.hide();
    });
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  contains(node) {
    return isInside(node, this.#panel);
  }

  /** Shows the alternatives of a piece under its span. */
  show(owner, span, { id, token, isEnd, probability, alternatives }) {
    if (this.#owner !== owner) this.hide();
    this.#owner = owner;
    const rows = alternatives.map((other) => row({ ...other, token: other.text }, other.id === id));
    if (!alternatives.some((other) => other.id === id))
      rows.push(row({ id, token, isEnd, probability }, true));
    this.#panel.querySelector("tbody").replaceChildren(...rows);
    this.#panel.hidden = false;
    span.setAttribute("aria-describedby", this.#panel.id);
    this.#place(span);
  }

  hide() {
    if (this.#panel.hidden) return;
    this.#panel.hidden = true;
    this.#owner?.unmark();
    this.#owner = undefined;
  }

  // Under the last line of the token, inside the page.
  #place(span) {
    const box = [...span.getClientRects()].at(-1) ?? span.getBoundingClientRect();
    const parent = this.#panel.offsetParent.getBoundingClientRect();
    const most = parent.width - this.#panel.offsetWidth - MARGIN_PX;
    this.#panel.style.left = `${Math.max(MARGIN_PX, Math.min(box.left - parent.left, most))}px`;
    this.#panel.style.top = `${box.bottom - parent.top + GAP_PX}px`;
  }
}

let answers = 0;

/**
 * The tokens of one answer. They are plain text that may be clicked, until {@link isShown} makes them a listbox, with colours and
 * arrow keys.
 */
export class Tokens {
  #alternatives;
  #pieces = [];
  #current = -1;
  #isShown = false;
  #prefix = `answer-${answers++}-`;

  constructor(list, alternatives) {
    /** The element whose children are the tokens. */
    this.list = list;
    this.#alternatives = alternatives;
    // A lifted finger leaves every element, so a tapped token stays shown until a tap elsewhere. A touch may also be a scroll;
    // a click is not, so touches count by their clicks. A mouse counts only if it moves, because growing text may move under it.
    list.addEventListener("pointermove", ({ pointerType, target }) => {
      if (this.#isShown && pointerType !== "touch") this.#showFor(target);
    });
    list.addEventListener("click", ({ target }) => {
      // A click also ends the selection of a text.
      if (getSelection()?.isCollapsed ?? true) this.#showFor(target);
    });
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("focus", () => {
      if (list.matches(":focus-visible")) this.#show(Math.max(0, this.#current));
    });
    list.addEventListener("blur", ({ relatedTarget }) => {
      if (!alternatives.contains(relatedTarget)) alternatives.hide();
    });
    list.addEventListener("pointerleave", ({ pointerType, relatedTarget }) => {
      if (!this.#isShown || pointerType === "touch" || document.activeElement === list) return;
      if (!alternatives.contains(relatedTarget)) alternatives.hide();
    });
  }

  get count() {
    return this.#pieces.length;
  }

  /** Whether all probabilities are shown. */
  get isShown() {
    return this.#isShown;
  }

  set isShown(shown) {
    this.#alternatives.hide();
    this.#isShown = shown;
    const { list } = this;
    list.classList.toggle("shown", shown);
    const attributes = {
      role: "listbox",
      tabindex: "0",
      "aria-label": "Tokens of the answer",
      "aria-describedby": "keys",
    };
    for (const [name, value] of Object.entries(attributes)) {
      if (shown) list.setAttribute(name, value);
      else list.removeAttribute(name);
    }
    this.#pieces.forEach((piece, index) => {
      this.#describe(list.children[index], piece);
    });
  }

  clear() {
    this.#alternatives.hide();
    this.#pieces = [];
    this.#current = -1;
    this.list.replaceChildren();
  }

  /** Adds tokens at the end. */
  append(pieces) {
    const spans = document.createDocumentFragment();
    for (const piece of pieces) {
      const index = this.#pieces.push(piece) - 1;
      const span = element("span", {
        className: "token",
        id: this.#prefix + index,
        textContent: piece.text,
      });
      span.dataset.index = index;
      if (piece.id !== undefined) span.dataset.band = bandOf(piece.probability);
      if (piece.isEnd) span.dataset.end = END;
      if (this.#isShown) this.#describe(span, piece);
      spans.append(span);
    }
    this.list.append(spans);
  }

  /** No token is the chosen one any more. */
  unmark() {
    this.#mark(false);
    this.list.removeAttribute("aria-activedescendant");
  }

  // Screen readers read plain text as it is. In a listbox each token has its name.
  #describe(span, { id, text, token, isEnd, probability }) {
    const attributes = {
      role: "option",
      "aria-selected": "false",
      "aria-label": id === undefined ? text : `${spoken(token, isEnd)}, ${percent(probability)}`,
    };
    for (const [name, value] of Object.entries(attributes)) {
      if (this.#isShown) span.setAttribute(name, value);
      else span.removeAttribute(name);
    }
  }

  #showFor(target) {
    const span = target instanceof Element && target.closest(".token");
    if (!span) return;
    const index = Number(span.dataset.index);
    if (!this.#alternatives.isOpen || !this.#isMarked(index)) this.#show(index);
  }

  #isMarked(index) {
    return index === this.#current && this.list.children[index]?.classList.contains("current");
  }

  #onKey(event) {
    if (!this.#isShown) return;
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
    this.list.children[this.#current]?.scrollIntoView({ block: "nearest" });
  }

  #show(index) {
    const piece = this.#pieces[index];
    if (!piece) return;
    const span = this.list.children[index];
    this.#mark(false);
    // Text that was held back belongs to no token.
    if (piece.id === undefined) this.#alternatives.hide();
    else this.#alternatives.show(this, span, piece);
    this.#current = index;
    this.#mark(true);
  }

  // Sets or removes the mark of the current token.
  #mark(on) {
    const span = this.list.children[this.#current];
    if (!span) return;
    span.classList.toggle("current", on);
    if (!on) span.removeAttribute("aria-describedby");
    if (!this.#isShown) return;
    span.setAttribute("aria-selected", String(on));
    if (on) this.list.setAttribute("aria-activedescendant", span.id);
  }
}
