// Which texts may become pieces: lengths, scripts, digits and spaces.
import { SPACE } from "../../sentencepiece/vocabulary.ts";
import type { SentencePieceSpec } from "../options.ts";
import { scriptOf, UNASSIGNED } from "../text/unicode_scripts.ts";

/** Stands for characters that are too rare to become pieces. */
export const RARE = "\u2585";

/** Stands for a special symbol in the text: nothing is learned across it. */
export const BOUNDARY = "\t";

/** A script that goes with all others. */
const ANY = "";

/**
 * Which sequences of characters may become a piece.
 *
 * Source: google/sentencepiece, trainer_interface.cc (IsValidSentencePiece).
 */
export class PieceRules {
  readonly #spec: SentencePieceSpec;
  readonly #scripts = new Map<string, string>();

  constructor(spec: SentencePieceSpec) {
    this.#spec = spec;
  }

  isValid(characters: readonly string[]): boolean {
    const n = characters.length;
    if (n === 0 || n > this.#spec.maxPieceLength) return false;
    if (!this.#hasValidSpaces(characters)) return false;
    let previous = ANY;
    for (const character of characters) {
      if (character === RARE || character === BOUNDARY || character === " " || character === "\0")
        return false;
      if (character === SPACE) continue;
      const isDigit = isDecimalDigit(character);
      if (isDigit && this.#spec.splitDigits && n > 1) return false;
      let script = this.#script(character);
      if (script === "Zinh") script = previous;
      if (isDigit && !this.#spec.splitByNumber) script = ANY;
      const differs = script !== ANY && previous !== ANY && script !== previous;
      if (differs && this.#spec.splitByUnicodeScript) return false;
      previous = script;
    }
    return true;
  }

  /** Spaces are at the beginning of a piece, or inside if words may join, or all there is. */
  #hasValidSpaces(characters: readonly string[]): boolean {
    const { allowWhitespaceOnlyPieces, splitByWhitespace } = this.#spec;
    if (allowWhitespaceOnlyPieces && characters.every((character) => character === SPACE)) return true;
    const last = characters.length - 1;
    return characters.every(
      (character, i) => character !== SPACE || i === 0 || (!splitByWhitespace && i < last),
    );
  }

  #script(character: string): string {
    let script = this.#scripts.get(character);
    if (script === undefined) {
      script = scriptForPieces(character);
      this.#scripts.set(character, script);
    }
    return script;
  }
}

/** Chinese characters and kana count as one script, unassigned characters as common. */
function scriptForPieces(character: string): string {
  const script = scriptOf(character.codePointAt(0) as number);
  // The long vowel mark of katakana is common to both kana.
  if (script === "Hira" || script === "Kana" || character === "\u30fc") return "Hani";
  return script === UNASSIGNED ? "Zyyy" : script;
}

/** ASCII digits and their fullwidth forms. */
function isDecimalDigit(character: string): boolean {
  return (character >= "0" && character <= "9") || (character >= "\uff10" && character <= "\uff19");
}
