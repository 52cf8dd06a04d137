// Parses a template: our tokens, the parser of @huggingface/jinja, and errors that name the line.
import { parse } from "@huggingface/jinja";
import { FormatError } from "../../util/errors.ts";
import { syntaxError, tokenizeTemplate } from "./lexer.ts";
import { MAX_SOURCE } from "./limits.ts";
import type { Token } from "./rewrite.ts";

/** A node of the parser's tree. What it has depends on its type; ast.ts of @huggingface/jinja lists it. */
export interface Node {
  readonly type: string;
  readonly value: unknown;
  readonly operator: { readonly value: string; readonly isChained?: boolean };
  readonly computed: boolean;
  readonly negate: boolean;
  readonly args: readonly Node[];
  readonly body: readonly Node[];
  readonly alternate: readonly Node[];
  readonly defaultBlock: readonly Node[];
  readonly callerArgs: readonly Node[] | null;
  readonly start?: Node;
  readonly stop?: Node;
  readonly step?: Node;
  readonly left: Node;
  readonly right: Node;
  readonly test: Node;
  readonly object: Node;
  readonly property: Node;
  readonly operand: Node;
  readonly filter: Node;
  readonly callee: Node;
  readonly call: Node;
  readonly iterable: Node;
  readonly lhs: Node;
  readonly loopvar: Node;
  readonly name: Node;
  readonly key: Node;
  readonly argument: Node;
  readonly condition: Node;
  readonly trueExpr: Node;
  readonly falseExpr: Node;
  readonly assignee: Node;
}

/**
 * The tree of a template.
 * @throws FormatError for what is no template, with the line, and for one that is too long or too deeply nested
 */
export function parseTemplate(source: string): Node {
  if (source.length > MAX_SOURCE) {
    throw syntaxError(1, `Expected at most ${MAX_SOURCE} characters, got ${source.length}`);
  }
  const tokens = tokenizeTemplate(source);
  try {
    return parseTokens(tokens);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new FormatError("Cannot read the chat template: Expected less nesting");
    }
    const { line, isAtEnd } = placeOf(tokens);
    // At the end the parser reads what is not there.
    const problem =
      isAtEnd || error instanceof TypeError ? "Unexpected end of the template" : messageOf(error);
    throw syntaxError(line, problem);
  }
}

function parseTokens(tokens: readonly Token[]): Node {
  return parse(tokens as never) as unknown as Node;
}

function messageOf(error: unknown): string {
  return (error as Error).message.replace(/^Parser Error: /, "");
}

/** How far the parser came: it does not say, so it parses again and is watched. */
function placeOf(tokens: readonly Token[]): { line: number; isAtEnd: boolean } {
  let last = 0;
  const watched = new Proxy(tokens as Token[], {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) last = Math.max(last, Number(key));
      return Reflect.get(target, key);
    },
  });
  try {
    parseTokens(watched);
  } catch {
    // The same error again.
  }
  const token = tokens[Math.min(last, tokens.length - 1)];
  return { line: token?.line ?? 1, isAtEnd: last >= tokens.length };
}
