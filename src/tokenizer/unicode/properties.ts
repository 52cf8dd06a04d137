// Sets of characters by their properties, from tables of our own: runtimes have different ones.

import { categoryRuns } from "./characters.ts";
import { PackedSet, readNumbers, upperBound } from "./packed_numbers.ts";
import { PROPERTY_RUNS, SCRIPT_NAMES, SCRIPT_RUNS } from "./unicode.gen.ts";

/** Whether a code point is in a set. */
export type Test = (character: number) => boolean;

/** Letters of the table that make up each general category, by its short and its long name. */
const categories: Readonly<Record<string, string>> = {
  ...named("L Letter", "ULTKO"),
  ...named("LC Cased_Letter", "ULT"),
  ...named("Lu Uppercase_Letter", "U"),
  ...named("Ll Lowercase_Letter", "L"),
  ...named("Lt Titlecase_Letter", "T"),
  ...named("Lm Modifier_Letter", "K"),
  ...named("Lo Other_Letter", "O"),
  ...named("M Mark Combining_Mark", "MCE"),
  ...named("Mn Nonspacing_Mark", "M"),
  ...named("Mc Spacing_Mark", "C"),
  ...named("Me Enclosing_Mark", "E"),
  ...named("N Number", "NRB"),
  ...named("Nd Decimal_Number digit", "N"),
  ...named("Nl Letter_Number", "R"),
  ...named("No Other_Number", "B"),
  ...named("P Punctuation", "ADFGIJP"),
  ...named("Pc Connector_Punctuation", "A"),
  ...named("Pd Dash_Punctuation", "D"),
  ...named("Ps Open_Punctuation", "F"),
  ...named("Pe Close_Punctuation", "G"),
  ...named("Pi Initial_Punctuation", "I"),
  ...named("Pf Final_Punctuation", "J"),
  ...named("Po Other_Punctuation", "P"),
  ...named("S Symbol", "HVYS"),
  ...named("Sm Math_Symbol", "H"),
  ...named("Sc Currency_Symbol", "V"),
  ...named("Sk Modifier_Symbol", "Y"),
  ...named("So Other_Symbol", "S"),
  ...named("Z Separator", "W"),
  ...named("C Other", "QZX"),
  ...named("Cc Control cntrl", "Q"),
  ...named("Cf Format", "Z"),
};

const isLineSeparator = (character: number) => character === 0x2028;
const isParagraphSeparator = (character: number) => character === 0x2029;
const isSurrogate = (character: number) => character >= 0xd800 && character < 0xe000;

/** Private use, in the first plane and in the last two. */
function isPrivate(character: number): boolean {
  if (character < 0xf0000) return character >= 0xe000 && character < 0xf900;
  return (character & 0xffff) <= 0xfffd;
}

/** What is not assigned, or never will be a character. */
function isUnassigned(character: number): boolean {
  return letterOf(character) === "X" && !isSurrogate(character) && !isPrivate(character);
}

/** What the tables tell by a few code points. */
const others: Readonly<Record<string, Test>> = {
  ...named<Test>("Zl Line_Separator", isLineSeparator),
  ...named<Test>("Zp Paragraph_Separator", isParagraphSeparator),
  ...named<Test>(
    "Zs Space_Separator",
    (character) =>
      letterOf(character) === "W" && !isLineSeparator(character) && !isParagraphSeparator(character),
  ),
  ...named<Test>("Cs Surrogate", isSurrogate),
  ...named<Test>("Co Private_Use", isPrivate),
  ...named<Test>("Cn Unassigned", isUnassigned),
  ...named<Test>("White_Space space", isWhiteSpace),
  ...named<Test>("Hex_Digit Hex", (character) => isAsciiHexDigit(toAscii(character))),
  ...named<Test>("ASCII_Hex_Digit AHex", isAsciiHexDigit),
  ...named<Test>("Join_Control Join_C", (character) => character === 0x200c || character === 0x200d),
  ...named<Test>("Emoji_Modifier EMod", (character) => character >= 0x1f3fb && character <= 0x1f3ff),
  ...named<Test>("Regional_Indicator RI", (character) => character >= 0x1f1e6 && character <= 0x1f1ff),
  ASCII: (character) => character < 0x80,
  Any: () => true,
  Assigned: (character) => !isUnassigned(character),
};

/** Short names of the properties in the table. */
const shortNames: Readonly<Record<string, string>> = {
  ...{ Alpha: "Alphabetic", Lower: "Lowercase", Upper: "Uppercase", CI: "Case_Ignorable" },
  ...{ IDS: "ID_Start", IDC: "ID_Continue", XIDS: "XID_Start", XIDC: "XID_Continue" },
  ...{ Gr_Ext: "Grapheme_Extend", Ideo: "Ideographic", UIdeo: "Unified_Ideograph", QMark: "Quotation_Mark" },
  ...{ DI: "Default_Ignorable_Code_Point", VS: "Variation_Selector", EPres: "Emoji_Presentation" },
  ...{ EBase: "Emoji_Modifier_Base", EComp: "Emoji_Component", ExtPict: "Extended_Pictographic" },
};

