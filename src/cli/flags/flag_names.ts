// Error messages of the library name its options; people at a command line know flags.
import { basename } from "node:path";
import type { Flags } from "./args.ts";

/**
 * A message of the library with flags in place of options: "--context" for "contextLength".
 * @param flags the flags of the command that failed
 * @param args what it was called with: names of files among them stay as they are
 */
export function nameFlags(message: string, flags: Flags, args: readonly string[]): string {
  const names = new Map(Object.entries(flags).map(([key, { flag, option = key }]) => [option, flag]));
  const plain = [...names.keys()].map(escapeRegex).join("|");
  const camel = [...names.keys()].filter((name) => /[A-Z]/.test(name)).map(escapeRegex);
  const passed = given(args);
  const patterns = [
    // Texts of the command line come first in the pattern: they stay as they are.
    passed.length > 0
      ? `(?<![\\p{L}\\p{N}_])(?:${passed.map(escapeRegex).join("|")})(?![\\p{L}\\p{N}_])`
      : "",
    // "the tokenizer option (--tokenizer FILE)" says it twice.
    `the (?:${plain}) option \\((?<named>--[^()]*)\\)`,
    // "(chatTemplate, --chat-template FILE)" too.
    camel.length > 0 ? `\\((?:${camel.join("|")}), (?<twice>--[^()]*\\))` : "",
    // A name of two words is always an option.
    camel.length > 0 ? `(?<![\\w.$/\\\\-])(?<camel>${camel.join("|")})(?![\\w/\\\\-]|\\.\\w)` : "",
    // A name that is also an English word is an option only in the places where messages put options.
    `(?<=Cannot (?:load|generate|train|sample) with |Expected (?:integer )?)(?<word>${plain})(?= (?:\\S+: Expected|to be |in [[(]|of at (?:most|least) ))`,
    `(?<=\\boption )(?<option>${plain})\\b`,
    // "with threads: 1" is advice in the notation of the library.
    `(?<=\\bwith )(?<setting>${plain}): (?=\\d)`,
  ];
  const all = new RegExp(patterns.filter((pattern) => pattern !== "").join("|"), "gu");
  return message.replace(all, (text, ...rest) => {
    const { named, twice, camel, word, option, setting } = rest.at(-1) as Record<string, string | undefined>;
    const flag = names.get(setting ?? "");
    if (flag !== undefined) return `${flag} `;
    if (twice !== undefined) return `(${twice}`;
    return named ?? names.get(camel ?? word ?? option ?? "") ?? text;
  });
}

/** Texts of the command line that a message may repeat, the longest first. */
function given(args: readonly string[]): readonly string[] {
  const texts = args.flatMap((arg) => [arg, arg.replace(/^--?[\w-]+=/, "")]);
  const all = texts.flatMap((text) => [text, basename(text)]);
  return [...new Set(all)]
    .filter((text) => text !== "" && text.length <= MAX_GIVEN)
    .sort((a, b) => b.length - a.length);
}

/** Longer arguments are prompts, which no message repeats. */
const MAX_GIVEN = 4096;

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
