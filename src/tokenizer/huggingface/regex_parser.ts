// Parses regular expressions of tokenizer.json files (Oniguruma's syntax) to programs for regex.ts.
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import {
  allOf,
  anyOf,
  CharSet,
  ignoringCase,
  isDecimalDigit,
  isHexDigit,
  isSpace,
  isWord,
  isWordInBracket,
  not,
  posix,
  property,
  range,
  type Test,
} from "./char_set.ts";

/** Longest pattern that is read: the longest in use have a few thousand characters. */
const MAX_PATTERN = 1 << 16;
/** Deepest nesting of groups and brackets. */
const MAX_DEPTH = 32;
/** Most repetitions that a quantifier may count. */
export const MAX_COUNT = 1000;

export type Anchor = "lineStart" | "lineEnd" | "start" | "end" | "lastLineEnd" | "boundary" | "noBoundary";

/** A regular expression as a tree. */
export type Node =
  | { readonly kind: "set"; readonly set: CharSet }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly Node[] }
  | {
      readonly kind: "repeat";
      readonly part: Node;
      readonly min: number;
      readonly max: number;
      readonly mode: "greedy" | "lazy" | "possessive";
    }
  | { readonly kind: "anchor"; readonly anchor: Anchor }
  | { readonly kind: "look"; readonly part: Node; readonly behind: boolean; readonly negated: boolean }
  | { readonly kind: "atomic"; readonly part: Node };

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
}

const anchors: Readonly<Record<string, Anchor>> = {
  A: "start",
  z: "end",
  Z: "lastLineEnd",
  b: "boundary",
  B: "noBoundary",
};

/** Escapes that stand for a set, outside of brackets. */
const setEscapes: Readonly<Record<string, Test>> = {
  d: isDecimalDigit,
  h: isHexDigit,
  s: isSpace,
  w: isWord,
};

/** Escapes of what is not in a set, and of what is. */
const negatedEscapes = "DHSW";
const plainEscapes = "dhsw";

const characterEscapes: Readonly<Record<string, number>> = {
  t: 0x09,
  n: 0x0a,
  v: 0x0b,
  f: 0x0c,
  r: 0x0d,
  a: 0x07,
  e: 0x1b,
};

/**
 * Parses a regular expression in Oniguruma's syntax, with which Hugging Face compiles the patterns of
 * tokenizer.json: characters, sets with nesting and &&, \p, POSIX brackets, groups, alternatives, greedy,
 * lazy and possessive quantifiers, atomic groups, look-around, anchors, (?i) and (?m).
 * Groups do not capture. Case is ignored character by character: no "ß" for "ss".
 *
 * Source: Oniguruma, doc/RE (syntax ONIG_SYNTAX_RUBY's relatives, Unicode).
 * @throws FormatError if the pattern is not valid
 * @throws UnsupportedError for back-references, conditionals, \G, \K, \R, \X and options other than i and m
 */
export function parseRegex(pattern: string): Node {
  if (pattern.length > MAX_PATTERN) {
    throw new FormatError(`Expected a pattern of at most ${MAX_PATTERN} characters, got ${pattern.length}`);
  }
  return new Parser(pattern).parse();
}

class Parser {
  readonly #pattern: string;
  #position = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): Node {
    const node = this.#choice({ ignoreCase: false, dotAll: false });
    if (this.#position < this.#pattern.length) throw this.#invalid("an unmatched )");
    return node;
  }

  #choice(flags: Flags): Node {
    if (++this.#depth > MAX_DEPTH) throw this.#invalid(`groups nested more than ${MAX_DEPTH} deep`);
    const alternatives: Node[] = [];
    let current = flags;
    do {
      const parts: Node[] = [];
      while (this.#position < this.#pattern.length && !this.#at("|") && !this.#at(")")) {
        const option = this.#takeOption(current);
        if (option !== undefined) current = option;
        else parts.push(this.#quantified(current));
      }
      alternatives.push({ kind: "sequence", parts });
    } while (this.#take("|"));
    this.#depth--;
    return alternatives.length === 1 ? (alternatives[0] as Node) : { kind: "choice", parts: alternatives };
  }

  /** An option for the rest of a group: (?i). */
  #takeOption(flags: Flags): Flags | undefined {
    const match = /^\(\?([a-z]*)(?:-([a-z]*))?\)/.exec(
      this.#pattern.slice(this.#position, this.#position + 16),
    );
    if (match === null) return undefined;
    this.#position += match[0].length;
    return this.#withOptions(flags, match[1] as string, match[2] ?? "");
  }

  #withOptions(flags: Flags, on: string, off: string): Flags {
    for (const letter of on + off) {
      if (letter !== "i" && letter !== "m") throw this.#unsupported(`the option ${letter}`);
    }
    const set = (letter: string, value: boolean) => (on.includes(letter) || value) && !off.includes(letter);
    return { ignoreCase: set("i", flags.ignoreCase), dotAll: set("m", flags.dotAll) };
  }

