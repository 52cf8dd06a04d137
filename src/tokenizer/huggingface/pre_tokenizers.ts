// Pre-tokenizers of a tokenizer.json: they split a text into words.
import { byteSpelling } from "../byte_level/byte_alphabet.ts";
import type { AlignedText, Edit } from "./aligned_text.ts";
import { CharSet, isNumber, isPunctuation, isRustWord, isSpace } from "./char_set.ts";
import { type Components, type JsonValue, readComponent } from "./json.ts";
import { literalPattern, type Pattern, readPattern } from "./pattern.ts";
import { type Match, Regex } from "./regex.ts";

/** Most pre-tokenizers of a sequence: real ones have up to five. */
const MAX_SEQUENCE = 64;

const behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;

/** What becomes of what a pattern matches. */
export type Behavior = (typeof behaviors)[number];

/** A stage of pre-tokenizing: what a `Pretokenizer` of tokenizer.json does. */
export type PreTokenizer =
  | {
      readonly kind: "split";
      readonly pattern: Pattern;
      readonly behavior: Behavior;
      readonly invert: boolean;
    }
  | {
      readonly kind: "byteLevel";
      readonly addPrefixSpace: boolean;
      readonly useRegex: boolean;
      /** Whether bytes become characters of GPT-2's alphabet; false if words are encoded as bytes. */
      readonly spells: boolean;
    }
  | {
      readonly kind: "metaspace";
      readonly replacement: string;
      readonly prepend: "always" | "first" | "never";
      readonly split: boolean;
    };

/** What GPT-2 splits texts by, and ByteLevel unless use_regex is false. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const known: Components<PreTokenizer[]> = {
  Sequence: (json) => json.get("pretokenizers").items(MAX_SEQUENCE).flatMap(readPreTokenizers),
  ByteLevel: (json) => {
    // It says which part of the text a token is of, which cria says in its own way.
    json.get("trim_offsets").boolean(true);
    return [
      {
        kind: "byteLevel",
        addPrefixSpace: json.get("add_prefix_space").boolean(true),
        useRegex: json.get("use_regex").boolean(true),
        spells: true,
      },
    ];
  },
  Split: (json) => [
    splitBy(
      readPattern(json.get("pattern")),
      json.get("behavior").oneOf(behaviors),
      json.get("invert").boolean(false),
    ),
  ],
  Digits: (json) => {
    const behavior = json.get("individual_digits").boolean(false) ? "Isolated" : "Contiguous";
    return [splitBy({ ...eachOf(new CharSet(isNumber)), source: "\\p{N}" }, behavior)];
  },
  Punctuation: (json) => [
    splitBy(eachOf(new CharSet(isPunctuation)), json.get("behavior").oneOf(behaviors, "Isolated")),
  ],
  Whitespace: () => [splitBy(wordsAndSigns(), "Removed", true)],
  WhitespaceSplit: () => [splitBy(eachOf(new CharSet(isSpace)), "Removed")],
  Metaspace: (json) => [readMetaspace(json)],
};

/**
 * Reads a pre-tokenizer, a sequence as its parts.
 * @throws FormatError, UnsupportedError
 */
export function readPreTokenizers(json: JsonValue): PreTokenizer[] {
  const stages = readComponent(json, "Pre-tokenizer", known);
  if (stages.length > MAX_SEQUENCE)
    throw json.expected(`at most ${MAX_SEQUENCE} pre-tokenizers`, String(stages.length));
  return stages;
}

/** add_prefix_space is the older name of prepend_scheme. */
function readMetaspace(json: JsonValue): PreTokenizer {
  const addPrefixSpace = json.get("add_prefix_space").boolean(true);
  const schemes = ["always", "first", "never"] as const;
  return {
    kind: "metaspace",
    replacement: json.get("replacement").character(),
    prepend: json.get("prepend_scheme").oneOf(schemes, addPrefixSpace ? "always" : "never"),
    split: json.get("split").boolean(true),
  };
}

function splitBy(pattern: Pattern, behavior: Behavior, invert = false): PreTokenizer {
  return { kind: "split", pattern, behavior, invert };
}

/** Every character of a set. */
function eachOf(set: CharSet): Pattern {
  return {
    matches(text) {
      const found: Match[] = [];
      for (let i = 0; i < text.length; ) {
        const character = text.codePointAt(i) as number;
        const end = i + (character > 0xffff ? 2 : 1);
        if (set.has(character)) found.push([i, end]);
        i = end;
      }
      return found;
    },
  };
}

/** \w+|[^\w\s]+ as Rust's regex crate has it. */
function wordsAndSigns(): Pattern {
  const word = new CharSet(isRustWord);
  const sign = new CharSet((character) => !isRustWord(character) && !isSpace(character));
  return {
    matches(text) {
      const found: Match[] = [];
      for (let i = 0; i < text.length; ) {
        const set = [word, sign].find((candidate) => candidate.has(text.codePointAt(i) as number));
        let end = i;
        do end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
        while (set !== undefined && end < text.length && set.has(text.codePointAt(end) as number));
        if (set !== undefined) found.push([i, end]);
        i = end;
      }
      return found;
    },
  };
}

