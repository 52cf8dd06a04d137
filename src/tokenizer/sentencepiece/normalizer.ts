// Normalizes a text as SentencePiece does: charsmap, spaces, dummy prefix.
import { TokenizerError } from "../../util/errors.ts";
import type { SymbolMatcher } from "../core/symbol_matcher.ts";
import { type Charsmap, unitsAt } from "./charsmap.ts";
import { KEPT_SYMBOLS } from "./segmenter.ts";

const SPACE_UNIT = 0x20;
const ESCAPED_SPACE = 0x2581;

/**
 * Most UTF-16 units that normalization may make of one; NFKC makes up to 18. A hostile charsmap could fill
 * the memory.
 */
export const MAX_EXPANSION = 32;

/** How a text is normalized; SentencePiece's NormalizerSpec. */
export interface NormalizerRules {
  readonly charsmap: Charsmap | undefined;
  /** Put a space before the text, or after it if `whitespaceAsSuffix` is set. */
  readonly addDummyPrefix: boolean;
  /** Collapse runs of spaces, and take them off at both ends. */
  readonly removeExtraWhitespaces: boolean;
  /** Write spaces as U+2581. */
  readonly escapeWhitespaces: boolean;
  readonly whitespaceAsSuffix: boolean;
  /** What the charsmap leaves alone, and the UTF-16 lengths of it by id. */
  readonly userDefined: SymbolMatcher | undefined;
  readonly lengths: ArrayLike<number>;
}

/**
 * Writes a text as the pieces of a vocabulary spell it.
 *
 * Source: google/sentencepiece, src/normalizer.cc.
 */
export class Normalizer {
  /** What {@link normalize} wrote, in UTF-16 units, valid until it is called again. */
  units = new Uint16Array(0);
  /**
   * UTF-16 offset in the text where the source of each unit begins, and where that of the last one ends; only
   * if asked for.
   */
  origins = new Int32Array(0);
  readonly #rules: NormalizerRules;
  readonly #space: number;
  /** Whether every character is written as it is, but for spaces. */
  readonly #plain: boolean;
  #length = 0;
  #withOrigins = false;

  constructor(rules: NormalizerRules) {
    const { charsmap, userDefined, removeExtraWhitespaces } = rules;
    this.#rules = rules;
    this.#space = rules.escapeWhitespaces ? ESCAPED_SPACE : SPACE_UNIT;
    this.#plain = !removeExtraWhitespaces && charsmap === undefined && userDefined === undefined;
  }

