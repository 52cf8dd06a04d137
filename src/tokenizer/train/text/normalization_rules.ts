// Normalizations (NFKC and the like) as lists of replacements.
import { foldCaseOf } from "../../unicode/case.ts";
import { unicodeForms } from "../../unicode/forms.ts";
import type { Normalization } from "../options.ts";
import { assignedRuns } from "./unicode_scripts.ts";

/** What replaces what: a few characters on the left, none or some on the right. */
export type Rules = Map<string, string>;

/** Read as a space by the rules of machine translation ("nmt"), other spaces being so by NFKC. */
const NMT_SPACES = [
  0x9, 0xa, 0xc, 0xd, 0x1680, 0x200b, 0x200c, 0x200e, 0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd,
];

/** Left out by the rules of machine translation: control characters that separate nothing. */
const NMT_REMOVED = [
  ...[0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xb, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16],
  ...[0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x7f, 0x8f, 0x9f],
];

/** Not the same as the tilde in Japanese text, so the rules of machine translation keep it. */
const FULLWIDTH_TILDE = "\uff5e";

/**
 * The rules of a normalization, in Unicode 14.0 whatever version the runtime has: every character that it
 * changes, and every short sequence that it composes. Applied from left to right, the longest match first,
 * they do what normalization to NFKC does, except that a base character followed by several
 * marks composes only as far as single characters of Unicode decompose into such a sequence.
 *
 * Source: google/sentencepiece, builder.cc, whose rules these are for an older Unicode.
 */
export function normalizationRules(normalization: Normalization): Rules {
  if (normalization === "identity") return new Map();
  const rules = nfkcRules();
  if (normalization.startsWith("nmt_")) addNmtRules(rules);
  const shortest = withoutRedundant(rules);
  if (!normalization.endsWith("_cf")) return shortest;
  addCaseFolding(shortest);
  return withoutRedundant(shortest);
}

function nfkcRules(): Rules {
  const forms = unicodeForms();
  const rules: Rules = new Map();
  const decomposed = new Set<string>();
  const variants = new Map<string, string[]>();
  for (const character of decomposing()) {
    const nfkc = forms.normalize(character, "NFKC");
    if (nfkc !== character) rules.set(character, nfkc);
    const nfkd = forms.normalize(character, "NFKD");
    if (isOneCharacter(nfkd)) addTo(variants, nfkd, character);
    else decomposed.add(nfkd);
  }
  for (const nfkd of decomposed) {
    const nfkc = forms.normalize(nfkd, "NFC");
    if (nfkc === nfkd) continue;
    for (const spelling of spellings(nfkd, variants)) {
      if (spelling !== nfkc) rules.set(spelling, nfkc);
    }
  }
  return rules;
}

/** Every character of Unicode 14.0 whose compatibility decomposition is not itself. */
function* decomposing(): Generator<string> {
  const forms = unicodeForms();
  for (const [start, end] of assignedRuns()) {
    yield* codePoints(start, end).filter((character) => forms.normalize(character, "NFKD") !== character);
  }
}

function codePoints(start: number, end: number): string[] {
  return Array.from({ length: end - start }, (_, i) => String.fromCodePoint(start + i));
}

function isOneCharacter(text: string): boolean {
  return text.length === (isSurrogate(text.charCodeAt(0)) ? 2 : 1);
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}

function addTo(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/** Every sequence of single characters that decomposes to `nfkd`. */
function spellings(nfkd: string, variants: ReadonlyMap<string, readonly string[]>): string[] {
  let found = [""];
  for (const character of nfkd) {
    const same = [character, ...(variants.get(character) ?? [])];
    found = found.flatMap((start) => same.map((next) => start + next));
  }
  return found;
}

function addNmtRules(rules: Rules): void {
  for (const codePoint of NMT_SPACES) rules.set(String.fromCodePoint(codePoint), " ");
  for (const codePoint of NMT_REMOVED) rules.set(String.fromCodePoint(codePoint), "");
  rules.delete(FULLWIDTH_TILDE);
}

function addCaseFolding(rules: Rules): void {
  for (const [key, value] of rules) rules.set(key, foldCase(value));
  for (const [start, end] of assignedRuns()) {
    for (const character of codePoints(start, end)) {
      if (rules.has(character)) continue;
      const folded = foldCase(character);
      if (folded !== character) rules.set(character, folded);
    }
  }
}

/** Simple case folding: one character for one. */
export function foldCase(text: string): string {
  return Array.from(text, (character) =>
    String.fromCodePoint(foldCaseOf(character.codePointAt(0) as number)),
  ).join("");
}

/** Drops rules for sequences that shorter rules change in the same way. */
function withoutRedundant(rules: Rules): Rules {
  const byLength: [string, string][][] = [];
  for (const rule of rules) {
    const length = Array.from(rule[0]).length;
    byLength[length] ??= [];
    byLength[length].push(rule);
  }
  const kept: Rules = new Map(byLength[1]);
  for (let length = 2; length < byLength.length; length++) {
    for (const [key, value] of byLength[length] ?? []) {
      if (applyRules(kept, key, length - 1) !== value) kept.set(key, value);
    }
  }
  return kept;
}

/** Replaces from left to right, the longest of at most `longest` characters first. */
export function applyRules(rules: Rules, text: string, longest: number): string {
  const characters = Array.from(text);
  let result = "";
  for (let i = 0; i < characters.length; ) {
    let key = "";
    let taken = 1;
    let replacement = characters[i] as string;
    for (let n = 1; n <= longest && i + n <= characters.length; n++) {
      key += characters[i + n - 1];
      const value = rules.get(key);
      if (value === undefined) continue;
      replacement = value;
      taken = n;
    }
    result += replacement;
    i += taken;
  }
  return result;
}
