// Reads text that arrives in pieces: what a reader decides never depends on where a piece ends.

/** Reads on when more text has come: a generator that stops when it needs text that is not there yet. */
export type Reading<T> = Generator<undefined, T, undefined>;

/** The text of an answer, and the place in it. Whatever is read is forgotten, unless it is marked. */
export class Scanner {
  /** Whether all text is there. */
  ended = false;
  #text = "";
  #at = 0;
  // The marked text: what was forgotten of it, and where it begins in #text.
  #marked: string | undefined;
  #from = 0;

  /** Adds a piece. */
  feed(text: string): void {
    if (this.#marked !== undefined) this.#marked += this.#text.slice(this.#from, this.#at);
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = this.#from = 0;
  }

  /** From here on what is read is remembered, behind `text`, which was read already. */
  mark(text = ""): void {
    this.#marked = text;
    this.#from = this.#at;
  }

  /** What was read since the mark, which is gone. */
  marked(): string {
    const text = (this.#marked ?? "") + this.#text.slice(this.#from, this.#at);
    this.#marked = undefined;
    return text;
  }

  /** Whether everything was read and no more comes. */
  get done(): boolean {
    return this.ended && this.#at >= this.#text.length;
  }

  /** The next UTF-16 unit, "" at the end. */
  *peek(): Reading<string> {
    while (this.#at >= this.#text.length) {
      if (this.ended) return "";
      yield;
    }
    return this.#text[this.#at] as string;
  }

  /** Reads one UTF-16 unit, "" at the end. */
  *next(): Reading<string> {
    const unit = yield* this.peek();
    this.#at += unit.length;
    return unit;
  }

  /** Reads `word` if it is next. */
  *eat(word: string): Reading<boolean> {
    for (;;) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return true;
      }
      const rest = this.#text.length - this.#at;
      if (this.ended || rest >= word.length || !word.startsWith(this.#text.slice(this.#at))) return false;
      yield;
    }
  }

  /** Reads characters as long as they are of a kind, given as /[...]+/y, and hands them on as they come. */
  *each(kind: RegExp, emit: (text: string) => void): Reading<void> {
    for (;;) {
      kind.lastIndex = this.#at;
      const found = kind.exec(this.#text);
      if (found) {
        this.#at += found[0].length;
        emit(found[0]);
      }
      if (this.#at < this.#text.length || this.ended) return;
      yield;
    }
  }

  /** As {@link each}, all at once. */
  *run(kind: RegExp): Reading<string> {
    let text = "";
    yield* this.each(kind, (more) => {
      text += more;
    });
    return text;
  }

  /** Takes back what {@link until} has just read. */
  unread(word: string): void {
    this.#at -= word.length;
  }

  /** Skips white space. */
  *space(): Reading<void> {
    yield* this.each(/\s+/y, () => undefined);
  }

  /**
   * Hands on text up to the first of some markers and reads the marker. What may become a marker is held back.
   * @returns the marker; "" if the text ended without one
   */
  *until(markers: Markers, emit: (text: string) => void): Reading<string> {
    for (;;) {
      const { pattern } = markers;
      pattern.lastIndex = this.#at;
      const found = markers.words.length > 0 ? pattern.exec(this.#text) : null;
      const end = found ? found.index : this.ended ? this.#text.length : markers.hold(this.#text, this.#at);
      if (end > this.#at) emit(this.#text.slice(this.#at, end));
      this.#at = end + (found ? found[0].length : 0);
      if (found || this.ended) return found ? found[0] : "";
      yield;
    }
  }
}

/** Texts that mean something to a reader. */
export class Markers {
  readonly words: readonly string[];
  /** Finds any of them, in time linear in the text. */
  readonly pattern: RegExp;
  readonly #longest: number;

  constructor(words: readonly string[]) {
    this.words = words;
    this.pattern = new RegExp(
      words.map((word) => word.replace(/[[\](){}|\\^$.*+?/]/g, "\\$&")).join("|"),
      "g",
    );
    this.#longest = Math.max(0, ...words.map((word) => word.length));
  }

  /** Where text begins, from `at` on, that the next piece may complete to a marker; the end of the text if nowhere. */
  hold(text: string, at: number): number {
    for (let from = Math.max(at, text.length - this.#longest + 1); from < text.length; from++) {
      const tail = text.slice(from);
      if (this.words.some((word) => word.startsWith(tail))) return from;
    }
    return text.length;
  }
}
