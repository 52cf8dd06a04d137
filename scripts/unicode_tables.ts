// Writes src/tokenizer/unicode/unicode.gen.ts from the runtime's own regular expressions, normalization and case mapping:
// `deno run -A scripts/unicode_tables.ts`. The runtime's tables must be of Unicode 16, as those of Deno 2.9 are.
import { writeFileSync } from "node:fs";

const VERSION = "16.0";
/** A letter that is new in that version, and one that is new in the next. */
const ADDED = "\u{1C89}";
const ADDED_LATER = "\u{11DB0}";

/**
 * The letter that stands for each general category in the table. src/tokenizer/unicode/properties.ts adds surrogates, private
 * use, and the single characters of Zl and Zp.
 */
const categories: Readonly<Record<string, string>> = {
  ...{ U: "Lu", L: "Ll", T: "Lt", K: "Lm", O: "Lo", M: "Mn", C: "Mc", E: "Me", N: "Nd", R: "Nl", B: "No" },
  ...{ A: "Pc", D: "Pd", F: "Ps", G: "Pe", I: "Pi", J: "Pf", P: "Po", H: "Sm", V: "Sc", Y: "Sk", S: "So" },
  ...{ W: "Z", Q: "Cc", Z: "Cf", X: "C" },
};

/**
 * Binary properties that patterns of tokenizers may name. Each is nearly the union of some categories, given here by their
 * letters; the table holds the differences.
 */
const properties: Readonly<Record<string, string>> = {
  ...{ Alphabetic: "ULTKOR", Lowercase: "L", Uppercase: "U", Cased: "ULT", Case_Ignorable: "MEZKY" },
  ...{ ID_Start: "ULTKOR", ID_Continue: "ULTKORMCNA", XID_Start: "ULTKOR", XID_Continue: "ULTKORMCNA" },
  ...{ Math: "H", Dash: "D", Grapheme_Extend: "ME", Ideographic: "" },
  ...{
    Unified_Ideograph: "",
    Default_Ignorable_Code_Point: "",
    Quotation_Mark: "IJ",
    Variation_Selector: "",
  },
  ...{ Emoji: "", Emoji_Presentation: "", Emoji_Modifier_Base: "", Emoji_Component: "" },
  ...{ Extended_Pictographic: "" },
};

/**
 * Marks and characters with a decomposition whose category, decomposition or combining class is newer than Unicode 9.0.
 * Source: DerivedAge.txt, UnicodeData.txt.
 */
const SINCE_10 =
  "7fd 897-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3 d00 d3b-d3c d81 eba ece 1715 180f 1abf-1ace 1cf7 " +
  "1df6-1dfa 32ff a7f2-a7f4 a82c a8ff ab69 105c9 105e4 10781-10785 10787-107b0 107b2-107ba 10d24-10d27 " +
  "10d69-10d6d 10eab-10eac 10efc-10eff 10f46-10f50 10f82-10f85 11070 111c9 11073-11074 110c2 11145-11146 " +
  "111ce-111cf 11241 1133b 11383 11385 1138e 11391 113b8-113c0 113c2 113c5 113c7-113ca 113cc-113d0 " +
  "113d2 113e1-113e2 1145e 1182c-1183a 11930-11935 11937-11938 1193b-1193e 11940 11942-11943 " +
  "119d1-119d7 119da-119e0 119e4 11a01-11a0a 11a33-11a39 11a3b-11a3e 11a47 11a51-11a5b 11a8a-11a99 " +
  "11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47 11d8a-11d8e 11d90-11d91 11d93-11d97 11ef3-11ef6 " +
  "11f00-11f01 11f03 11f34-11f3a 11f3e-11f42 11f5a 13440 13447-13455 1611e-1612f 16d68-16d6a 16f4f " +
  "16f7f-16f87 16fe4 16ff0-16ff1 1ccd6-1ccf9 1cf00-1cf2d 1cf30-1cf46 1e030-1e06d 1e08f 1e130-1e136 " +
  "1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1f16c 1fbf0-1fbf9";