/**
 * Splits texts into the words that are encoded one by one.
 * @param aligned whether words must know where they come from
 */
export function preTokenize(
  stages: readonly PreTokenizer[],
  text: AlignedText,
  aligned: boolean,
): AlignedText[] {
  let words = [text];
  for (const stage of stages) words = words.flatMap((word) => applyStage(stage, word, aligned));
  return words;
}

const gpt2 = new Regex(GPT2_PATTERN);

function applyStage(stage: PreTokenizer, word: AlignedText, aligned: boolean): AlignedText[] {
  if (stage.kind === "split") return split(word, stage.pattern, stage.behavior, stage.invert);
  if (stage.kind === "metaspace") return metaspace(stage, word, aligned);
  const prefixed = stage.addPrefixSpace && !word.text.startsWith(" ") ? prepended(word, " ", aligned) : word;
  const parts = stage.useRegex ? split(prefixed, gpt2, "Isolated", false) : [prefixed];
  return stage.spells ? parts.map((part) => changed(part, spellEdits, aligned)) : parts;
}

function metaspace(
  { replacement, prepend, split: splits }: Extract<PreTokenizer, { kind: "metaspace" }>,
  word: AlignedText,
  aligned: boolean,
): AlignedText[] {
  let text = changed(word, (source, edit) => replaceSpaces(source, replacement, edit), aligned);
  const prepends = prepend === "always" || (prepend === "first" && word.begin === 0);
  if (prepends && !text.text.startsWith(replacement)) text = prepended(text, replacement, aligned);
  return splits ? split(text, literalPattern(replacement), "MergedWithNext", false) : [text];
}

function replaceSpaces(text: string, replacement: string, edit: Edit): void {
  for (let i = text.indexOf(" "); i >= 0; i = text.indexOf(" ", i + 1)) edit(i, i + 1, replacement);
}

function prepended(text: AlignedText, prefix: string, aligned: boolean): AlignedText {
  return aligned ? text.edited((_text, edit) => edit(0, 0, prefix)) : text.withText(prefix + text.text);
}

function changed(
  text: AlignedText,
  edits: (text: string, edit: Edit) => void,
  aligned: boolean,
): AlignedText {
  if (aligned) return text.edited(edits);
  let result = "";
  let kept = 0;
  edits(text.text, (begin, end, replacement) => {
    result += text.text.slice(kept, begin) + replacement;
    kept = end;
  });
  return kept === 0 ? text : text.withText(result + text.text.slice(kept));
}

const utf8 = new TextEncoder();

/** Each byte as a character of GPT-2's alphabet. */
function spellEdits(text: string, edit: Edit): void {
  for (let i = 0; i < text.length; ) {
    const character = String.fromCodePoint(text.codePointAt(i) as number);
    edit(i, i + character.length, byteSpelling(utf8.encode(character)));
    i += character.length;
  }
}

/** A part of a text, and whether a pattern matches it. */
type Part = [begin: number, end: number, matches: boolean];

function split(
  text: AlignedText,
  pattern: { matches(text: string): readonly Match[] },
  behavior: Behavior,
  invert: boolean,
): AlignedText[] {
  const parts = partsOf(pattern.matches(text.text), text.text.length, invert);
  const kept = behavior === "Removed" ? parts.filter(([, , matches]) => !matches) : joined(parts, behavior);
  if (kept.length === 1 && kept[0]?.[0] === 0 && kept[0][1] === text.text.length) return [text];
  return kept.filter(([begin, end]) => end > begin).map(([begin, end]) => text.slice(begin, end));
}

/** Matches and what is between them. */
function partsOf(matches: readonly Match[], length: number, invert: boolean): Part[] {
  const parts: Part[] = [];
  let last = 0;
  for (const [begin, end] of matches) {
    if (begin !== last) parts.push([last, begin, invert]);
    parts.push([begin, end, !invert]);
    last = end;
  }
  if (last !== length) parts.push([last, length, invert]);
  return parts;
}

function joined(parts: Part[], behavior: Behavior): Part[] {
  if (behavior === "Contiguous") return join(parts, (matches, previous) => matches === previous);
  if (behavior === "MergedWithPrevious") return join(parts, (matches, previous) => matches && !previous);
  if (behavior !== "MergedWithNext") return parts;
  return join(parts.toReversed(), (matches, previous) => matches && !previous).reverse();
}

/** Joins each part to the one before if a rule says so; `previous` is whether that one matches. */
function join(parts: readonly Part[], joins: (matches: boolean, previous: boolean) => boolean): Part[] {
  const result: Part[] = [];
  let previous = false;
  for (const [begin, end, matches] of parts) {
    const last = result.at(-1);
    if (last !== undefined && joins(matches, previous)) {
      last[0] = Math.min(last[0], begin);
      last[1] = Math.max(last[1], end);
    } else result.push([begin, end, matches]);
    previous = matches;
  }
  return result;
}
