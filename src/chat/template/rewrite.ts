// Writes tags that the parser of @huggingface/jinja does not know as tags that it does.

/** A token of the parser, and the line that it stands on. */
export interface Token {
  readonly value: string;
  readonly type: string;
  readonly line: number;
  /** Of a comparison: whether it goes on from another one, as the second in `1 < x < 5`. */
  isChained?: boolean;
}

/** Names that no template can write, of what is no filter. */
export const WITH = "with ";
export const RECURSIVE = "recursive ";

/** The tokens of a tag, as the parser takes them. */
export function rewritten(tag: readonly Token[], isBlock: boolean): Token[] {
  const known = isBlock ? withBlocks(tag) : tag;
  markChains(known);
  return withTests(withTuples(known, isBlock));
}

const named = (value: string, { line }: Token): Token => ({ value, type: "Identifier", line });
const sign = (value: string, type: string, { line }: Token): Token => ({ value, type, line });

/** `{% with a = 1 %}` becomes the filter block "with "(a = 1); a loop marked as recursive gets a filter of that name. */
function withBlocks(tag: readonly Token[]): readonly Token[] {
  const [open, name, ...rest] = tag;
  if (!open || name?.type !== "Identifier") return tag;
  const close = rest.at(-1) as Token;
  const inner = rest.slice(0, -1);
  if (name.value === "endwith") return [open, named("endfilter", name), ...rest];
  if (name.value === "with") {
    const args = [sign("(", "OpenParen", name), ...inner, sign(")", "CloseParen", close)];
    return [open, named("filter", name), named(WITH, name), ...args, close];
  }
  const last = inner.at(-1);
  if (name.value !== "for" || last?.value !== "recursive" || !isOperand(inner.at(-2))) return tag;
  const begin = 1 + inner.findIndex(({ type, value }) => type === "Identifier" && value === "in");
  const condition = topLevel(inner, begin, (token) => token.type === "Identifier" && token.value === "if");
  const iterable = inner.slice(begin, condition);
  return [
    ...[open, name, ...inner.slice(0, begin)],
    ...[sign("(", "OpenParen", name), ...iterable, sign(")", "CloseParen", name)],
    ...[sign("|", "Pipe", name), named(RECURSIVE, name), ...inner.slice(condition, -1), close],
  ];
}

/** The first token from `begin` on that stands in no brackets and is wanted; the last if there is none. */
function topLevel(tokens: readonly Token[], begin: number, isWanted: (token: Token) => boolean): number {
  let depth = 0;
  for (let i = begin; i < tokens.length - 1; i++) {
    const token = tokens[i] as Token;
    if (depth === 0 && isWanted(token)) return i;
    if (opening.includes(token.type)) depth++;
    if (closers.includes(token.type)) depth--;
  }
  return tokens.length - 1;
}

/** Marks comparisons that go on from another one, but not those by `not in`, of which the parser makes its own operator. */
function markChains(tag: readonly Token[]): void {
  const groups: boolean[] = [];
  // The word of a loop compares nothing.
  let isLoop = tag[1]?.value === "for";
  let isAfter = false;
  for (const token of tag) {
    const { type, value } = token;
    const isWord = type === "Identifier";
    if (opening.includes(type)) {
      groups.push(isAfter);
      isAfter = false;
    } else if (closers.includes(type)) {
      isAfter = groups.pop() ?? false;
    } else if (isWord && value === "in" && isLoop && groups.length === 0) {
      isLoop = false;
    } else if (type === "ComparisonBinaryOperator" || (isWord && value === "in")) {
      if (isAfter) token.isChained = true;
      isAfter = true;
    } else if (/^(Comma|Colon|Equals)$/.test(type) || (isWord && value !== "not" && words.test(value))) {
      isAfter = false;
    }
  }
}

/** Stands in a tuple where the parser wants an item and Jinja2 does not; it is left out of the value. */
export const NO_ITEM = "()";