/** Code points that were assigned after Unicode 14.0 and before 17.0. Source: DerivedAge.txt. */
const SINCE_15 =
  "897 cf3 ece 1b4e-1b4f 1b7f 1c89-1c8a 2427-2429 2ffc-2fff 31e4-31e5 31ef a7cb-a7cd a7da-a7dc " +
  "105c0-105f3 10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec4 10efc-10eff 1123f-11241 11380-11389 " +
  "1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 " +
  "116d0-116e3 11b00-11b09 11bc0-11be1 11bf0-11bf9 11f00-11f10 11f12-11f3a 11f3e-11f5a 1342f " +
  "13439-13455 13460-143fa 16100-16139 16d40-16d79 18cff 1b132 1b155 1cc00-1ccf9 1cd00-1ceb3 " +
  "1d2c0-1d2d3 1df25-1df2a 1e030-1e06d 1e08f 1e4d0-1e4f9 1e5d0-1e5fa 1e5ff 1f6dc 1f774-1f776 " +
  "1f77b-1f77f 1f7d9 1f8b2-1f8bb 1f8c0-1f8c1 1fa75-1fa77 1fa87-1fa89 1fa8f 1faad-1faaf 1fabb-1fabf " +
  "1fac6 1face-1facf 1fada-1fadc 1fadf 1fae8-1fae9 1faf7-1faf8 1fbcb-1fbef 2b739 2ebf0-2ee5d " +
  "31350-323af";

/** Lower case that is new in Unicode 17.0: first and last capital, and the distance to their small letters. */
const LOWER_CASE_OF_17 = [
  [0xa7ce, 0xa7ce, 1],
  [0xa7d2, 0xa7d2, 1],
  [0xa7d4, 0xa7d4, 1],
  [0x16ea0, 0x16eb8, 27],
] as const;

/** First and last Hangul syllable. They decompose by arithmetic. */
const HANGUL = [0xac00, 0xd7a3] as const;

const scalars = Array.from({ length: 0x110000 }, (_, c) => c).filter((c) => c < 0xd800 || c > 0xdfff);
const text = (...characters: number[]) => String.fromCodePoint(...characters);
const codePoints = (string: string) => Array.from(string, (character) => character.codePointAt(0) as number);

/** Digits of 5 bits, highest first. The last digit of a number comes from LAST, all others from MORE. */
const LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const MORE = "abcdefghijklmnopqrstuvwxyz6789-_";

function packed(number: number): string {
  let digits = LAST[number % 32] as string;
  for (let rest = Math.floor(number / 32); rest > 0; rest = Math.floor(rest / 32))
    digits = MORE[rest % 32] + digits;
  return digits;
}

function packedAll(numbers: readonly number[]): string {
  return numbers.map(packed).join("");
}

/** The difference of each number to the one before, with the sign in the lowest bit. */
function differences(numbers: readonly number[]): number[] {
  return numbers.map((number, i) => {
    const difference = number - (numbers[i - 1] ?? 0);
    return difference < 0 ? -2 * difference - 1 : 2 * difference;
  });
}

/** A set of characters as lengths of runs: outside, inside, outside, ... */
function lengths(isInside: (character: number) => boolean): number[] {
  const found: number[] = [];
  for (let begin = 0, inside = false; begin < 0x110000; inside = !inside) {
    let end = begin;
    while (end < 0x110000 && isInside(end) === inside) end++;
    if (end === 0x110000 && !inside) break;
    found.push(end - begin);
    begin = end;
  }
  return found;
}

function setOf(ranges: string): Set<number> {
  const set = new Set<number>();
  for (const range of ranges.split(" ")) {
    const [first = "", last = first] = range.split("-");
    for (let c = Number.parseInt(first, 16); c <= Number.parseInt(last, 16); c++) set.add(c);
  }
  return set;
}

const since10 = setOf(SINCE_10);
const since15 = setOf(SINCE_15);

const matchers = Object.entries(categories).map(
  ([letter, name]) => [letter, new RegExp(`\\p{${name}}`, "u")] as const,
);

const letters = Array.from({ length: 0x110000 }, (_, c) => {
  const character = text(c);
  return matchers.find(([, pattern]) => pattern.test(character))?.[0] as string;
});

