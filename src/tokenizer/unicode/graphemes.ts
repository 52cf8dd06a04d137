// Extended grapheme clusters, by tables of our own: runtimes have different ones.
import { type Test, unicodeProperty } from "./properties.ts";

/** What a character is for the rules; OTHER has none. */
const OTHER = 0;
const CONTROL = 1;
const EXTEND = 2;
const JOINER = 3;
const SPACING = 4;
const PREPEND = 5;
const L = 6;
const V = 7;
const T = 8;
const LV = 9;
const LVT = 10;
const REGIONAL = 11;
const PICTOGRAPH = 12;
const UNKNOWN = 255;

const PAGE = 256;

/** The first character that is more than OTHER or CONTROL, but for pictographs, which only joiners join. */
const FIRST_JOINING = 0x300;

/** Spacing marks that stand apart. Source: Unicode Standard Annex #29, table 2. */
const apart = new Set([
  ...[0x102b, 0x102c, 0x1038, 0x1062, 0x1063, 0x1064, 0x1067, 0x1068, 0x1069, 0x106a, 0x106b, 0x106c, 0x106d],
  ...[0x1083, 0x1087, 0x1088, 0x1089, 0x108a, 0x108b, 0x108c, 0x108f, 0x109a, 0x109b, 0x109c],
  ...[0x1a61, 0x1a63, 0x1a64, 0xaa7b, 0xaa7d, 0x11720, 0x11721],
]);

/** Format characters and letters that join what comes after them. Source: GraphemeBreakProperty.txt. */
const prepended = new Set([
  ...[0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6dd, 0x70f, 0x890, 0x891, 0x8e2, 0xd4e, 0x110bd, 0x110cd],
  ...[
    0x111c2, 0x111c3, 0x113d1, 0x1193f, 0x11941, 0x11a3a, 0x11a84, 0x11a85, 0x11a86, 0x11a87, 0x11a88,
    0x11a89,
  ],
  ...[0x11d46, 0x11f02],
]);

/**
 * Where graphemes of a text end, by Unicode 16.0, but for two rules that only tell apart graphemes of more than
 * eight bytes: consonants that conjuncts join (GB9c) are not joined, and all flags in a row are (GB12).
 *
 * Source: Unicode Standard Annex #29, section 3.1.1.
 */
export class Graphemes {
  readonly #tests: readonly (readonly [number, Test])[];
  /** What characters are, in pages that are made when first asked for. */
  readonly #pages: (Uint8Array | undefined)[] = [];

  constructor() {
    const property = (name: string) => unicodeProperty(name) as Test;
    const isControl = ["Zl", "Zp", "Cc", "Cf"].map(property);
    const [isUnassigned, isIgnorable] = [property("Cn"), property("Default_Ignorable_Code_Point")];
    const isExtending = property("Grapheme_Extend");
    const isModifier = property("Emoji_Modifier");
    const isSpacing = property("Mc");
    this.#tests = [
      [JOINER, (character) => character === 0x200d],
      [EXTEND, (character) => isExtending(character) || isModifier(character)],
      [PREPEND, (character) => prepended.has(character)],
      [
        CONTROL,
        (character) =>
          isControl.some((test) => test(character)) || (isUnassigned(character) && isIgnorable(character)),
      ],
      [
        SPACING,
        (character) =>
          character === 0xe33 || character === 0xeb3 || (isSpacing(character) && !apart.has(character)),
      ],
      [L, (character) => within(character, 0x1100, 0x115f) || within(character, 0xa960, 0xa97c)],
      [V, (character) => within(character, 0x1160, 0x11a7) || within(character, 0xd7b0, 0xd7c6)],
      [V, (character) => character === 0x16d63 || within(character, 0x16d67, 0x16d6a)],
      [T, (character) => within(character, 0x11a8, 0x11ff) || within(character, 0xd7cb, 0xd7fb)],
      [LV, (character) => within(character, 0xac00, 0xd7a3) && (character - 0xac00) % 28 === 0],
      [LVT, (character) => within(character, 0xac00, 0xd7a3)],
      [REGIONAL, property("Regional_Indicator")],
      [PICTOGRAPH, property("Extended_Pictographic")],
    ];
  }

  /** Where the grapheme at `begin` ends. */
  end(text: string, begin: number): number {
    let character = text.codePointAt(begin) as number;
    let end = begin + (character > 0xffff ? 2 : 1);
    if (end >= text.length) return end;
    // Most characters of most texts.
    if (character < FIRST_JOINING && text.charCodeAt(end) < FIRST_JOINING) {
      return character === 0x0d && text.charCodeAt(end) === 0x0a ? end + 1 : end;
    }
    let kind = this.#kindOf(character);
    /** A pictograph and what extends it; the same and a joiner, which wait for another pictograph. */
    let isEmoji = kind === PICTOGRAPH;
    let waits = false;
    while (end < text.length) {
      character = text.codePointAt(end) as number;
      const next = this.#kindOf(character);
      if (!joins(kind, next) && !(waits && next === PICTOGRAPH)) break;
      waits = isEmoji && next === JOINER;
      isEmoji = next === PICTOGRAPH || (isEmoji && next === EXTEND);
      kind = next;
      end += character > 0xffff ? 2 : 1;
    }
    return end;
  }

  #kindOf(character: number): number {
    const page = character >>> 8;
    let kinds = this.#pages[page];
    if (kinds === undefined) {
      kinds = new Uint8Array(PAGE).fill(UNKNOWN);
      this.#pages[page] = kinds;
    }
    let kind = kinds[character & 0xff] as number;
    if (kind === UNKNOWN) {
      kind = this.#tests.find(([, test]) => test(character))?.[0] ?? OTHER;
      kinds[character & 0xff] = kind;
    }
    return kind;
  }
}

function within(character: number, first: number, last: number): boolean {
  return character >= first && character <= last;
}

/** Whether no grapheme ends between two characters, wherever they are. */
function joins(kind: number, next: number): boolean {
  if (kind === CONTROL || next === CONTROL) return false;
  if (next === EXTEND || next === JOINER || next === SPACING || kind === PREPEND) return true;
  switch (kind) {
    case L:
      return next === L || next === V || next === LV || next === LVT;
    case LV:
    case V:
      return next === V || next === T;
    case LVT:
    case T:
      return next === T;
    case REGIONAL:
      return next === REGIONAL;
    default:
      return false;
  }
}