function named<T>(names: string, value: T): Record<string, T> {
  return Object.fromEntries(names.split(" ").map((name) => [name, value]));
}

function isWhiteSpace(character: number): boolean {
  return (character >= 0x09 && character <= 0x0d) || character === 0x85 || letterOf(character) === "W";
}

function isAsciiHexDigit(character: number): boolean {
  return (
    (character >= 0x30 && character <= 0x39) ||
    (character >= 0x41 && character <= 0x46) ||
    (character >= 0x61 && character <= 0x66)
  );
}

/** Fullwidth forms as ASCII. */
function toAscii(character: number): number {
  return character >= 0xff01 && character <= 0xff5e ? character - 0xfee0 : character;
}

/**
 * A general category, binary property or script, by its name; undefined for an unknown name. Case, spaces, hyphens
 * and underscores of names do not matter. Of binary properties those are known that tokenizers have a use for.
 */
export function unicodeProperty(name: string): Test | undefined {
  known ??= allProperties();
  return known.get(plain(name.replace(/^(?:Script|sc|General_Category|gc)=/, "")))?.();
}

let known: Map<string, () => Test> | undefined;

function allProperties(): Map<string, () => Test> {
  const found = new Map<string, () => Test>();
  // Categories last: "Lower" is a property, "L" none.
  SCRIPT_NAMES.split(" ").forEach((names, number) => {
    for (const name of names.split(":"))
      found.set(plain(name), () => (character) => scriptAt(character) === number);
  });
  for (const line of PROPERTY_RUNS.split("\n")) {
    const [name, letters, differing] = line.split(" ") as [string, string, string];
    found.set(plain(name), () => {
      const differs = new PackedSet(differing);
      return (character) => letters.includes(letterOf(character)) !== differs.has(character);
    });
  }
  for (const [short, name] of Object.entries(shortNames)) {
    found.set(plain(short), found.get(plain(name)) as () => Test);
  }
  for (const [name, test] of Object.entries(others)) found.set(plain(name), () => test);
  for (const [name, letters] of Object.entries(categories)) {
    found.set(plain(name), () => (character) => letters.includes(letterOf(character)));
  }
  return found;
}

/** ASCII in lower case, without what does not matter in names. */
function plain(name: string): string {
  return name
    .replace(/[-_ ]/g, "")
    .replace(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0x20));
}

let categoryTable: { starts: Uint32Array; letters: string } | undefined;

/** The letter of a code point's category in the table. */
function letterOf(character: number): string {
  if (categoryTable === undefined) {
    const runs = [...categoryRuns()];
    categoryTable = {
      starts: Uint32Array.from(runs, ([begin]) => begin),
      letters: runs.map(([, , letter]) => letter).join(""),
    };
  }
  const { starts, letters } = categoryTable;
  return letters[upperBound(starts, character) - 1] as string;
}

let scriptTable: { starts: Uint32Array; numbers: Uint8Array } | undefined;

/** The number of a code point's script in {@link SCRIPT_NAMES}. */
function scriptAt(character: number): number {
  const { starts, numbers } = scripts();
  return numbers[upperBound(starts, character) - 1] as number;
}

/** First code points of runs of one script, and its number. */
function scripts(): { starts: Uint32Array; numbers: Uint8Array } {
  if (scriptTable !== undefined) return scriptTable;
  // Each run of a script is a number of whole runs of categories.
  const begins = Array.from(categoryRuns(), ([begin]) => begin);
  const [numbers, counts] = SCRIPT_RUNS.split("\n").map(readNumbers) as [number[], number[]];
  let at = 0;
  const starts = counts.map((count) => {
    const begin = begins[at] as number;
    at += count;
    return begin;
  });
  scriptTable = { starts: Uint32Array.from(starts), numbers: Uint8Array.from(numbers) };
  return scriptTable;
}

/** Where the runs of one script begin. */
export function scriptStarts(): Uint32Array {
  return scripts().starts;
}

let shortScriptNames: readonly string[] | undefined;

/** The script of a code point by its four letters (ISO 15924): Zyyy common, Zinh inherited, Zzzz not assigned. */
export function scriptOf(character: number): string {
  shortScriptNames ??= SCRIPT_NAMES.split(" ").map((names) => names.slice(0, 4));
  return shortScriptNames[scriptAt(character)] as string;
}
