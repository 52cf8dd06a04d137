// Calls of a name and a JSON object with markers between: Mistral, Kimi K2, DeepSeek, functionary v3.1.
import { PYTHON_TAG, taggedCode } from "./code_calls.ts";
import type { Context, Format } from "./format.ts";
import { callArguments, objects } from "./json_calls.ts";
import type { Reading } from "./scanner.ts";

/** Formats of calls whose name stands before their JSON. */
export const namedFormats: readonly Format[] = [
  {
    names: ["mistral-v11"],
    // Both, in either order; anchored, so that a long template is read once.
    asks: /^(?=[\s\S]*\[TOOL_CALLS\])(?=[\s\S]*\[ARGS\])/,
    think: ["[THINK]", "[/THINK]"],
    open: ["[TOOL_CALLS]"],
    shortIds: true,
    read: mistral,
  },
  {
    names: ["mistral-json"],
    asks: /\[TOOL_CALLS\]/,
    think: ["[THINK]", "[/THINK]"],
    open: ["[TOOL_CALLS]"],
    shortIds: true,
    read: mistral,
  },
  {
    names: ["kimi-k2"],
    asks: /<\|tool_call_begin\|>/,
    open: ["<|tool_call_begin|>"],
    drop: ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
    callEndsThink: true,
    read: kimi,
  },
  {
    names: ["deepseek", "deepseek-r1"],
    asks: /<｜tool▁call▁begin｜>|<｜Assistant｜>/,
    open: ["<｜tool▁call▁begin｜>"],
    drop: ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
    read: deepSeek,
  },
  {
    names: ["functionary-v3.1"],
    asks: /<function=/,
    open: ["<function=", PYTHON_TAG],
    read: functionary,
  },
];

const NAME = /[\w.-]+/y;
const mistralList = objects({ list: "always", whole: true });

/** `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}` of new ones, with or without id and [ARGS]; a list of objects of older ones. */
function* mistral(context: Context, marker: string): Reading<boolean> {
  const { in: scanner } = context;
  yield* scanner.space();
  if ((yield* scanner.peek()) === "[") return yield* mistralList(context, marker);
  const name = yield* scanner.run(NAME);
  const id = (yield* scanner.eat("[CALL_ID]")) ? yield* scanner.run(NAME) : undefined;
  yield* scanner.eat("[ARGS]");
  return yield* call(context, name, id);
}

/** `functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`; all before the marker is the id. */
function* kimi(context: Context): Reading<boolean> {
  const { in: scanner } = context;
  yield* scanner.space();
  const id = yield* scanner.run(/[\w.:-]+/y);
  yield* scanner.space();
  if (!(yield* scanner.eat("<|tool_call_argument_begin|>"))) return false;
  const name = id.replace(/^functions\./, "").replace(/:\d*$/, "");
  return (yield* call(context, name, id)) && (yield* end(context, "<|tool_call_end|>"));
}

/** `name<｜tool▁sep｜>{…}`, or `function<｜tool▁sep｜>name` with the object in a fence of Markdown. */
function* deepSeek(context: Context): Reading<boolean> {
  const { in: scanner } = context;
  yield* scanner.space();
  let name = yield* scanner.run(NAME);
  if (!(yield* scanner.eat("<｜tool▁sep｜>"))) return false;
  const fenced = (yield* scanner.peek()) !== "{";
  if (fenced) {
    name = yield* scanner.run(NAME);
    yield* scanner.space();
    yield* scanner.eat("```json");
  }
  if (!(yield* call(context, name))) return false;
  if (fenced) yield* end(context, "```");
  return yield* end(context, "<｜tool▁call▁end｜>");
}

/** `<function=name>{…}</function>`, or code behind a marker of its own. */
function* functionary(context: Context, marker: string): Reading<boolean> {
  if (marker === PYTHON_TAG) return yield* taggedCode(context);
  const { in: scanner, tools } = context;
  const name = yield* scanner.run(NAME);
  if (!tools.has(name) || !(yield* scanner.eat(">"))) return false;
  return (yield* call(context, name)) && (yield* end(context, "</function>"));
}

/** Reads the arguments of a call. */
function* call(context: Context, name: string, id?: string): Reading<boolean> {
  const { in: scanner, out } = context;
  yield* scanner.space();
  if (name === "" || (yield* scanner.peek()) !== "{") return false;
  out.open();
  out.name(name, id);
  if (!(yield* callArguments(context))) return false;
  out.finish();
  scanner.mark();
  return true;
}

function* end({ in: scanner }: Context, marker: string): Reading<true> {
  yield* scanner.space();
  yield* scanner.eat(marker);
  return true;
}