/** Runs of a category: its letter, and the length in base 36 unless it is 1. */
function categoryRuns(): string {
  let runs = "";
  for (let begin = 0; begin < 0x110000; ) {
    const letter = letters[begin];
    let end = begin + 1;
    while (end < 0x110000 && letters[end] === letter) end++;
    runs += letter + (end - begin === 1 ? "" : (end - begin).toString(36));
    begin = end;
  }
  return runs;
}

function propertySets(): string {
  return Object.entries(properties)
    .map(([name, base]) => {
      const pattern = new RegExp(`\\p{${name}}`, "u");
      const differs = (c: number) => pattern.test(text(c)) !== base.includes(letters[c] as string);
      return `${name} ${base || "-"} ${packedAll(lengths(differs))}`;
    })
    .join("\n");
}

/** Names of scripts, the commonest first, and runs: the index of the script's name, and a length. */
function scripts(): { names: string; runs: string } {
  const named = SCRIPTS.split(" ").map(
    (name) => [name, new RegExp(`\\p{Script=${name.slice(0, 4)}}`, "u")] as const,
  );
  const names = ["Zzzz:Unknown"];
  const runs: [script: number, length: number][] = [];
  for (let c = 0; c < 0x110000; c++) {
    const last = runs.at(-1);
    const is = (number: number) =>
      named.find(([name]) => name === names[number])?.[1].test(text(c)) ?? /\p{Script=Zzzz}/u.test(text(c));
    let number = last !== undefined && is(last[0]) ? last[0] : names.findIndex((_, i) => is(i));
    if (number < 0) {
      const name = named.find(([, pattern]) => pattern.test(text(c)))?.[0];
      if (name === undefined) throw new Error(`Expected a script of U+${c.toString(16)}`);
      number = names.push(name) - 1;
    }
    if (last !== undefined && last[0] === number) last[1]++;
    else runs.push([number, 1]);
  }
  return { names: names.join(" "), runs: packedAll(runs.flat()) };
}

