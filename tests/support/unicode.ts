import { Class, classOf } from "../../src/tokenizer/unicode/characters.ts";

/** Each class as a regular expression, in the order of asking. */
const members: readonly (readonly [number, RegExp])[] = [
  [Class.space, /^ $/],
  [Class.newline, /^[\r\n]$/],
  [Class.whitespace, /^\p{White_Space}$/u],
  [Class.asciiUpper, /^[A-Z]$/],
  [Class.asciiLower, /^[a-z]$/],
  [Class.upper, /^\p{Lu}$/u],
  [Class.lower, /^\p{Ll}$/u],
  [Class.title, /^\p{Lt}$/u],
  [Class.uncased, /^[\p{Lm}\p{Lo}]$/u],
  [Class.mark, /^\p{M}$/u],
  [Class.number, /^\p{N}$/u],
  [Class.punctuation, /^\p{P}$/u],
  [Class.symbol, /^\p{S}$/u],
  [Class.other, /^[\s\S]$/u],
];

/** The {@link Class} of a code point by the regular expressions of this runtime. */
export function runtimeClass(character: number): number {
  const text = String.fromCodePoint(character);
  return members.find(([, member]) => member.test(text))?.[0] as number;
}

/**
 * Whether cria classes every character of a text as the regular expressions of this runtime do, which may be of
 * another version of Unicode; false for lone surrogates.
 */
export function isClassedAlike(text: string): boolean {
  return Array.from(text, (character) => character.codePointAt(0) as number).every(
    (character) => classOf(character) === runtimeClass(character),
  );
}
