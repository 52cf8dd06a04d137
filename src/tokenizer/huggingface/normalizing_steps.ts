// Normalizers of a tokenizer.json.
import { lowerCaseOf } from "../unicode/case.ts";
import { isOld, oldUnicodeForms, type UnicodeForm } from "../unicode/forms.ts";
import type { AlignedText, Edit } from "./aligned_text.ts";
import { isMark, isSpace } from "./char_set.ts";
import type { JsonValue } from "./json.ts";
import { type Components, readComponent } from "./json.ts";
import { type Pattern, readPattern } from "./pattern.ts";
import { PrecompiledNormalizer } from "./precompiled.ts";

/** Most normalizers of a sequence: real ones have up to ten. */
const MAX_SEQUENCE = 64;

/** Changes a text before it is split and encoded. */
export interface Normalizer {
  normalize(text: string): string;
  /** As {@link normalize}, and says what comes from where. */
  align(text: AlignedText): AlignedText;
}

const known: Components<Normalizer> = {
  Sequence: (json) => sequence(json.get("normalizers").items(MAX_SEQUENCE).map(readNormalizer)),
  NFC: () => unicode("NFC"),
  NFD: () => unicode("NFD"),
  NFKC: () => unicode("NFKC"),
  NFKD: () => unicode("NFKD"),
  Lowercase: () => byCharacter(lowercase),
  Strip: (json) => strip(json.get("strip_left").boolean(true), json.get("strip_right").boolean(true)),
  StripAccents: () => byCharacter((character) => (isAccent(character) ? "" : undefined)),
  Replace: (json) => replace(readPattern(json.get("pattern")), json.get("content").string()),
  Prepend: (json) => prepend(json.get("prepend").string()),
  Precompiled: (json) => {
    const precompiled = PrecompiledNormalizer.read(json.get("precompiled_charsmap"));
    return ofEdits((text, edit) => precompiled.edits(text, edit));
  },
  Nmt: () => byCharacter(nmt),
};

/**
 * Reads a normalizer.
 * @throws FormatError, UnsupportedError
 */
export function readNormalizer(json: JsonValue): Normalizer {
  return readComponent(json, "Normalizer", known);
}

function sequence(parts: readonly Normalizer[]): Normalizer {
  return {
    normalize: (text) => parts.reduce((result, part) => part.normalize(result), text),
    align: (text) => parts.reduce((result, part) => part.align(result), text),
  };
}

/** A normalizer of the edits it makes; `normalize` if there is a quicker way. */
function ofEdits(
  edits: (text: string, edit: Edit) => void,
  normalize = (text: string) => applied(text, edits),
): Normalizer {
  return { normalize, align: (text) => text.edited(edits) };
}

function applied(text: string, edits: (text: string, edit: Edit) => void): string {
  let result = "";
  let kept = 0;
  edits(text, (begin, end, replacement) => {
    result += text.slice(kept, begin) + replacement;
    kept = end;
  });
  return kept === 0 && result === "" ? text : result + text.slice(kept);
}

/** Replaces characters one by one; `change` gives undefined for those that stay. */
function byCharacter(
  change: (character: number) => string | undefined,
  normalize?: (text: string) => string,
): Normalizer {
  return ofEdits((text, edit) => {
    for (let i = 0; i < text.length; ) {
      const character = text.codePointAt(i) as number;
      const end = i + (character > 0xffff ? 2 : 1);
      const changed = change(character);
      if (changed !== undefined) edit(i, end, changed);
      i = end;
    }
  }, normalize);
}

function unicode(form: UnicodeForm): Normalizer {
  const forms = oldUnicodeForms();
  return ofEdits(
    (text, edit) => forms.edits(text, form, edit),
    (text) => forms.normalize(text, form),
  );
}

/** Marks of Unicode 9.0, as in {@link oldUnicodeForms}; two of them became letters since. */
function isAccent(character: number): boolean {
  return (isMark(character) && isOld(character)) || character === 0x1cf2 || character === 0x1cf3;
}

/** Character by character: a sigma at the end of a word is no exception. */
function lowercase(character: number): string | undefined {
  if (character === DOTTED_I) return "i\u0307";
  const lower = lowerCaseOf(character);
  return lower === character ? undefined : String.fromCodePoint(lower);
}

/** The only character whose lower case is two. */
const DOTTED_I = 0x130;

function strip(left: boolean, right: boolean): Normalizer {
  return ofEdits((text, edit) => {
    let begin = 0;
    let end = text.length;
    while (left && begin < end && isSpace(text.charCodeAt(begin))) begin++;
    while (right && end > begin && isSpace(text.charCodeAt(end - 1))) end--;
    if (begin > 0) edit(0, begin, "");
    if (end < text.length) edit(end, text.length, "");
  });
}

function replace(pattern: Pattern, content: string): Normalizer {
  const { literal } = pattern;
  return ofEdits(
    (text, edit) => {
      for (const [begin, end] of pattern.matches(text)) edit(begin, end, content);
    },
    literal === undefined || literal === "" ? undefined : (text) => text.replaceAll(literal, () => content),
  );
}

function prepend(prefix: string): Normalizer {
  return ofEdits((text, edit) => {
    if (text !== "") edit(0, 0, prefix);
  });
}

/**
 * The rules with which Google's translation models were trained: controls are taken out, what separates words
 * becomes a space.
 */
function nmt(character: number): string | undefined {
  const isControl =
    (character >= 0x01 && character <= 0x08) ||
    character === 0x0b ||
    (character >= 0x0e && character <= 0x1f) ||
    character === 0x7f ||
    character === 0x8f ||
    character === 0x9f;
  if (isControl) return "";
  return nmtSpaces.has(character) ? " " : undefined;
}

const nmtSpaces = new Set([
  0x09, 0x0a, 0x0c, 0x0d, 0x1680, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x2581, 0xfeff,
  0xfffd,
]);