/** Short and long names of all scripts. */
const SCRIPTS =
  "Adlm:Adlam Aghb:Caucasian_Albanian Ahom:Ahom Arab:Arabic Armi:Imperial_Aramaic Armn:Armenian " +
  "Avst:Avestan Bali:Balinese Bamu:Bamum Bass:Bassa_Vah Batk:Batak Beng:Bengali Bhks:Bhaiksuki " +
  "Bopo:Bopomofo Brah:Brahmi Brai:Braille Bugi:Buginese Buhd:Buhid Cakm:Chakma Cans:Canadian_Aboriginal " +
  "Cari:Carian Cham:Cham Cher:Cherokee Chrs:Chorasmian Copt:Coptic Cpmn:Cypro_Minoan Cprt:Cypriot " +
  "Cyrl:Cyrillic Deva:Devanagari Diak:Dives_Akuru Dogr:Dogra Dsrt:Deseret Dupl:Duployan " +
  "Egyp:Egyptian_Hieroglyphs Elba:Elbasan Elym:Elymaic Ethi:Ethiopic Gara:Garay Geor:Georgian " +
  "Glag:Glagolitic Gong:Gunjala_Gondi Gonm:Masaram_Gondi Goth:Gothic Gran:Grantha Grek:Greek " +
  "Gujr:Gujarati Gukh:Gurung_Khema Guru:Gurmukhi Hang:Hangul Hani:Han Hano:Hanunoo Hatr:Hatran " +
  "Hebr:Hebrew Hira:Hiragana Hluw:Anatolian_Hieroglyphs Hmng:Pahawh_Hmong Hmnp:Nyiakeng_Puachue_Hmong " +
  "Hung:Old_Hungarian Ital:Old_Italic Java:Javanese Kali:Kayah_Li Kana:Katakana Kawi:Kawi " +
  "Khar:Kharoshthi Khmr:Khmer Khoj:Khojki Kits:Khitan_Small_Script Knda:Kannada Krai:Kirat_Rai " +
  "Kthi:Kaithi Lana:Tai_Tham Laoo:Lao Latn:Latin Lepc:Lepcha Limb:Limbu Lina:Linear_A Linb:Linear_B " +
  "Lisu:Lisu Lyci:Lycian Lydi:Lydian Mahj:Mahajani Maka:Makasar Mand:Mandaic Mani:Manichaean " +
  "Marc:Marchen Medf:Medefaidrin Mend:Mende_Kikakui Merc:Meroitic_Cursive Mero:Meroitic_Hieroglyphs " +
  "Mlym:Malayalam Modi:Modi Mong:Mongolian Mroo:Mro Mtei:Meetei_Mayek Mult:Multani Mymr:Myanmar " +
  "Nagm:Nag_Mundari Nand:Nandinagari Narb:Old_North_Arabian Nbat:Nabataean Newa:Newa Nkoo:Nko " +
  "Nshu:Nushu Ogam:Ogham Olck:Ol_Chiki Onao:Ol_Onal Orkh:Old_Turkic Orya:Oriya Osge:Osage Osma:Osmanya " +
  "Ougr:Old_Uyghur Palm:Palmyrene Pauc:Pau_Cin_Hau Perm:Old_Permic Phag:Phags_Pa " +
  "Phli:Inscriptional_Pahlavi Phlp:Psalter_Pahlavi Phnx:Phoenician Plrd:Miao " +
  "Prti:Inscriptional_Parthian Rjng:Rejang Rohg:Hanifi_Rohingya Runr:Runic Samr:Samaritan " +
  "Sarb:Old_South_Arabian Saur:Saurashtra Sgnw:SignWriting Shaw:Shavian Shrd:Sharada Sidd:Siddham " +
  "Sind:Khudawadi Sinh:Sinhala Sogd:Sogdian Sogo:Old_Sogdian Sora:Sora_Sompeng Soyo:Soyombo " +
  "Sund:Sundanese Sunu:Sunuwar Sylo:Syloti_Nagri Syrc:Syriac Tagb:Tagbanwa Takr:Takri Tale:Tai_Le " +
  "Talu:New_Tai_Lue Taml:Tamil Tang:Tangut Tavt:Tai_Viet Telu:Telugu Tfng:Tifinagh Tglg:Tagalog " +
  "Thaa:Thaana Thai:Thai Tibt:Tibetan Tirh:Tirhuta Tnsa:Tangsa Todr:Todhri Toto:Toto Tutg:Tulu_Tigalari " +
  "Ugar:Ugaritic Vaii:Vai Vith:Vithkuqi Wara:Warang_Citi Wcho:Wancho Xpeo:Old_Persian Xsux:Cuneiform " +
  "Yezi:Yezidi Yiii:Yi Zanb:Zanabazar_Square Zinh:Inherited Zyyy:Common";

/** Decompositions of Unicode 14.0, as columns of numbers. */
function decompositions(): string {
  const heads: string[] = [];
  const firsts: number[] = [];
  const seconds: number[] = [];
  const others: number[] = [];
  const compatible: number[] = [];
  const longer: number[] = [];
  const previous: number[] = [];
  let next = 0;
  for (const c of scalars) {
    const character = text(c);
    if (since15.has(c) || (c >= HANGUL[0] && c <= HANGUL[1]) || character.normalize("NFKD") === character)
      continue;
    const gap = c - next;
    next = c + 1;
    const canonical = character.normalize("NFD");
    let kind: string;
    if (canonical !== character && canonical.normalize("NFC") === character) {
      const parts = codePoints(canonical);
      firsts.push(...codePoints(text(...parts.slice(0, -1)).normalize("NFC")));
      seconds.push(parts.at(-1) as number);
      if (firsts.length !== seconds.length) throw new Error(`Expected U+${c.toString(16)} to be of two`);
      kind = "P";
    } else if (canonical !== character) {
      const parts = shortest(canonical, "NFC", "NFD");
      others.push(...parts);
      kind = "STUV"[parts.length - 1] as string;
    } else {
      const parts = shortest(character.normalize("NFKD"), "NFKC", "NFKD");
      if (parts.length === 1) compatible.push(...parts);
      else {
        // Neighbouring decompositions are similar at the same positions, so the columns have small differences.
        longer.push(...parts.map((part, i) => differences([previous[i] ?? 0, part])[1] as number));
        parts.forEach((part, i) => {
          previous[i] = part;
        });
      }
      kind = parts.length === 18 ? "R" : ("ABCDEFGHIJKLMNO"[parts.length - 1] as string);
    }
    heads.push((gap === 0 ? "" : gap.toString(36)) + kind);
  }
  const columns = [firsts, seconds, others, compatible].map(differences);
  return [heads.join(""), ...[...columns, longer].map(packedAll)].join("\n");
}

