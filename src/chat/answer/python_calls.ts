// Calls as Python writes them, in a list: [f(a='b'), g()]. Llama 3.2 and 4, Gemma 3, OLMo 3, LFM2.
import type { Context, Format } from "./format.ts";
import { Literals } from "./literals.ts";
import type { Reading } from "./scanner.ts";

/** Formats of calls as Python. */
export const pythonFormats: readonly Format[] = [
  {
    names: ["lfm2"],
    asks: /<\|tool_call_start\|>|<\|tool_list_start\|>|List of tools: \[/,
    open: ["<|tool_call_start|>"],
    read: (context) => list(context, "<|tool_call_end|>"),
  },
  {
    names: ["llama4"],
    asks: /<\|python_start\|>/,
    open: ["<|python_start|>"],
    bare: "[",
    read: (context, marker) => list(context, marker && "<|python_end|>"),
  },
  {
    names: ["pythonic"],
    asks: /\[func_name1\(|\[func\(/,
    bare: "[",
    read: (context) => list(context, ""),
  },
];

/** Reads a list. A call is told of when it is complete: only then it is sure to be one. @param close "" for bare lists */
function* list(context: Context, close: string): Reading<boolean> {
  const { in: scanner, out, tools } = context;
  const bare = close === "";
  yield* scanner.space();
  if (!(yield* scanner.eat("["))) return false;
  for (let n = 0; ; n++) {
    yield* scanner.space();
    if ((n > 0 || !bare) && (yield* scanner.eat("]"))) break;
    const name = yield* scanner.run(/[\w.-]+/y);
    if (!/^[a-zA-Z_]/.test(name) || (bare && !tools.has(name)) || !(yield* scanner.eat("("))) return false;
    out.open(true);
    out.name(name);
    const infinite = yield* keywordArguments(context);
    if (infinite === undefined) return false;
    yield* scanner.space();
    const next = yield* scanner.peek();
    if (bare && next !== "," && next !== "]") return false;
    if (infinite) out.drop();
    else out.finish();
    scanner.mark();
    if (!(yield* scanner.eat(","))) {
      if (!(yield* scanner.eat("]"))) return false;
      break;
    }
  }
  yield* scanner.space();
  if (!bare) yield* scanner.eat(close);
  return true;
}

/** Reads `a=1, b='c')`. @returns whether a number was too large for JSON; undefined if these are no arguments */
export function* keywordArguments({ in: scanner, out }: Context): Reading<boolean | undefined> {
  const literals = new Literals(scanner, out.arguments);
  let before = "{";
  for (;;) {
    yield* scanner.space();
    if (yield* scanner.eat(")")) break;
    const key = yield* scanner.run(/\w+/y);
    yield* scanner.space();
    if (key === "" || !(yield* scanner.eat("="))) return undefined;
    out.arguments(`${before}${JSON.stringify(key)}: `);
    before = ", ";
    yield* scanner.space();
    if (!(yield* literals.value())) return undefined;
    yield* scanner.space();
    if (yield* scanner.eat(",")) continue;
    if (!(yield* scanner.eat(")"))) return undefined;
    break;
  }
  out.arguments(before === "{" ? "{}" : "}");
  return literals.infinite;
}
