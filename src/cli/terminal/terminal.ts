// What a terminal can show: escape sequences, colours, columns.
import { variable } from "../input/environment.ts";

/** What is asked of a standard stream. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Whether a stream is a terminal that can redraw a line. */
export function canRedraw(stream: TerminalStream): boolean {
  return stream.isTTY === true && variable("TERM") !== "dumb";
}

/** Whether a stream is a terminal that shows styles, and its owner wants them (https://no-color.org). */
export function canStyle(stream: TerminalStream): boolean {
  const { Deno } = globalThis as { Deno?: { readonly noColor: boolean } };
  // Deno needs no permission for this variable.
  return canRedraw(stream) && !(Deno?.noColor ?? (variable("NO_COLOR") ?? "") !== "");
}

/** A text in bold, with the end of the style: nothing can come between. */
export function bold(text: string): string {
  return text === "" ? "" : `\x1b[1m${text}\x1b[22m`;
}

/** A text in a softer style, with the end of the style. */
export function dim(text: string): string {
  return text === "" ? "" : `\x1b[2m${text}\x1b[22m`;
}

/** Columns of a terminal; 80 if it does not say. */
export function columnsOf({ columns = 0 }: TerminalStream): number {
  return columns > 0 ? columns : 80;
}

/** Columns that a text takes: two for each wide character, none for what joins the one before. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** The beginning of a text, at most `columns` wide, with "…" if it was cut. */
export function fitWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let fitting = "";
  let width = 1;
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns) break;
    fitting += character;
  }
  return columns > 0 ? `${fitting}…` : "";
}

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u;

function characterWidth(character: string): number {
  if (/[\p{M}\p{Cf}]/u.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