/** A text with the same decomposition and fewer characters, or the text itself if there is none. */
function shortest(decomposed: string, compose: "NFC" | "NFKC", decompose: "NFD" | "NFKD"): number[] {
  const composed = decomposed.normalize(compose);
  const isShorter = codePoints(composed).length < codePoints(decomposed).length;
  return codePoints(isShorter && composed.normalize(decompose) === decomposed ? composed : decomposed);
}

/**
 * Combining classes of Unicode 14.0, numbered in ascending order, as runs: gap, length, number. Runtimes have no function for
 * classes, but normalization shows the order of two marks.
 */
function combiningClasses(): string {
  const swaps = (a: number, b: number) => text(a, b).normalize("NFD") !== text(a, b);
  // A mark of the first class in use, 1, and one of the last, 240.
  const marks = scalars.filter((c) => {
    const alone = text(c).normalize("NFD") === text(c);
    return alone && !since15.has(c) && (swaps(0x345, c) || swaps(c, 0x334));
  });
  const compare = (a: number, b: number) => (swaps(a, b) ? 1 : swaps(b, a) ? -1 : 0);
  const sorted = [...marks].sort((a, b) => compare(a, b) || a - b);
  const classes = new Map<number, number>();
  let number = 0;
  for (const [i, mark] of sorted.entries()) {
    if (i === 0 || compare(sorted[i - 1] as number, mark) !== 0) number++;
    classes.set(mark, number);
  }
  const runs: number[] = [];
  let next = 0;
  for (let i = 0; i < marks.length; ) {
    const first = marks[i] as number;
    let end = i + 1;
    while (marks[end] === first + end - i && classes.get(marks[end] as number) === classes.get(first)) end++;
    runs.push(first - next, end - i, classes.get(first) as number);
    next = first + end - i;
    i = end;
  }
  return packedAll(runs);
}

/** A mapping as runs: gap, number of characters, step between them, and distance to their targets. */
function mapping(pairs: readonly (readonly [from: number, to: number])[]): string {
  const runs: number[] = [];
  let next = 0;
  for (let i = 0; i < pairs.length; ) {
    const [from, to] = pairs[i] as readonly [number, number];
    const step = Math.min(3, ((pairs[i + 1] ?? [from + 3])[0] as number) - from);
    let end = i + 1;
    const continues = ([c, d]: readonly [number, number]) =>
      c === from + (end - i) * step && d - c === to - from;
    while (step < 3 && end < pairs.length && continues(pairs[end] as readonly [number, number])) end++;
    const count = end - i;
    runs.push(from - next, 2 * count + (count > 1 ? step - 1 : 0), differences([0, to - from])[1] as number);
    next = from + (count - 1) * step + 1;
    i = end;
  }
  return packedAll(runs);
}

/** Lower case of characters that have one character as lower case. U+0130, which has two, is left out. */
function lowerCase(): [number, number][] {
  const pairs: [number, number][] = [];
  for (const c of scalars) {
    const lower = codePoints(text(c).toLowerCase());
    if (lower.length === 1 && lower[0] !== c) pairs.push([c, lower[0] as number]);
  }
  for (const [first, last, distance] of LOWER_CASE_OF_17) {
    for (let c = first; c <= last; c++) pairs.push([c, c + distance]);
  }
  return pairs.sort(([a], [b]) => a - b);
}

/** Simple case folding, for characters for which it differs from lower case. */
function foldings(): [number, number][] {
  const lower = new Map(lowerCase());
  return scalars
    .map((c): [number, number] => [c, foldOf(c)])
    .filter(
      ([c, folded]) => folded !== (lower.get(c) ?? c) && !LOWER_CASE_OF_17.some(([a, b]) => c >= a && c <= b),
    );
}

