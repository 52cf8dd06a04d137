// Calls that are JSON objects with a name and arguments: Hermes and Qwen, Llama 3, Mistral, Phi-4, Granite 3, Command R7B, Apertus.
import { PYTHON_TAG, taggedCode } from "./code_calls.ts";
import type { Context, Format } from "./format.ts";
import { Literals, literal } from "./literals.ts";
import type { Reading, Scanner } from "./scanner.ts";

/** What may stand around objects, and what they need. */
interface Shape {
  /** Whether they stand in a list: always, never, or as the model likes. */
  readonly list: "always" | "never" | "either";
  readonly close?: string;
  /** Whether a call is told of when it is complete: its id may come last. */
  readonly whole?: boolean;
  /** Whether a call is an object whose one key is the name. */
  readonly keyed?: boolean;
}

const llamaObjects = objects({ list: "never" });

/** Formats of calls as JSON objects. */
export const jsonFormats: readonly Format[] = [
  {
    names: ["command-r7b"],
    asks: /START_ACTION/,
    think: ["<|START_THINKING|>", "<|END_THINKING|>"],
    drop: ["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
    open: ["<|START_ACTION|>"],
    read: objects({ list: "always", close: "<|END_ACTION|>" }),
  },
  {
    names: ["granite3"],
    asks: /<\|tool_call\|>/,
    drop: ["<response>", "</response>"],
    open: ["<|tool_call|>", "<tool_call>"],
    read: objects({ list: "always", close: "</tool_call>" }),
  },
  {
    names: ["phi4-mini"],
    asks: /functools|<\|\/tool\|>/,
    open: ["functools"],
    read: objects({ list: "always" }),
  },
  {
    names: ["nemotron"],
    asks: /<TOOLCALL>/,
    open: ["<TOOLCALL>"],
    read: objects({ list: "always", close: "</TOOLCALL>" }),
  },
  {
    names: ["jamba", "apriel"],
    asks: /<tool_calls>/,
    open: ["<tool_calls>"],
    read: objects({ list: "always", close: "</tool_calls>" }),
  },
  {
    names: ["apertus"],
    asks: /tools_prefix/,
    think: ["<|inner_prefix|>", "<|inner_suffix|>"],
    open: ["<|tools_prefix|>"],
    read: objects({ list: "always", close: "<|tools_suffix|>", keyed: true }),
  },
  {
    names: ["gigachat3"],
    asks: /message_sep|function_call\|/,
    trim: true,
    drop: ["<|message_sep|>"],
    open: ["function call<|role_sep|>", "<|function_call|>"],
    read: objects({ list: "either" }),
  },
  {
    names: ["hermes", "hermes-think"],
    asks: /<tool_call>|<think>|"\/think"/,
    open: ["<tool_call>"],
    read: objects({ list: "either", close: "</tool_call>" }),
  },
  {
    names: ["llama3-json", "llama3"],
    asks: /<\|python_tag\|>|"parameters": dictionary of argument/,
    open: [PYTHON_TAG],
    bare: "{",
    bareAnywhere: true,
    *read(context, marker) {
      yield* context.in.space();
      const isObject = (yield* context.in.peek()) === "{";
      return yield* isObject ? llamaObjects(context, marker) : taggedCode(context);
    },
  },
];

/** A reader of objects, one after another or in a list. */
export function objects(shape: Shape): NonNullable<Format["read"]> {
  return function* (context, marker) {
    const { in: scanner, out } = context;
    yield* scanner.space();
    const list = shape.list !== "never" && (yield* scanner.eat("["));
    if (!list && shape.list === "always") return false;
    let between = "";
    do {
      yield* scanner.space();
      if ((yield* scanner.peek()) !== "{" && between !== "") break;
      if (!(yield* object(context, shape, marker === ""))) return false;
      scanner.mark();
      yield* scanner.space();
      between = list ? "," : shape.list === "never" ? ";" : "";
    } while (between !== "" && (yield* scanner.eat(between)));
    if (list && !(yield* scanner.eat("]"))) return false;
    if (between === ";" && scanner.marked().trim() === ";") out.content(";");
    yield* scanner.space();
    if (shape.close !== undefined) yield* scanner.eat(shape.close);
    return true;
  };
}

const KEYS = new Map([
  ["name", "name"],
  ["tool_name", "name"],
  ["arguments", "arguments"],
  ["parameters", "arguments"],
  ["id", "id"],
  ["tool_call_id", "id"],
]);

/** Reads a call. @param bare whether it may be content as well: then it must name a tool and have nothing else in it */
function* object(context: Context, { whole, keyed }: Shape, bare: boolean): Reading<boolean> {
  const { in: scanner, out, tools } = context;
  if (!(yield* scanner.eat("{"))) return false;
  out.open(whole);
  const seen = new Set<string>();
  for (;;) {
    yield* scanner.space();
    if (yield* scanner.eat("}")) break;
    if (seen.size > 0 && !(yield* scanner.eat(","))) return false;
    yield* scanner.space();
    const key = yield* text(scanner);
    const kind = keyed && key ? "arguments" : (KEYS.get(key as string) ?? key);
    if (kind === undefined || seen.has(kind) || (bare && !KEYS.has(key as string) && key !== "type"))
      return false;
    seen.add(kind);
    yield* scanner.space();
    if (!(yield* scanner.eat(":"))) return false;
    yield* scanner.space();
    if (kind === "arguments") {
      if (keyed) out.name(key as string);
      if (!(yield* callArguments(context))) return false;
    } else if (kind === "name") {
      const name = yield* text(scanner);
      if (name === undefined || name === "" || (bare && !tools.has(name))) return false;
      out.name(name);
    } else {
      const value = yield* literal(scanner, "value");
      if (value === undefined) return false;
      if (kind === "id") out.id(value.startsWith('"') ? JSON.parse(value) : value);
    }
  }
  if (!out.named || !seen.has("arguments")) return false;
  out.finish();
  return true;
}

/** Reads arguments: an object, or a string that holds one. */
export function* callArguments({ in: scanner, out }: Context): Reading<boolean> {
  const first = yield* scanner.peek();
  if (first === "{") return yield* new Literals(scanner, out.arguments).value();
  const inner = yield* text(scanner);
  if (inner === undefined) return false;
  try {
    if (!/^\s*\{/.test(inner) || JSON.parse(inner) === undefined) return false;
    out.arguments(inner.trim());
    return true;
  } catch {
    return false;
  }
}

function* text(scanner: Scanner): Reading<string | undefined> {
  const json = yield* literal(scanner, "string");
  return json === undefined ? undefined : JSON.parse(json);
}
