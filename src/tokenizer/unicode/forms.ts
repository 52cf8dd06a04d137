// Unicode's normalization forms, from tables of our own: runtimes have different ones.
import { PackedSet, readDifferences, readNumbers, signed } from "./packed_numbers.ts";
import { COMBINING_CLASSES, DECOMPOSITIONS, SINCE_10 } from "./unicode.gen.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Replaces [begin, end) of a text; called from left to right. */
export type FormEdit = (begin: number, end: number, replacement: string) => void;

/** What is to be known of a character at once. */
const CANONICAL = 1 << 0;
const COMPATIBLE = 1 << 1;
/** It has a combining class. */
const MARK = 1 << 2;
/** Its decomposition begins with a mark, or with what may be composed with a character before it. */
const JOINS = 1 << 3;
const JOINS_COMPATIBLE = 1 << 4;
/** NFC, and NFKC, leave it as it is, if it stands alone. */
const COMPOSED = 1 << 5;
const COMPOSED_COMPATIBLE = 1 << 6;

/** Hangul syllables: L, V and T are numbered, and a syllable is one of each, or has no T. */
const SYLLABLE = 0xac00;
const L = 0x1100;
const V = 0x1161;
const T = 0x11a7;
const L_COUNT = 19;
const V_COUNT = 21;
const T_COUNT = 28;
const SYLLABLE_COUNT = L_COUNT * V_COUNT * T_COUNT;

/** Code points are fewer, so that two of them are one exact number. */
const PLANES = 0x110000;

const PAGE = 256;

/** The first character that a form changes, and the first that may join what is before it. */
const FIRST_CHANGED = 0xa0;
const FIRST_JOINING = 0x300;

interface Entry {
  readonly character: number;
  readonly kind: "pair" | "canonical" | "compatible";
  readonly parts: readonly number[];
}

let whole: UnicodeForms | undefined;
let old: UnicodeForms | undefined;
let since10: PackedSet | undefined;

/** The forms of Unicode 14.0. */
export function unicodeForms(): UnicodeForms {
  whole ??= new UnicodeForms(() => true);
  return whole;
}

/** Whether a mark, or what decomposes, was so in Unicode 9.0 already. */
export function isOld(character: number): boolean {
  since10 ??= new PackedSet(SINCE_10);
  return !since10.has(character);
}

/**
 * The forms of Unicode 9.0, which Hugging Face's tokenizers have (the crate unicode-normalization-alignments):
 * characters that were added later neither decompose nor are marks. The same ids as there are worth more than
 * newer characters.
 */
export function oldUnicodeForms(): UnicodeForms {
  old ??= new UnicodeForms(isOld);
  return old;
}

/**
 * Normalization in time n log n, whatever the text: marks are sorted, not exchanged. Lone surrogates stay.
 *
 * Source: Unicode Standard Annex #15, and section 3.12 of the standard for Hangul.
 */
export class UnicodeForms {
  readonly #entries = new Map<number, Entry>();
  readonly #classes = new Map<number, number>();
  /** What two characters compose to, by first * PLANES + second. */
  readonly #composites = new Map<number, number>();
  readonly #flags: (Uint8Array | undefined)[] = new Array(PLANES / PAGE);
  readonly #decompositions = new Map<number, readonly number[]>();
  readonly #compatible = new Map<number, readonly number[]>();

  /** @param isKnown whether a character has what the tables say of it; the others have no rules */
  constructor(isKnown: (character: number) => boolean) {
    for (const [character, number] of readClasses()) {
      if (isKnown(character)) this.#classes.set(character, number);
    }
    for (const entry of readEntries()) {
      if (!isKnown(entry.character)) continue;
      this.#entries.set(entry.character, entry);
      if (entry.kind !== "pair") continue;
      const [first, second] = entry.parts as [number, number];
      this.#composites.set(first * PLANES + second, entry.character);
    }
    this.#setFlags();
  }

  /** A text in a normalization form. */
  normalize(text: string, form: UnicodeForm): string {
    let result = "";
    let kept = 0;
    this.edits(text, form, (begin, end, replacement) => {
      result += text.slice(kept, begin) + replacement;
      kept = end;
    });
    return kept === 0 ? text : result + text.slice(kept);
  }