  #quantified(flags: Flags): Node {
    let node = this.#atom(flags);
    for (let count = this.#quantifier(); count !== undefined; count = this.#quantifier()) {
      if (node.kind === "anchor" || node.kind === "look") throw this.#invalid("a quantifier of an anchor");
      if (++this.#depth > MAX_DEPTH) throw this.#invalid(`more than ${MAX_DEPTH} quantifiers of one another`);
      const { min, max, isInterval } = count;
      const mode = this.#take("?") ? "lazy" : !isInterval && this.#take("+") ? "possessive" : "greedy";
      node = { kind: "repeat", part: node, min, max, mode };
    }
    return node;
  }

  #quantifier(): { min: number; max: number; isInterval: boolean } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY, isInterval: false };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY, isInterval: false };
    if (this.#take("?")) return { min: 0, max: 1, isInterval: false };
    const match = this.#takeMatch(/\{(\d{1,6})(,?)(\d{0,6})\}|\{,(\d{1,6})\}/y);
    if (match === undefined) return undefined;
    const [, low = "0", comma = "", high = "", alone] = match;
    const min = Number(low);
    const max =
      alone !== undefined
        ? Number(alone)
        : high !== ""
          ? Number(high)
          : comma
            ? Number.POSITIVE_INFINITY
            : min;
    if (min > max) throw this.#invalid("a quantifier whose least is above its most");
    if (min > MAX_COUNT || (max > MAX_COUNT && max !== Number.POSITIVE_INFINITY)) {
      throw this.#invalid(`a quantifier of more than ${MAX_COUNT}`);
    }
    return { min, max, isInterval: true };
  }

