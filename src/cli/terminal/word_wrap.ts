// Text that comes in pieces, broken between words on a terminal: a word that reaches the edge moves to the next line.
import { textWidth } from "./terminal.ts";

/** Where tabs stop. */
const TAB = 8;

/** Breaks lines between words. Text is shown at once; a word that turns out too long for its line is taken back. */
export class WordWrap {
  readonly #columns: () => number;
  #column = 0;
  /** What of the last word is shown. */
  #word = "";
  #wordWidth = 0;

  /** @param columns of the terminal, which may change */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** A line begins. */
  reset(): void {
    this.#column = 0;
    this.#endWord();
  }

  /** What to write for a piece of text. It begins where the one before ended. */
  push(text: string): string {
    // The last column stays free: some terminals start a new line after it.
    const edge = this.#columns() - 1;
    let shown = "";
    for (const character of text) shown += this.#show(character, edge);
    return shown;
  }

  #show(character: string, edge: number): string {
    if (character === "\n") {
      this.reset();
      return character;
    }
    const width = character === "\t" ? TAB - (this.#column % TAB) : textWidth(character);
    if (character === " " || character === "\t") {
      this.#endWord();
      if (this.#column + width > edge) return this.#newLine();
      this.#column += width;
      return character;
    }
    // Lines may break before and after each wide character.
    if (width === 2) this.#endWord();
    let shown = character;
    if (this.#column + width > edge && this.#column > this.#wordWidth) {
      const back = this.#wordWidth > 0 ? `\x1b[${this.#wordWidth}D\x1b[K` : "";
      shown = `${back}\n${this.#word}${character}`;
      this.#column = this.#wordWidth;
    }
    this.#column += width;
    this.#word += character;
    this.#wordWidth += width;
    if (width === 2) this.#endWord();
    return shown;
  }

  #newLine(): string {
    this.#column = 0;
    return "\n";
  }

  #endWord(): void {
    this.#word = "";
    this.#wordWidth = 0;
  }
}