/** Writes out the tuples that the parser does not know: `()`, `(1,)`, and `{{ 1, 2 }}`. */
function withTuples(tag: readonly Token[], isBlock: boolean): Token[] {
  const out: Token[] = [];
  const groups: boolean[] = [];
  let isOpenTuple = false;
  for (const [i, token] of tag.entries()) {
    const { type } = token;
    const before = tag[i - 1];
    if (opening.includes(type)) groups.push(type === "OpenParen" && !isOperand(before));
    else if (type === "Comma" && groups.length === 0) isOpenTuple = true;
    else if (closers.includes(type) && groups.pop() && /^(Comma|OpenParen)$/.test(before?.type ?? "")) {
      const item = named(NO_ITEM, token);
      out.push(item);
      if (before?.type === "OpenParen") out.push(sign(",", "Comma", token), item);
    }
    out.push(token);
  }
  if (isBlock || !isOpenTuple) return out;
  const [open, ...inner] = out as [Token, ...Token[]];
  const close = inner.pop() as Token;
  return [open, sign("(", "OpenParen", open), ...inner, sign(")", "CloseParen", close), close];
}

const opening = ["OpenParen", "OpenSquareBracket", "OpenCurlyBracket"];
const closers = ["CloseParen", "CloseSquareBracket", "CloseCurlyBracket"];
/** What ends a test without an argument. */
const afterTest = /^(and|or|not|is|in|if|else)$/;

/**
 * Makes of `x is NAME(argument)` and `x is NAME argument`, which the parser does not know, the filter "is NAME"; of
 * `x[]` an index that is undefined. Reads tokens from `begin` to `end`, and writes to `out`.
 */
function withTests(tag: readonly Token[], begin = 0, end = tag.length, out: Token[] = []): Token[] {
  const isWord = (i: number, value?: string) =>
    tag[i]?.type === "Identifier" && (value === undefined || tag[i]?.value === value);
  for (let i = begin; i < end; i++) {
    const token = tag[i] as Token;
    const isTest = isWord(i, "is") && tag[i - 1]?.type !== "Dot" && tag[i + 1]?.type !== "Equals" && i > 1;
    const negated = isWord(i + 1, "not");
    const name = i + (negated ? 2 : 1);
    const last = isTest && isWord(name) ? argumentEnd(tag, name + 1) : 0;
    if (last === 0) {
      out.push(token);
      const isEmpty = token.type === "OpenSquareBracket" && tag[i + 1]?.type === "CloseSquareBracket";
      if (isEmpty && isOperand(tag[i - 1])) out.push(named("[]", token));
      continue;
    }
    out.push(sign("|", "Pipe", token));
    out.push(named(`is ${negated ? "not " : ""}${(tag[name] as Token).value}`, token));
    const isCall = tag[name + 1]?.type === "OpenParen";
    if (!isCall) out.push(sign("(", "OpenParen", token));
    withTests(tag, name + 1, last, out);
    if (!isCall) out.push(sign(")", "CloseParen", token));
    i = last - 1;
  }
  return out;
}

/** Where the argument of a test ends that begins at `i`; 0 if there is none. */
function argumentEnd(tag: readonly Token[], i: number): number {
  const first = tag[i] as Token;
  const isBracket = opening.includes(first.type);
  const isPlain =
    ["NumericLiteral", "StringLiteral"].includes(first.type) ||
    (first.type === "Identifier" && !afterTest.test(first.value));
  if (!isBracket && !isPlain) return 0;
  let end = isBracket ? bracketEnd(tag, i) : i + 1;
  // A call's arguments are all that a test takes.
  if (first.type === "OpenParen") return end;
  for (;;) {
    const { type } = tag[end] as Token;
    if (type === "Dot") end += 2;
    else if (type === "OpenParen" || type === "OpenSquareBracket") end = bracketEnd(tag, end);
    else return Math.min(end, tag.length - 1);
    if (end >= tag.length) return tag.length - 1;
  }
}

function bracketEnd(tag: readonly Token[], i: number): number {
  let depth = 0;
  for (let at = i; at < tag.length - 1; at++) {
    const { type } = tag[at] as Token;
    if (opening.includes(type)) depth++;
    if (closers.includes(type) && --depth === 0) return at + 1;
  }
  return tag.length - 1;
}

/** Words behind which a bracket begins a value of its own. */
const words = /^(and|or|not|in|is|if|else|elif)$/;

function isOperand(token: Token | undefined): boolean {
  if (token?.type === "Identifier") return !words.test(token.value);
  return token !== undefined && (closers.includes(token.type) || token.type === "StringLiteral");
}
