// What a terminal sends, taken apart: keys, Ctrl-C, Ctrl-Z, and pasted text, whose line ends must not send it line by line.

/** Begin and end of pasted text, from terminals that were asked to mark it. */
const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** Keys that are no part of a line. */
const signals: Readonly<Record<string, "interrupt" | "suspend">> = { "\x03": "interrupt", "\x1a": "suspend" };

/** What stands in an edited line for a line end and a tab: the pictures that Unicode has for them, in bytes of UTF-8. */
const pictures = { "\n": "\xe2\x90\xa4", "\t": "\xe2\x90\x89" } as const;

/** The text that was meant by an edited line. */
export function withLineEnds(line: string): string {
  return line.replaceAll("\u2424", "\n").replaceAll("\u2409", "\t");
}

/** A text as an edited line shows it. */
export function onOneLine(text: string): string {
  return text.replaceAll("\n", "\u2424").replaceAll("\t", "\u2409");
}

/** Something that was typed. */
export type Typed = "interrupt" | "suspend" | TypedKeys;

/** Keys, or text that was pasted. */
export interface TypedKeys {
  readonly keys: string;
  readonly isPasted: boolean;
}

/** Takes apart what a terminal sends. Bytes are characters here ("latin1"), so that nothing of UTF-8 is cut. */
export class PastedKeys {
  #isPasting = false;
  /** Bytes that may be the begin of a mark, or pasted text whose end is not there yet. */
  #held = "";

  /** Keys for the editor of a line, and Ctrl-C and Ctrl-Z apart from them. */
  push(bytes: string): Typed[] {
    const typed: Typed[] = [];
    let rest = this.#held + bytes;
    this.#held = "";
    for (;;) {
      const mark = this.#isPasting ? PASTE_END : PASTE_BEGIN;
      const at = rest.indexOf(mark);
      if (at < 0) break;
      this.#add(typed, rest.slice(0, at));
      rest = rest.slice(at + mark.length);
      this.#isPasting = !this.#isPasting;
    }
    // Pasted text is handed over as a whole.
    const held = this.#isPasting ? rest.length : heldLength(rest, PASTE_BEGIN);
    this.#held = rest.slice(rest.length - held);
    this.#add(typed, rest.slice(0, rest.length - held));
    return typed;
  }

  #add(typed: Typed[], text: string): void {
    if (text === "") return;
    if (this.#isPasting) {
      typed.push({ keys: pasted(text), isPasted: true });
      return;
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const keys of text.split(/([\x03\x1a])/))
      if (keys !== "") typed.push(signals[keys] ?? { keys, isPasted: false });
  }
}

/** Pasted text as one line: pictures for line ends and tabs, and no other control character. */
function pasted(text: string): string {
  return (
    text
      // The last two are what Unicode has for ends of lines and paragraphs.
      .replace(/\r\n?|\n|\xe2\x80[\xa8\xa9]/g, pictures["\n"])
      .replaceAll("\t", pictures["\t"])
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      .replace(/[\x00-\x1f\x7f]/g, "")
  );
}

/** How many bytes at the end may be the begin of a mark. A lone escape is a key. */
function heldLength(text: string, mark: string): number {
  for (let n = Math.min(mark.length - 1, text.length); n >= 2; n--) {
    if (text.endsWith(mark.slice(0, n))) return n;
  }
  return 0;
}
