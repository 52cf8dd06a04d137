// What a tokenizer.json searches for in texts: a string or a regular expression.
import type { JsonValue } from "./json.ts";
import { type Match, readRegex } from "./regex.ts";

/** What a Split or Replace looks for: a text, or a regular expression. */
export interface Pattern {
  /** The text, if it is one. */
  readonly literal?: string;
  /** The regular expression, if it is one, as the file spells it. */
  readonly source?: string;
  /** From left to right. */
  matches(text: string): readonly Match[];
}

/**
 * Reads {"String": ...} or {"Regex": ...}.
 * @throws FormatError, UnsupportedError
 */
export function readPattern(json: JsonValue): Pattern {
  const text = json.get("String");
  if (text.value !== undefined) return literalPattern(text.string());
  const source = json.get("Regex");
  if (source.value === undefined) throw json.expected('{"String": ...} or {"Regex": ...}');
  const regex = readRegex(source);
  return { source: regex.pattern, matches: (text) => (text === "" ? [] : regex.matches(text)) };
}

/** A text; the empty text is found nowhere. */
export function literalPattern(literal: string): Pattern {
  return {
    literal,
    matches(text) {
      const found: Match[] = [];
      if (literal === "") return found;
      for (let i = text.indexOf(literal); i >= 0; i = text.indexOf(literal, i + literal.length)) {
        found.push([i, i + literal.length]);
      }
      return found;
    },
  };
}
