// Calls as Gemma 4 and FunctionGemma write them: call:name{key:value}, with strings between marks.
import type { Context, Format } from "./format.ts";
import { Literals } from "./literals.ts";
import { Markers, type Reading } from "./scanner.ts";

/** Formats of Google's small languages for calls. */
export const gemmaFormats: readonly Format[] = [
  {
    names: ["gemma4"],
    asks: /<\|tool_call>/,
    think: ["<|channel>", "<channel|>"],
    thinkWord: "thought",
    open: ["<|tool_call>"],
    read: reader('<|"|>', "<tool_call|>"),
  },
  {
    names: ["functiongemma"],
    asks: /<start_function_call>/,
    open: ["<start_function_call>"],
    trim: true,
    read: reader("<escape>", "<end_function_call>"),
  },
];

function reader(quote: string, close: string): NonNullable<Format["read"]> {
  const marks = new Markers([quote]);
  return function* ({ in: scanner, out }: Context): Reading<boolean> {
    yield* scanner.space();
    // Models forget the word.
    yield* scanner.eat("call");
    if (!(yield* scanner.eat(":"))) return false;
    const name = yield* scanner.run(/[\w.-]+/y);
    if (name === "" || (yield* scanner.peek()) !== "{") return false;
    out.open();
    out.name(name);
    if (!(yield* new Literals(scanner, out.arguments, marks).value())) return false;
    out.finish();
    scanner.mark();
    yield* scanner.space();
    yield* scanner.eat(close);
    return true;
  };
}
