// Reads values as JSON, Python and Gemma write them, and hands them on as JSON text while they come.
import type { Markers, Reading, Scanner } from "./scanner.ts";

/** Deeper values are none: no arguments of a tool are like that, and a stack has an end. */
const MAX_DEPTH = 100;
/** Longer words are no numbers. */
const MAX_WORD = 400;

/** A reader of values. JSON is handed on as it was written. */
export class Literals {
  /** Whether a number was read that no number of JavaScript can hold. */
  infinite = false;
  readonly #in: Scanner;
  readonly #emit: (text: string) => void;
  readonly #quote: Markers | undefined;

  /** @param quote what stands before and after strings without escapes; keys are bare then. Undefined for JSON and Python. */
  constructor(scanner: Scanner, emit: (text: string) => void, quote?: Markers) {
    this.#in = scanner;
    this.#emit = emit;
    this.#quote = quote;
  }

  /** Reads a value. @returns false if there is none; what was handed on by then is the beginning of one */
  *value(depth = 0): Reading<boolean> {
    const first = yield* this.#in.peek();
    if (first === "{" || first === "[") return depth < MAX_DEPTH && (yield* this.#container(depth + 1));
    return (yield* this.string()) || (yield* this.#word());
  }

  /** Reads a string. */
  *string(): Reading<boolean> {
    const mark = this.#quote;
    if (mark && (yield* this.#in.eat(mark.words[0] as string))) return yield* this.#raw(mark);
    const quote = yield* this.#in.peek();
    if (quote !== '"' && quote !== "'") return false;
    yield* this.#in.next();
    this.#emit('"');
    const plain = quote === '"' ? /[^"\\\p{Cc}]+/uy : /[^"'\\\p{Cc}]+/uy;
    for (;;) {
      yield* this.#in.each(plain, this.#emit);
      const unit = yield* this.#in.next();
      if (unit === quote) break;
      if (unit === "" || (unit === "\\" && !(yield* this.#escape()))) return false;
      if (unit !== "\\") this.#emit(escaped(unit));
    }
    this.#emit('"');
    return true;
  }

  *#raw(quote: Markers): Reading<boolean> {
    this.#emit('"');
    const emit = (text: string) => this.#emit(escaped(text));
    const end = yield* this.#in.until(quote, emit);
    if (end === "") return false;
    this.#emit('"');
    return true;
  }

  // What follows a backslash. What is no escape of Python's keeps its backslash, as Python does.
  *#escape(): Reading<boolean> {
    const unit = yield* this.#in.next();
    if (unit === "") return false;
    const digits = unit === "u" ? 4 : unit === "x" ? 2 : 0;
    if (digits > 0) {
      let code = "";
      while (code.length < digits) {
        const digit = yield* this.#in.next();
        if (!/^[0-9a-fA-F]$/.test(digit)) return false;
        code += digit;
      }
      this.#emit(`\\u${code.padStart(4, "0")}`);
    } else if (/["\\/bfnrt]/.test(unit)) this.#emit(`\\${unit}`);
    else if (unit === "'") this.#emit(unit);
    else if (unit !== "\n") this.#emit(escaped(`\\${unit}`));
    return true;
  }

  *#container(depth: number): Reading<boolean> {
    const open = yield* this.#in.next();
    const close = open === "{" ? "}" : "]";
    let before = open;
    for (;;) {
      before += yield* this.#in.run(SPACE);
      if (yield* this.#in.eat(close)) break;
      this.#emit(before);
      if (open === "{" && !(yield* this.#key())) return false;
      if (!(yield* this.value(depth))) return false;
      before = yield* this.#in.run(SPACE);
      // A comma before the end is Python's; it is handed on when something follows.
      if (yield* this.#in.eat(",")) before += ",";
      else if (yield* this.#in.eat(close)) break;
      else return false;
    }
    this.#emit(before.replace(",", "") + close);
    return true;
  }

  *#key(): Reading<boolean> {
    if (!(yield* this.string())) {
      const name = this.#quote === undefined ? "" : yield* this.#in.run(/[^\s:,{}[\]<>|"']+/y);
      if (name === "") return false;
      this.#emit(JSON.stringify(name));
    }
    yield* this.#in.each(SPACE, this.#emit);
    if (!(yield* this.#in.eat(":"))) return false;
    this.#emit(":");
    yield* this.#in.each(SPACE, this.#emit);
    return true;
  }

  *#word(): Reading<boolean> {
    const word = yield* this.#in.run(/[\w.+-]+/y);
    const name = NAMES.get(word);
    if (name !== undefined) this.#emit(name);
    else {
      const digits = word.replace(/(?<=\d)_(?=\d)/g, "");
      if (word.length > MAX_WORD || !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(digits)) return false;
      const number = Number(digits);
      if (!Number.isFinite(number)) this.infinite = true;
      this.#emit(JSON_NUMBER.test(digits) ? digits : String(number));
    }
    return true;
  }
}

/** Reads a value, or a string alone, as a whole. @returns its JSON text; undefined if there is none */
export function* literal(scanner: Scanner, kind: "value" | "string"): Reading<string | undefined> {
  let json = "";
  const literals = new Literals(scanner, (text) => {
    json += text;
  });
  return (yield* literals[kind]()) ? json : undefined;
}

/** JSON's text of a string, without its quotes. */
export function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

const SPACE = /[ \t\r\n]+/y;
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NAMES = new Map([
  ["true", "true"],
  ["false", "false"],
  ["null", "null"],
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
