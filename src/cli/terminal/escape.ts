// Texts of files on a terminal: what could move a cursor, change a colour or the direction of a line is spelled out.

/** Control characters but line ends and tabs, and those that change the direction of text. */
const unsafe = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** A text whose lines stay, and nothing else that a terminal would obey. */
export function escaped(text: string, spell: (code: number) => string = spelled): string {
  return text.replace(unsafe, (character) => spell(character.charCodeAt(0)));
}

/** As {@link escaped}, on one line of at most `maxChars`. */
export function escapedLine(text: string, maxChars: number): string {
  const short = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return escaped(short).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

function spelled(code: number): string {
  const hex = code.toString(16);
  return hex.length < 3 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`;
}