  /**
   * Writes {@link units} and gives their number.
   * @param text well-formed
   * @throws TokenizerError for a text that a charsmap makes MAX_EXPANSION times as long
   */
  normalize(text: string, withOrigins: boolean): number {
    this.#length = 0;
    this.#withOrigins = withOrigins;
    this.#reserve(text.length + 1);
    if (this.#plain) this.#copy(text);
    else this.#rewrite(text);
    return this.#length;
  }

  #copy(text: string): void {
    const space = this.#space;
    const withOrigins = this.#withOrigins;
    const { addDummyPrefix, whitespaceAsSuffix } = this.#rules;
    if (text === "") return;
    const dummy = addDummyPrefix && !whitespaceAsSuffix;
    if (dummy) this.#put(space, 0);
    const { units, origins } = this;
    const shift = this.#length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      units[shift + i] = unit === SPACE_UNIT ? space : unit;
    }
    if (withOrigins) for (let i = 0; i < text.length; i++) origins[shift + i] = i;
    this.#length += text.length;
    this.#finish(text.length);
  }

  #rewrite(text: string): void {
    const { charsmap, userDefined, lengths, removeExtraWhitespaces } = this.#rules;
    const found = userDefined?.match(text);
    const limit = MAX_EXPANSION * (text.length + 1);
    let afterSpace = removeExtraWhitespaces;
    let started = false;
    for (let i = 0; i < text.length; ) {
      const id = found === undefined ? -1 : (found[i] as number);
      const rule = id >= 0 || charsmap === undefined ? -1 : charsmap.match(text, i);
      const end =
        i +
        (id >= 0 ? (lengths[id] as number) : rule >= 0 ? (charsmap as Charsmap).matched : unitsAt(text, i));
      // Spaces at the beginning are no text: nothing is put before them.
      const heading = !started && removeExtraWhitespaces && this.#isSpace(text, i, end, rule);
      if (!heading) {
        if (!started && this.#rules.addDummyPrefix && !this.#rules.whitespaceAsSuffix)
          this.#put(this.#space, i);
        started = true;
        afterSpace =
          rule >= 0
            ? this.#writeRule((charsmap as Charsmap).replacements, rule, i, afterSpace)
            : this.#writeText(text, i, end, afterSpace);
        afterSpace &&= removeExtraWhitespaces;
        if (this.#length > limit) throw tooLong(text.length);
      }
      i = end;
    }
    if (!started) return;
    this.#finish(removeExtraWhitespaces ? this.#trimEnd(text.length) : text.length);
  }

  /** Whether a part of the text is one space once it is replaced. */
  #isSpace(text: string, begin: number, end: number, rule: number): boolean {
    if (rule < 0) return end === begin + 1 && text.charCodeAt(begin) === SPACE_UNIT;
    const { replacements } = this.#rules.charsmap as Charsmap;
    return replacements[rule] === SPACE_UNIT && replacements[rule + 1] === 0;
  }

  /** Writes a part of a text. Returns whether a space comes last, or nothing after a space. */
  #writeText(text: string, begin: number, end: number, afterSpace: boolean): boolean {
    let skipping = afterSpace;
    for (let i = begin; i < end; i++) skipping = this.#write(text.charCodeAt(i), i, skipping);
    return skipping || text.charCodeAt(end - 1) === SPACE_UNIT;
  }

  #writeRule(replacements: Uint16Array, rule: number, origin: number, afterSpace: boolean): boolean {
    let skipping = afterSpace;
    let i = rule;
    for (; replacements[i] !== 0; i++) skipping = this.#write(replacements[i] as number, origin, skipping);
    return skipping || (i > rule && replacements[i - 1] === SPACE_UNIT);
  }

  /** Writes a unit, or skips a space if `skipping` is set. Returns whether to skip the next space too. */
  #write(unit: number, origin: number, skipping: boolean): boolean {
    if (unit !== SPACE_UNIT) this.#put(unit, origin);
    else if (skipping) return true;
    else this.#put(this.#space, origin);
    return false;
  }

  /** Takes off spaces at the end, and gives where the source of what is left ends. */
  #trimEnd(sourceEnd: number): number {
    let end = sourceEnd;
    while (this.#length > 0 && this.units[this.#length - 1] === this.#space) {
      this.#length--;
      if (this.#withOrigins) end = this.origins[this.#length] as number;
    }
    return end;
  }

  #finish(end: number): void {
    const { addDummyPrefix, whitespaceAsSuffix } = this.#rules;
    if (addDummyPrefix && whitespaceAsSuffix) this.#put(this.#space, end);
    if (this.#withOrigins) this.origins[this.#length] = end;
  }

  #put(unit: number, origin: number): void {
    const at = this.#length;
    if (at + 1 >= this.units.length) this.#grow();
    this.units[at] = unit;
    if (this.#withOrigins) this.origins[at] = origin;
    this.#length = at + 1;
  }

  /** Room for one unit more than `n`, and for the end. */
  #reserve(n: number): void {
    const capacity = Math.max(n + 2, Math.min(2 * n, KEPT_SYMBOLS));
    if (this.units.length < n + 2 || this.units.length > KEPT_SYMBOLS + 2)
      this.units = new Uint16Array(capacity);
    if (!this.#withOrigins) this.origins = this.origins.length === 0 ? this.origins : new Int32Array(0);
    else if (this.origins.length < this.units.length) this.origins = new Int32Array(this.units.length);
  }

  #grow(): void {
    const units = new Uint16Array(2 * this.units.length);
    units.set(this.units);
    this.units = units;
    if (!this.#withOrigins) return;
    const origins = new Int32Array(units.length);
    origins.set(this.origins);
    this.origins = origins;
  }
}

function tooLong(units: number): TokenizerError {
  return new TokenizerError(
    `Cannot encode a text of ${units} characters: Expected at most ${MAX_EXPANSION} times as many after normalization, got more`,
  );
}
