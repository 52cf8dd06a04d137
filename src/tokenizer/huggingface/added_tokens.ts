// Added tokens of a tokenizer.json: cut out of the text before anything else happens to it.
import { MAX_PIECES } from "../core/limits.ts";
import { marksTurn } from "../core/plain_parts.ts";
import { SymbolMatcher } from "../core/symbol_matcher.ts";
import { CharSet, isRustWord, isSpace } from "./char_set.ts";
import type { JsonValue } from "./json.ts";

/** A token that is found in the text before anything else happens to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is left out of decoded text, and found in text only when that is asked for. */
  readonly special: boolean;
  /** Whether it takes the white space before or after it along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Whether it counts only if no word character is beside it. */
  readonly singleWord: boolean;
  /** Whether it is looked for in the normalized text. */
  readonly normalized: boolean;
}

/** A part of a text: a token, or text between tokens (id undefined). */
export interface Section {
  readonly begin: number;
  readonly end: number;
  readonly id: number | undefined;
}

/**
 * Reads added_tokens. Tokens without content are left out, as Hugging Face does.
 * @throws FormatError for a wrong type, an id above the limit, or two tokens of one id
 */
export function readAddedTokens(json: JsonValue): AddedToken[] {
  if (json.isNull) return [];
  const seen = new Map<number, string>();
  const contents = new Set<string>();
  const tokens: AddedToken[] = [];
  for (const item of json.items(MAX_PIECES)) {
    const id = item.get("id").integer(0, MAX_PIECES - 1);
    const content = item.get("content").string();
    const other = seen.get(id);
    if (other !== undefined && other !== content) throw item.get("id").expected("the only token of its id");
    if (content === "" || contents.has(content)) continue;
    seen.set(id, content);
    contents.add(content);
    const special = item.get("special").boolean(false);
    tokens.push({
      id,
      content,
      special,
      lstrip: item.get("lstrip").boolean(false),
      rstrip: item.get("rstrip").boolean(false),
      singleWord: item.get("single_word").boolean(false),
      normalized: item.get("normalized").boolean(!special),
    });
  }
  // Of tokens that are equal once normalized the special ones count first.
  return [...tokens.filter((token) => token.special), ...tokens.filter((token) => !token.special)];
}

const spaces = new CharSet(isSpace);
const words = new CharSet(isRustWord);

/** Steps of looking token by token, for each unit of a text, before a matcher of linear time takes over. */
const WALK_STEPS = 8;

/** Finds added tokens in texts: from left to right, the longest at each position. */
export class AddedTokenFinder {
  readonly #tokens: readonly AddedToken[];
  readonly #texts: readonly string[];
  readonly #matcher: SymbolMatcher;
  /** Texts by their first unit, longest first. */
  readonly #byFirst = new Map<number, number[]>();
  readonly #firsts = new Uint8Array(0x10000);
  readonly #hasPlain: boolean;

  /**
   * @param texts what each token looks like in the text
   * @throws FormatError for too much text
   */
  constructor(tokens: readonly AddedToken[], texts: readonly string[]) {
    this.#tokens = tokens;
    this.#texts = texts;
    this.#matcher = new SymbolMatcher(texts.map((text, i) => [text, i]));
    this.#hasPlain = tokens.some((token) => !token.special);
    const longestFirst = [...texts.keys()].sort(
      (a, b) => (texts[b] as string).length - (texts[a] as string).length || a - b,
    );
    for (const i of longestFirst) {
      const text = texts[i] as string;
      if (text === "") continue;
      const first = text.charCodeAt(0);
      this.#firsts[first] = 1;
      const list = this.#byFirst.get(first);
      if (list === undefined) this.#byFirst.set(first, [i]);
      else list.push(i);
    }
  }

  /**
   * Cuts a text at its tokens.
   * @param special whether special tokens count; otherwise they are text
   * @param isPlain whether units [begin, end) are text all the same
   */
  sections(text: string, special: boolean, isPlain: (begin: number, end: number) => boolean): Section[] {
    const sections: Section[] = [];
    let last = 0;
    const matches = special || this.#hasPlain ? this.#matches(text) : [];
    for (const [at, index] of matches) {
      const token = this.#tokens[index] as AddedToken;
      const after = at + (this.#texts[index] as string).length;
      const isMark = token.special || marksTurn(token.content);
      if ((token.special && !special) || (isMark && isPlain(at, after))) continue;
      if (token.singleWord && !standsAlone(text, at, after)) continue;
      // White space that a token before has taken along is not taken again, and is no token.
      let begin = token.lstrip ? Math.max(at, last) : at;
      let end = after;
      if (token.lstrip) while (begin > last && spaces.has(text.charCodeAt(begin - 1))) begin--;
      if (token.rstrip) while (end < text.length && spaces.has(text.charCodeAt(end))) end++;
      if (begin >= end) continue;
      if (begin > last) sections.push({ begin: last, end: begin, id: undefined });
      sections.push({ begin, end, id: token.id });
      last = end;
    }
    if (last < text.length) sections.push({ begin: last, end: text.length, id: undefined });
    return sections;
  }

  /** Positions and tokens. Most texts have few places where a token could begin. */
  #matches(text: string): [at: number, index: number][] {
    const found: [at: number, index: number][] = [];
    let steps = 1024 + WALK_STEPS * text.length;
    for (let i = 0; i < text.length; ) {
      const unit = text.charCodeAt(i);
      if (this.#firsts[unit] === 0) {
        i++;
        continue;
      }
      const candidates = this.#byFirst.get(unit) as number[];
      let index = -1;
      for (const candidate of candidates) {
        const token = this.#texts[candidate] as string;
        steps -= 1 + (token.length >>> 3);
        if (steps < 0) return this.#matchAll(text);
        if (text.startsWith(token, i)) {
          index = candidate;
          break;
        }
      }
      if (index >= 0) found.push([i, index]);
      i += index < 0 ? 1 : (this.#texts[index] as string).length;
    }
    return found;
  }

  #matchAll(text: string): [at: number, index: number][] {
    const found: [at: number, index: number][] = [];
    const longest = this.#matcher.match(text);
    for (let i = 0; i < text.length; ) {
      const index = longest[i] as number;
      if (index >= 0) found.push([i, index]);
      i += index < 0 ? 1 : (this.#texts[index] as string).length;
    }
    return found;
  }
}

function standsAlone(text: string, begin: number, end: number): boolean {
  const before = begin > 0 && words.has(characterBefore(text, begin));
  const after = end < text.length && words.has(text.codePointAt(end) as number);
  return !before && !after;
}

function characterBefore(text: string, i: number): number {
  const pair = i > 1 ? (text.codePointAt(i - 2) as number) : 0;
  return pair > 0xffff ? pair : text.charCodeAt(i - 1);
}