/** Simple case folding (CaseFolding.txt, statuses C and S), checked with a case-insensitive regular expression. */
function foldOf(c: number): number {
  const character = text(c);
  const single = (from: string, to: string) => (codePoints(to).length === 1 ? to : from);
  // Cherokee folds to its capitals, because Unicode had them first. The dotless i does not fold to i, although its capital is I.
  if (c === 0x131) return c;
  const upper = single(character, character.toUpperCase());
  const folded = /\p{Script=Cherokee}/u.test(character) ? upper : single(upper, upper.toLowerCase());
  if (folded !== character && !new RegExp(`^${folded}$`, "iu").test(character)) {
    throw new Error(`Expected U+${c.toString(16)} to fold`);
  }
  return codePoints(folded)[0] as number;
}

/** Source text of a constant that holds a long string. */
function constant(name: string, value: string): string {
  return `export const ${name} =\n  ${JSON.stringify(value)};\n`;
}

if (!/\p{L}/u.test(ADDED) || /\p{L}/u.test(ADDED_LATER)) {
  throw new Error(`Expected a runtime whose regular expressions are of Unicode ${VERSION}`);
}
if ("\u{105C9}".normalize("NFD").length !== 3 || "\ua7f1".normalize("NFKD") !== "\ua7f1") {
  throw new Error(`Expected a runtime whose normalization is of Unicode ${VERSION}`);
}
if ("\ua7dc".toLowerCase() !== "\u019b" || "\ua7ce".toLowerCase() !== "\ua7ce") {
  throw new Error(`Expected a runtime whose lower case is of Unicode ${VERSION}`);
}
const { names, runs } = scripts();
writeFileSync(
  new URL("../src/tokenizer/unicode/unicode.gen.ts", import.meta.url),
  `// Generated by scripts/unicode_tables.ts. Do not edit.

/** Version of the Unicode Character Database that the tables are of, if they do not say otherwise. */
export const UNICODE_VERSION = "${VERSION}";

/**
 * The general categories of all code points in order, as runs: a letter and, unless it is 1, the length in base 36.
 * ${Object.entries(categories)
   .map(([letter, name]) => `${letter} ${name}`)
   .join(", ")
   .replace("X C", "X what is left")}.
 */
${constant("UNICODE_RUNS", categoryRuns())}
/**
 * Binary properties, a line each: name, the letters of the categories that it begins from, and where it differs
 * from them: packed lengths of what is like them, what is not, and so on.
 */
${constant("PROPERTY_RUNS", propertySets())}
/** Short and long names of scripts. */
${constant("SCRIPT_NAMES", names)}
/** Scripts of all code points, as runs: the number of the name, and the length, packed. */
${constant("SCRIPT_RUNS", runs)}
/** Code points that were assigned after Unicode 14.0: packed lengths of what was not, what was, and so on. */
${constant("SINCE_15", packedAll(lengths((c) => since15.has(c))))}
/** Likewise those after 9.0, among marks and what decomposes. */
${constant("SINCE_10", packedAll(lengths((c) => since10.has(c))))}
/**
 * Decompositions of Unicode 14.0 but for Hangul, in lines: gaps in base 36 and kinds (P a pair that composes; S to V
 * one to four characters that do not; A to O one to fifteen, and R eighteen, by compatibility); then packed
 * differences: first and second of pairs, all of the other canonical ones, the single and the longer ones by
 * compatibility.
 */
${constant("DECOMPOSITIONS", decompositions())}
/** Combining classes of Unicode 14.0, numbered in their order, as packed runs: gap, length, number. */
${constant("COMBINING_CLASSES", combiningClasses())}
/**
 * Lower case of Unicode 17.0, single characters for single ones, as packed runs: gap, twice the number of characters
 * (and 1 more where every other character is meant), difference.
 */
${constant("LOWER_CASE", mapping(lowerCase()))}
/** Where simple case folding is not lower case, likewise. */
${constant("CASE_FOLDING", mapping(foldings()))}`,
);
