// Cuts a template's text into the tokens that @huggingface/jinja's parser takes, by the rules of Jinja2.
import { FormatError } from "../../util/errors.ts";
import { rewritten, type Token } from "./rewrite.ts";

/** Brackets inside one another. */
const MAX_BRACKETS = 100;

const operators: Readonly<Record<string, string>> = {
  "//": "MultiplicativeBinaryOperator",
  "**": "ExponentiationBinaryOperator",
  "==": "ComparisonBinaryOperator",
  "!=": "ComparisonBinaryOperator",
  "<=": "ComparisonBinaryOperator",
  ">=": "ComparisonBinaryOperator",
  "<": "ComparisonBinaryOperator",
  ">": "ComparisonBinaryOperator",
  "+": "AdditiveBinaryOperator",
  "-": "AdditiveBinaryOperator",
  "~": "AdditiveBinaryOperator",
  "*": "MultiplicativeBinaryOperator",
  "/": "MultiplicativeBinaryOperator",
  "%": "MultiplicativeBinaryOperator",
  "=": "Equals",
  "(": "OpenParen",
  ")": "CloseParen",
  "[": "OpenSquareBracket",
  "]": "CloseSquareBracket",
  "{": "OpenCurlyBracket",
  "}": "CloseCurlyBracket",
  ",": "Comma",
  ".": "Dot",
  ":": "Colon",
  "|": "Pipe",
};
const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
const escapes: Readonly<Record<string, string>> = {
  ...{ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07", "0": "\0" },
  ...{ "'": "'", '"': '"', "\\": "\\", "\n": "" },
};

/** The error of a template that is none. */
export function syntaxError(line: number, expected: string): FormatError {
  return new FormatError(`Cannot read the chat template: Line ${line}: ${expected}`);
}

/**
 * Tokens of a template, with white space as transformers sets it: the newline after a block or comment, and blanks
 * before one on its line, are left out. `{% generation %}` marks what a model learns and writes nothing.
 * @throws FormatError, with the line
 */
export function tokenizeTemplate(source: string): Token[] {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Where the line ends that was found last: a line's end is looked for once. */
  #lineEnd = -1;
  /** Whether what was read last ended with a newline. */
  #startsLine = true;
  /** Blocks of {@link checkBlock} that are open. */
  readonly #blocks: string[] = [];

  constructor(source: string) {
    this.#source = source.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  }

  run(): Token[] {
    while (this.#at < this.#source.length) {
      const open = this.#nextTag();
      const kind = this.#source[open + 1];
      this.#readText(open, kind);
      if (open === this.#source.length) break;
      if (kind === "#") this.#readComment();
      else if (!this.#readRaw()) this.#readTag(kind === "%");
    }
    return this.#tokens;
  }

  #nextTag(): number {
    for (let i = this.#at; ; i++) {
      i = this.#source.indexOf("{", i);
      if (i < 0) return this.#source.length;
      if ("{%#".includes(this.#source[i + 1] || " ")) return i;
    }
  }

  /** Text up to a tag, without the white space that the tag takes. */
  #readText(open: number, kind: string | undefined): void {
    let value = this.#source.slice(this.#at, open);
    const sign = this.#source[open + 2];
    if (open < this.#source.length) {
      if (sign === "-") value = value.trimEnd();
      else if (sign !== "+" && kind !== "{") {
        const begin = value.lastIndexOf("\n") + 1;
        if ((begin > 0 || this.#startsLine) && value.slice(begin).trim() === "")
          value = value.slice(0, begin);
      }
    }
    if (value !== "") this.#tokens.push({ value, type: "Text", line: this.#line });
    this.#move(open);
  }

  /** Goes on to a position, counting lines. */
  #move(to: number): void {
    while (this.#lineEnd < to) {
      if (this.#lineEnd >= this.#at) this.#line++;
      const next = this.#source.indexOf("\n", this.#lineEnd + 1);
      this.#lineEnd = next < 0 ? this.#source.length : next;
    }
    this.#at = to;
  }

  /** Leaves out the white space behind a tag, of which `sign` stands before the end. */
  #afterTag(sign: string | undefined, isBlock: boolean): void {
    const begin = this.#at;
    let end = begin;
    if (sign === "-") while (/\s/.test(this.#source[end] || ".")) end++;
    else if (isBlock && sign !== "+" && this.#source[end] === "\n") end++;
    this.#startsLine = end > begin && this.#source[end - 1] === "\n";
    this.#move(end);
  }

  #readComment(): void {
    const end = this.#source.indexOf("#}", this.#at + 2);
    if (end < 0) throw syntaxError(this.#line, "Expected #} after {#, got none");
    this.#move(end + 2);
    this.#afterTag(this.#source[end - 1], true);
  }

  /** Reads `{% raw %}` to `{% endraw %}`, if it stands here. */
  #readRaw(): boolean {
    const begin = /\{%[-+]?\s*raw\s*(-?)%\}/y;
    begin.lastIndex = this.#at;
    const found = begin.exec(this.#source);
    if (!found) return false;
    const end = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g;
    end.lastIndex = begin.lastIndex;
    const last = end.exec(this.#source);
    if (!last) throw syntaxError(this.#line, "Expected {% endraw %} after {% raw %}, got none");
    let value = this.#source.slice(begin.lastIndex, last.index);
    if (found[1]) value = value.trimStart();
    else value = value.replace(/^\n/, "");
    if (last[1] === "-") value = value.trimEnd();
    else if (last[1] !== "+") value = value.replace(/(^|\n)[^\S\n]*$/, "$1");
    if (value !== "") this.#tokens.push({ value, type: "Text", line: this.#line });
    this.#move(end.lastIndex);
    this.#afterTag(last[2], true);
    return true;
  }

  #readTag(isBlock: boolean): void {
    const close = isBlock ? "%}" : "}}";
    const begin = this.#tokens.length;
    this.#push(isBlock ? "{%" : "{{", isBlock ? "OpenStatement" : "OpenExpression", 2);
    if (/[-+]/.test(this.#source[this.#at] || " ")) this.#at++;
    const open: string[] = [];
    for (;;) {
      this.#skipSpace();
      const { line } = this.#tokens[begin] as Token;
      if (this.#at >= this.#source.length) throw syntaxError(line, `Expected ${close}, got none`);
      if (open.length === 0) {
        const sign = /[-+]/.test(this.#source[this.#at] as string) ? (this.#source[this.#at] as string) : "";
        if (this.#source.startsWith(sign + close, this.#at) && !(sign === "+" && !isBlock)) {
          this.#push(close, isBlock ? "CloseStatement" : "CloseExpression", sign.length + 2);
          this.#afterTag(sign, isBlock);
          break;
        }
      }
      if (/['"]/.test(this.#source[this.#at] as string)) this.#readString(this.#source[this.#at] as string);
      else this.#readToken(open);
    }
    const tag = this.#tokens.splice(begin);
    if (isBlock && tag.length === 3 && /^(end)?generation$/.test((tag[1] as Token).value)) return;
    if (isBlock) this.#checkBlock(tag as [Token, Token]);
    for (const token of rewritten(tag, isBlock)) this.#tokens.push(token);
  }

  /** Blocks whose ends the parser cannot tell apart. */
  #checkBlock([, { value, line }]: readonly [Token, Token, ...Token[]]): void {
    if (/^(with|filter)$/.test(value)) this.#blocks.push(value);
    else if (/^end(with|filter)$/.test(value) && this.#blocks.pop() !== value.slice(3))
      throw syntaxError(line, `Unexpected ${value}`);
  }

  #push(value: string, type: string, length: number): void {
    this.#tokens.push({ value, type, line: this.#line });
    this.#move(this.#at + length);
  }

  #skipSpace(): void {
    let end = this.#at;
    while (end < this.#source.length && /\s/.test(this.#source[end] as string)) end++;
    this.#move(end);
  }

  #readToken(open: string[]): void {
    const unit = this.#source[this.#at] as string;
    const pattern = /\d[\d_]*(\.\d[\d_]*)?(e[+-]?\d+)?|\w+/iy;
    pattern.lastIndex = this.#at;
    const word = pattern.exec(this.#source)?.[0];
    if (word !== undefined) {
      const isIndex = this.#tokens.at(-1)?.type === "Dot" && /^\d/.test(word);
      const taken = isIndex ? (/^\d+/.exec(word)?.[0] as string) : word;
      const isNumber = /^\d/.test(taken);
      this.#push(
        isNumber ? numberText(taken) : taken,
        isNumber ? "NumericLiteral" : "Identifier",
        taken.length,
      );
      return;
    }
    const two = this.#source.slice(this.#at, this.#at + 2);
    const operator = two in operators ? two : unit;
    const type = Object.hasOwn(operators, operator) ? (operators[operator] as string) : undefined;
    if (type === undefined) throw syntaxError(this.#line, `Unexpected character ${JSON.stringify(unit)}`);
    if (operator in closing) open.push(closing[operator] as string);
    else if (Object.values(closing).includes(operator) && open.pop() !== operator) {
      throw syntaxError(this.#line, `Unexpected ${operator}`);
    }
    if (open.length > MAX_BRACKETS) {
      throw syntaxError(this.#line, `Expected at most ${MAX_BRACKETS} brackets inside one another`);
    }
    this.#push(operator, type, operator.length);
  }

  #readString(quote: string): void {
    let end = this.#at + 1;
    while (end < this.#source.length && this.#source[end] !== quote)
      end += this.#source[end] === "\\" ? 2 : 1;
    if (end >= this.#source.length)
      throw syntaxError(this.#line, `Expected ${quote} at the end of a text, got none`);
    const body = this.#source.slice(this.#at + 1, end);
    const value = body.replace(
      /\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([\s\S]))/gi,
      (all, two, four, eight, other) => {
        const code = Number.parseInt(two ?? four ?? eight, 16);
        if (code <= 0x10ffff) return String.fromCodePoint(code);
        return Object.hasOwn(escapes, other) ? (escapes[other] as string) : all;
      },
    );
    this.#push(value, "StringLiteral", end + 1 - this.#at);
  }
}

// The parser tells floats from integers by the point.
function numberText(written: string): string {
  const digits = written.replaceAll("_", "");
  if (!/[.e]/i.test(digits)) return digits;
  const value = String(Number(digits));
  return value.includes(".") || !/^\d+$/.test(value) ? value : `${value}.0`;
}