  /** What a form changes, in parts that do not depend on one another. */
  edits(text: string, form: UnicodeForm, edit: FormEdit): void {
    const compatible = form === "NFKC" || form === "NFKD";
    const composes = form === "NFC" || form === "NFKC";
    const joins = compatible ? JOINS_COMPATIBLE : JOINS;
    const stays = composes ? (compatible ? COMPOSED_COMPATIBLE : COMPOSED) : 0;
    const changes = compatible ? CANONICAL | COMPATIBLE : CANONICAL;
    for (let begin = 0; begin < text.length; ) {
      // Most texts are mostly ASCII.
      if (text.charCodeAt(begin) < FIRST_CHANGED && !(text.charCodeAt(begin + 1) >= FIRST_JOINING)) {
        begin++;
        continue;
      }
      const character = text.codePointAt(begin) as number;
      let end = begin + (character > 0xffff ? 2 : 1);
      const first = this.#flagsOf(character);
      let single = true;
      while (end < text.length) {
        const next = text.codePointAt(end) as number;
        if ((this.#flagsOf(next) & joins) === 0) break;
        single = false;
        end += next > 0xffff ? 2 : 1;
      }
      if (!single || ((first & changes) !== 0 && (first & stays) === 0)) {
        const part = text.slice(begin, end);
        const replacement = this.#part(part, compatible, composes);
        if (replacement !== part) edit(begin, end, replacement);
      }
      begin = end;
    }
  }

  #part(text: string, compatible: boolean, composes: boolean): string {
    const characters: number[] = [];
    for (let i = 0; i < text.length; ) {
      const character = text.codePointAt(i) as number;
      for (const one of this.#decompose(character, compatible)) characters.push(one);
      i += character > 0xffff ? 2 : 1;
    }
    this.#sort(characters);
    return toText(composes ? this.#compose(characters) : characters);
  }

  /** Puts marks between two characters of class 0 in the order of their classes. */
  #sort(characters: number[]): void {
    for (let begin = 0; begin < characters.length; ) {
      let end = begin;
      let sorted = true;
      let last = 0;
      for (; end < characters.length; end++) {
        const number = this.#classes.get(characters[end] as number) ?? 0;
        if (number === 0) break;
        if (number < last) sorted = false;
        last = number;
      }
      if (!sorted) {
        const marks = characters.slice(begin, end);
        marks.sort((a, b) => (this.#classes.get(a) as number) - (this.#classes.get(b) as number));
        for (let i = begin; i < end; i++) characters[i] = marks[i - begin] as number;
      }
      begin = end + 1;
    }
  }

  #compose(characters: readonly number[]): number[] {
    const result: number[] = [];
    /** Where the last character of class 0 is in the result, and the class of what came after it. */
    let starter = -1;
    let last = 0;
    for (const character of characters) {
      const number = this.#classes.get(character) ?? 0;
      const isNext = starter >= 0 && result.length === starter + 1;
      if (starter >= 0 && (isNext || last < number)) {
        const composite = this.#composite(result[starter] as number, character);
        if (composite !== undefined) {
          result[starter] = composite;
          continue;
        }
      }
      result.push(character);
      last = number;
      if (number === 0) starter = result.length - 1;
    }
    return result;
  }

  #composite(first: number, second: number): number | undefined {
    if (second >= V && second < T + T_COUNT) {
      if (second < V + V_COUNT && first >= L && first < L + L_COUNT) {
        return SYLLABLE + ((first - L) * V_COUNT + (second - V)) * T_COUNT;
      }
      const isOpen = isSyllable(first) && (first - SYLLABLE) % T_COUNT === 0;
      if (isOpen && second > T) return first + second - T;
    }
    return this.#composites.get(first * PLANES + second);
  }

  #decompose(character: number, compatible: boolean): readonly number[] {
    const flags = this.#flagsOf(character);
    if ((flags & (compatible ? CANONICAL | COMPATIBLE : CANONICAL)) === 0) return [character];
    if (isSyllable(character)) return decomposeSyllable(character);
    const known = compatible ? this.#compatible : this.#decompositions;
    let parts = known.get(character);
    if (parts === undefined) {
      const entry = this.#entries.get(character) as Entry;
      parts = entry.parts.flatMap((part) => this.#decompose(part, compatible));
      known.set(character, parts);
    }
    return parts;
  }

  #setFlags(): void {
    const kinds = { pair: CANONICAL, canonical: CANONICAL, compatible: COMPATIBLE };
    for (const { character, kind } of this.#entries.values()) this.#flag(character, kinds[kind]);
    for (const character of this.#classes.keys()) this.#flag(character, MARK | JOINS | JOINS_COMPATIBLE);
    for (const { kind, parts } of this.#entries.values()) {
      if (kind === "pair") this.#flag(parts[1] as number, JOINS | JOINS_COMPATIBLE);
    }
    for (let i = 0; i < V_COUNT; i++) this.#flag(V + i, JOINS | JOINS_COMPATIBLE);
    for (let i = 1; i < T_COUNT; i++) this.#flag(T + i, JOINS | JOINS_COMPATIBLE);
    for (const { character, kind } of this.#entries.values()) {
      const canonical = this.#decompose(character, false);
      const compatible = this.#decompose(character, true);
      if (this.#flagsOf(canonical[0] as number) & JOINS) this.#flag(character, JOINS);
      if (this.#flagsOf(compatible[0] as number) & JOINS) this.#flag(character, JOINS_COMPATIBLE);
      if (kind !== "pair") continue;
      const same =
        canonical.length === compatible.length && canonical.every((one, i) => one === compatible[i]);
      this.#flag(character, same ? COMPOSED | COMPOSED_COMPATIBLE : COMPOSED);
    }
  }

  #flag(character: number, flags: number): void {
    const page = character >>> 8;
    let values = this.#flags[page];
    if (values === undefined) {
      values = new Uint8Array(PAGE);
      this.#flags[page] = values;
    }
    values[character & 0xff] = (values[character & 0xff] as number) | flags;
  }

  #flagsOf(character: number): number {
    if (isSyllable(character)) return CANONICAL | COMPOSED | COMPOSED_COMPATIBLE;
    const page = this.#flags[character >>> 8];
    return page === undefined ? 0 : (page[character & 0xff] as number);
  }
}

function isSyllable(character: number): boolean {
  return character >= SYLLABLE && character < SYLLABLE + SYLLABLE_COUNT;
}

function decomposeSyllable(character: number): number[] {
  const index = character - SYLLABLE;
  const vowel = Math.floor(index / T_COUNT);
  const parts = [L + Math.floor(vowel / V_COUNT), V + (vowel % V_COUNT)];
  if (index % T_COUNT !== 0) parts.push(T + (index % T_COUNT));
  return parts;
}

/** Code points that are made text at once: arguments of a call, which engines limit. */
const POINTS_A_CALL = 1 << 12;

function toText(characters: readonly number[]): string {
  let text = "";
  for (let i = 0; i < characters.length; i += POINTS_A_CALL) {
    text += String.fromCodePoint(...characters.slice(i, i + POINTS_A_CALL));
  }
  return text;
}

function* readClasses(): Generator<[character: number, number: number]> {
  const runs = readNumbers(COMBINING_CLASSES);
  let character = 0;
  for (let i = 0; i < runs.length; i += 3) {
    character += runs[i] as number;
    for (let n = runs[i + 1] as number; n > 0; n--) yield [character++, runs[i + 2] as number];
  }
}

/** Reads the columns of {@link DECOMPOSITIONS}. */
function* readEntries(): Generator<Entry> {
  const [heads, ...columns] = DECOMPOSITIONS.split("\n") as [string, ...string[]];
  const differences = (column: number) => readDifferences(columns[column] as string).values();
  const [firsts, seconds, others, singles] = [0, 1, 2, 3].map(differences) as Numbers[] as FourColumns;
  const longer = readNumbers(columns[4] as string).values();
  const previous: number[] = [];
  let character = -1;
  for (const [, gap, kind] of heads.matchAll(/([0-9a-z]*)([A-Z])/g)) {
    character += 1 + (gap === "" ? 0 : Number.parseInt(gap as string, 36));
    const letter = kind as string;
    if (letter === "P") {
      yield { character, kind: "pair", parts: [take(firsts), take(seconds)] };
    } else if (letter >= "S") {
      const length = 1 + letter.charCodeAt(0) - 0x53;
      yield { character, kind: "canonical", parts: Array.from({ length }, () => take(others)) };
    } else if (letter === "A") {
      yield { character, kind: "compatible", parts: [take(singles)] };
    } else {
      const length = 1 + letter.charCodeAt(0) - 0x41;
      for (let i = 0; i < length; i++) previous[i] = (previous[i] ?? 0) + signed(take(longer));
      yield { character, kind: "compatible", parts: previous.slice(0, length) };
    }
  }
}

type Numbers = IterableIterator<number>;
type FourColumns = [firsts: Numbers, seconds: Numbers, others: Numbers, singles: Numbers];

function take(numbers: Numbers): number {
  return numbers.next().value as number;
}