  #atom(flags: Flags): Node {
    if (this.#at("(")) return this.#group(flags);
    if (this.#at("[")) return setNode(this.#bracket(flags));
    if (this.#at("*") || this.#at("+") || this.#at("?")) throw this.#invalid("a quantifier of nothing");
    if (this.#take("^")) return { kind: "anchor", anchor: "lineStart" };
    if (this.#take("$")) return { kind: "anchor", anchor: "lineEnd" };
    if (this.#take(".")) return setNode(flags.dotAll ? () => true : (character) => character !== 0x0a);
    if (this.#at("\\")) return this.#escape(flags);
    return literal(this.#character(), flags);
  }

  #group(flags: Flags): Node {
    this.#take("(");
    const wrap = this.#groupKind(flags);
    const node = wrap(this.#choice(wrap.flags ?? flags));
    if (!this.#take(")")) throw this.#invalid("an unmatched (");
    return node;
  }

  #groupKind(flags: Flags): ((part: Node) => Node) & { flags?: Flags } {
    const plain = (part: Node) => part;
    if (!this.#take("?")) return plain;
    if (this.#take(":")) return plain;
    if (this.#take(">")) return (part) => ({ kind: "atomic", part });
    for (const [sign, behind, negated] of lookSigns) {
      if (this.#take(sign)) return (part) => ({ kind: "look", part, behind, negated });
    }
    if (this.#takeMatch(/<[A-Za-z_\u0080-\u{10ffff}][\w\u0080-\u{10ffff}]*>/uy)) return plain;
    const options = this.#takeMatch(/([a-z]*)(?:-([a-z]*))?:/y);
    if (options === undefined) throw this.#unsupported("this kind of group");
    return Object.assign((part: Node) => part, {
      flags: this.#withOptions(flags, options[1] as string, options[2] ?? ""),
    });
  }

  #escape(flags: Flags): Node {
    const name = this.#pattern[this.#position + 1] ?? "";
    const anchor = Object.hasOwn(anchors, name) ? anchors[name] : undefined;
    if (anchor !== undefined) {
      this.#position += 2;
      return { kind: "anchor", anchor };
    }
    const set = this.#takeSetEscape(setEscapes);
    return set === undefined ? literal(this.#escapedCharacter(), flags) : setNode(set);
  }

  /** \p{...}, \d and the like, if one comes. */
  #takeSetEscape(known: Readonly<Record<string, Test>>): Test | undefined {
    const named = this.#takeMatch(/\\([pP])(?:\{(\^?)([^}]*)\}|([A-Z]))/y);
    if (named !== undefined) {
      const [, letter, caret, braced, single] = named;
      const name = braced ?? (single as string);
      const test = name === "Word" ? isWordInBracket : property(name);
      if (test === undefined) throw this.#unsupported(`the property ${name}`);
      return (letter === "P") !== (caret === "^") ? not(test) : test;
    }
    if (!this.#at("\\")) return undefined;
    const name = this.#pattern[this.#position + 1] ?? "";
    const negated = negatedEscapes.indexOf(name);
    const letter = name !== "" && negated >= 0 ? (plainEscapes[negated] as string) : name;
    const test = Object.hasOwn(known, letter) ? known[letter] : undefined;
    if (test === undefined) return undefined;
    this.#position += 2;
    return letter === name ? test : not(test);
  }

  #escapedCharacter(): number {
    const code = this.#takeMatch(/\\(?:x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/y);
    if (code !== undefined) {
      const character = Number.parseInt(code[1] ?? code[2] ?? (code[3] as string), 16);
      if (character > 0x10ffff) throw this.#invalid("a character above U+10FFFF");
      return character;
    }
    this.#position++;
    if (this.#position >= this.#pattern.length) throw this.#invalid("a \\ at the end");
    const name = this.#pattern[this.#position] as string;
    if (Object.hasOwn(characterEscapes, name)) {
      this.#position++;
      return characterEscapes[name] as number;
    }
    if (/[A-Za-z0-9]/.test(name)) throw this.#unsupported(`\\${name}`);
    return this.#character();
  }

  /** A bracket, whose parts joined by && must all hold. */
  #bracket(flags: Flags): Test {
    if (++this.#depth > MAX_DEPTH) throw this.#invalid(`brackets nested more than ${MAX_DEPTH} deep`);
    this.#take("[");
    const negated = this.#take("^");
    const operands: Test[] = [];
    let items: Test[] = [];
    let isFirst = true;
    for (; isFirst || !this.#at("]"); isFirst = false) {
      if (this.#position >= this.#pattern.length) throw this.#invalid("an unmatched [");
      if (this.#take("&&")) {
        operands.push(anyOf(items));
        items = [];
      } else items.push(this.#bracketItem(flags));
    }
    this.#take("]");
    this.#depth--;
    operands.push(anyOf(items));
    const all = operands.length === 1 ? (operands[0] as Test) : allOf(operands);
    const test = flags.ignoreCase ? ignoringCase(all) : all;
    return negated ? not(test) : test;
  }

  #bracketItem(flags: Flags): Test {
    const named = this.#takeMatch(/\[:(\^?)([a-z]+):\]/y);
    if (named !== undefined) {
      const name = named[2] as string;
      const test = Object.hasOwn(posix, name) ? (posix[name] as Test) : undefined;
      if (test === undefined) throw this.#unsupported(`the bracket [:${name}:]`);
      return named[1] === "^" ? not(test) : test;
    }
    if (this.#at("[")) return this.#bracket(flags);
    const set = this.#takeSetEscape({ ...setEscapes, w: isWordInBracket });
    if (set !== undefined) return set;
    const first = this.#bracketCharacter();
    if (
      !this.#at("-") ||
      this.#pattern[this.#position + 1] === "]" ||
      this.#position + 1 >= this.#pattern.length
    ) {
      return range(first, first);
    }
    this.#take("-");
    if (this.#at("[") || this.#takeSetEscape(setEscapes) !== undefined)
      throw this.#invalid("a range that ends in a set");
    const last = this.#bracketCharacter();
    if (last < first) throw this.#invalid("an empty range");
    return range(first, last);
  }

  #bracketCharacter(): number {
    if (!this.#at("\\")) return this.#character();
    if (this.#pattern[this.#position + 1] === "b") {
      this.#position += 2;
      return 0x08;
    }
    return this.#escapedCharacter();
  }

  #character(): number {
    const character = this.#pattern.codePointAt(this.#position) as number;
    this.#position += character > 0xffff ? 2 : 1;
    return character;
  }

  #at(text: string): boolean {
    return this.#pattern.startsWith(text, this.#position);
  }

  #take(text: string): boolean {
    if (!this.#at(text)) return false;
    this.#position += text.length;
    return true;
  }

  #takeMatch(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#position;
    const match = sticky.exec(this.#pattern);
    if (match === null) return undefined;
    this.#position += match[0].length;
    return match;
  }

  #invalid(problem: string): FormatError {
    return new FormatError(
      `Expected a valid regular expression, got ${problem} before character ${this.#position}`,
    );
  }

  #unsupported(what: string): UnsupportedError {
    return new UnsupportedError(
      `${what} before character ${this.#position} of a regular expression is not supported; supported: sets, groups, alternatives, quantifiers, look-around, anchors, the options i and m`,
    );
  }
}

const lookSigns = [
  ["=", false, false],
  ["!", false, true],
  ["<=", true, false],
  ["<!", true, true],
] as const;

function setNode(test: Test): Node {
  return { kind: "set", set: new CharSet(test) };
}

function literal(character: number, { ignoreCase }: Flags): Node {
  const same: Test = (other) => other === character;
  return setNode(ignoreCase ? ignoringCase(same) : same);
}
