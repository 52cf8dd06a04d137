// Hashes of what cria knows of characters: equal in every runtime, whatever Unicode the runtime has.

import { JsonValue } from "../../src/tokenizer/huggingface/json.ts";
import { readNormalizer } from "../../src/tokenizer/huggingface/normalizing_steps.ts";
import { normalizationRules } from "../../src/tokenizer/train/text/normalization_rules.ts";
import { scriptOf } from "../../src/tokenizer/train/text/unicode_scripts.ts";
import { caseVariantsOf } from "../../src/tokenizer/unicode/case.ts";
import { classOf } from "../../src/tokenizer/unicode/characters.ts";
import { Graphemes } from "../../src/tokenizer/unicode/graphemes.ts";
import { unicodeProperty } from "../../src/tokenizer/unicode/properties.ts";
import { sha256Hex } from "../../src/util/sha256.ts";

/** Normalizers of tokenizer.json that have tables. */
export const TABLED = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"] as const;

const properties = [
  ..."Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split(" "),
  ..."Alphabetic Lowercase Uppercase White_Space ID_Continue Emoji Extended_Pictographic".split(" "),
  ..."Grapheme_Extend Han Latin Unknown".split(" "),
];

/** Properties are asked of the code points before this one: later ones are ideographs, tags and private. */
const FIRST_PLANES = 0x20000;

/** Ends what is normalized by itself: no form changes it, or joins it with anything. */
const END = "\0";

/** What a normalizer of tokenizer.json makes of a text. */
export function normalizerOf(type: string): (text: string) => string {
  const json = JsonValue.parse(new TextEncoder().encode(JSON.stringify({ type })), "normalizer.json");
  const normalizer = readNormalizer(json);
  return (text) => normalizer.normalize(text);
}

/** Every code point but surrogates, as a text. */
export function* allCharacters(): Generator<string> {
  for (let character = 0; character < 0x110000; character++) {
    if (character < 0xd800 || character > 0xdfff) yield String.fromCodePoint(character);
  }
}

export function unicodeHashes(): Record<string, string> {
  const hashes: Record<string, string> = {};
  const characters = [...allCharacters()];
  const all = characters.join(END) + END;
  // The first character is NUL, of which nothing is left between ends.
  const decomposed = normalizerOf("NFKD")(all).split(END).slice(1);
  // What decomposes, between marks that composition and canonical order move past. NUL is the end itself.
  const sequences = characters
    .map((character, i) => [character, decomposed[i] as string] as const)
    .filter(([character, parts], i) => i > 0 && parts !== character)
    .map(([character, parts]) => `a${parts}\u0345\u0323\u0301${character}\u0302\u05b0${END}`);
  for (const type of TABLED) {
    const normalize = normalizerOf(type);
    hashes[type] = sha256Hex(normalize(all));
    hashes[`${type} of sequences`] = sha256Hex(normalize(sequences.join("")));
  }
  for (const name of properties) hashes[`\\p{${name}}`] = sha256Hex(members(name));
  const points = Array.from({ length: FIRST_PLANES }, (_, character) => character);
  hashes.classes = sha256Hex(points.map((character) => classOf(character)).join());
  hashes.scripts = sha256Hex(points.map((character) => scriptOf(character)).join());
  hashes.case = sha256Hex(points.map((character) => caseVariantsOf(character).join(".")).join());
  hashes.graphemes = sha256Hex(graphemesOf(characters.join("")).join());
  const rules = [...normalizationRules("nmt_nfkc_cf")].map(([key, value]) => `${key}\0${value}\0`);
  hashes.rules = sha256Hex(rules.join(""));
  return hashes;
}

function members(name: string): string {
  const isMember = unicodeProperty(name);
  if (isMember === undefined) return "unknown";
  return Array.from({ length: FIRST_PLANES }, (_, character) => (isMember(character) ? 1 : 0)).join("");
}

function graphemesOf(text: string): number[] {
  const graphemes = new Graphemes();
  const ends: number[] = [];
  for (let end = 0; end < text.length; ) {
    end = graphemes.end(text, end);
    ends.push(end);
  }
  return ends;
}
