// Calls of elements, one for each argument, with values that the tool's schema gives a type: Qwen3-Coder, DeepSeek V3.2, GLM, MiniMax.
import { type Context, type Format, jsonType } from "./format.ts";
import { callArguments } from "./json_calls.ts";
import { escaped, Literals } from "./literals.ts";
import { Markers, type Reading, Scanner } from "./scanner.ts";

/** What stands around a call's parts. */
interface Shape {
  /** Around one call or several; what old and new models of a family write. Undefined if calls stand by themselves. */
  readonly outer?: readonly (readonly [string, string])[];
  /** Before and behind the name. */
  readonly call: readonly [string, string];
  /** Before and behind the name of an argument. */
  readonly key: readonly [string, string];
  /** Before and behind a value. */
  readonly value: readonly [string, string];
  readonly close: string;
  /** Whether a value may stand in `<![CDATA[` and `]]>`, as it is. */
  readonly cdata?: boolean;
  /** Whether each argument says if it is a string, behind its name; and an object may stand in place of arguments. */
  readonly saysString?: boolean;
}

const qwen: Shape = {
  outer: [["<tool_call>", "</tool_call>"]],
  call: ["<function=", ">"],
  key: ["<parameter=", ">"],
  value: ["", "</parameter>"],
  close: "</function>",
};

/** Hunyuan 3, whose open models write the same word into every mark. */
const hunyuan = (word: string): Pick<Format, "think" | "open" | "read"> => ({
  think: [`<think${word}>`, `</think${word}>`],
  ...calls({
    outer: [[`<tool_calls${word}>`, `</tool_calls${word}>`]],
    call: [`<tool_call${word}>`, `<tool_sep${word}>`],
    key: [`<arg_key${word}>`, `</arg_key${word}>`],
    value: [`<arg_value${word}>`, `</arg_value${word}>`],
    close: `</tool_call${word}>`,
  }),
});

/** Formats of calls as elements. */
export const xmlFormats: readonly Format[] = [
  {
    names: ["seed-oss"],
    asks: /<seed:tool_call>/,
    think: ["<seed:think>", "</seed:think>"],
    ...calls({ ...qwen, outer: [["<seed:tool_call>", "</seed:tool_call>"]] }),
  },
  {
    names: ["deepseek-v3.2", "dsml"],
    asks: /DSML/,
    trim: true,
    ...calls({
      // Those of V3.2, and of V4.
      outer: [
        ["<｜DSML｜function_calls>", "</｜DSML｜function_calls>"],
        ["<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"],
      ],
      call: ['<｜DSML｜invoke name="', '">'],
      key: ['<｜DSML｜parameter name="', '"'],
      value: ["", "</｜DSML｜parameter>"],
      close: "</｜DSML｜invoke>",
      saysString: true,
    }),
  },
  { names: ["hunyuan3-opensource"], asks: /tool_sep:opensource|:opensource>/, ...hunyuan(":opensource") },
  { names: ["hunyuan3"], asks: /<tool_sep/, ...hunyuan("") },
  {
    names: ["minimax-m2"],
    asks: /minimax:tool_call/,
    ...calls({
      outer: [["<minimax:tool_call>", "</minimax:tool_call>"]],
      call: ['<invoke name="', '">'],
      key: ['<parameter name="', '">'],
      value: ["", "</parameter>"],
      close: "</invoke>",
    }),
  },
  {
    names: ["minicpm5"],
    asks: /<param name=/,
    ...calls({
      call: ['<function name="', '">'],
      key: ['<param name="', '">'],
      value: ["", "</param>"],
      close: "</function>",
      cdata: true,
    }),
  },
  {
    names: ["glm4"],
    asks: /<arg_key>/,
    callEndsThink: true,
    ...calls({
      call: ["<tool_call>", ""],
      key: ["<arg_key>", "</arg_key>"],
      value: ["<arg_value>", "</arg_value>"],
      close: "</tool_call>",
    }),
  },
  {
    names: ["qwen3-coder"],
    asks: /<parameter=/,
    callEndsThink: true,
    ...calls(qwen),
  },
];

/** A format's markers and reader. A call without what should stand around it must name a tool. */
function calls(shape: Shape): Pick<Format, "open" | "read"> {
  const { outer = [], call } = shape;
  // Models forget to close a value, but the next one begins a line.
  const end = new Markers([shape.value[1], `\n${shape.key[0]}`]);
  return {
    open: [...outer.map(([begin]) => begin), call[0]],
    *read(context, marker) {
      const { in: scanner } = context;
      let begun = marker === call[0];
      const sure = !begun || outer.length === 0;
      let n = 0;
      for (;;) {
        if (!begun) {
          yield* scanner.space();
          begun = yield* scanner.eat(call[0]);
        }
        if (!begun) break;
        if (!(yield* element(context, shape, end, sure))) return false;
        scanner.mark();
        begun = false;
        n++;
        if (outer.length === 0) return true;
      }
      for (const [, close] of outer) yield* scanner.eat(close);
      return n > 0;
    },
  };
}

function* element(context: Context, shape: Shape, end: Markers, sure: boolean): Reading<boolean> {
  const { in: scanner, out, tools } = context;
  const name = yield* scanner.run(/[^\s<>"]+/y);
  if (name === "" || !(sure || tools.has(name)) || !(yield* scanner.eat(shape.call[1]))) return false;
  yield* scanner.space();
  out.open(false);
  let before = "{";
  if (shape.saysString && (yield* scanner.peek()) === "{") {
    out.name(name);
    if (!(yield* callArguments(context))) return false;
    yield* scanner.space();
    if (!(yield* scanner.eat(shape.close))) return false;
    out.finish();
    return true;
  }
  for (;;) {
    if (yield* scanner.eat(shape.key[0])) {
      const key = (yield* scanner.run(/[^<>"]+/y)).trim();
      if (key === "" || !(yield* scanner.eat(shape.key[1]))) return false;
      const types = shape.saysString
        ? yield* stringness(context, tools.types(name, key))
        : tools.types(name, key);
      if (types === false) return false;
      if (shape.value[0] !== "") yield* scanner.space();
      if (!(yield* scanner.eat(shape.value[0]))) return false;
      if (before === "{") out.name(name);
      out.arguments(`${before}${JSON.stringify(key)}: `);
      before = ", ";
      const cdata = shape.cdata === true && (yield* scanner.eat("<![CDATA["));
      if (!(yield* value(context, cdata ? CDATA_END : end, types))) return false;
      if (cdata && !(yield* scanner.eat(shape.value[1]))) return false;
      yield* scanner.space();
    } else if (yield* scanner.eat(shape.close)) break;
    else return false;
  }
  if (before === "{") out.name(name);
  out.arguments(before === "{" ? "{}" : "}");
  out.finish();
  return true;
}

/** Reads ` string="true">` behind a name, or ` string="false">`: the types that a value has; false for something else. */
function* stringness(
  { in: scanner }: Context,
  types: readonly string[] | undefined,
): Reading<readonly string[] | undefined | false> {
  yield* scanner.space();
  const isString = yield* scanner.eat('string="true"');
  const isJson = !isString && (yield* scanner.eat('string="false"'));
  yield* scanner.space();
  if (!(yield* scanner.eat(">"))) return false;
  return isString ? ["string"] : isJson ? undefined : types;
}

const CDATA_END = new Markers(["]]>"]);

/** Reads a value. One line end after its marker and one before the next are not of it, if there is the first. */
function* value(context: Context, end: Markers, types: readonly string[] | undefined): Reading<boolean> {
  const { in: scanner, out } = context;
  const line = end !== CDATA_END && (yield* scanner.eat("\n"));
  const string = types?.length === 1 && types[0] === "string";
  let held = "";
  if (string) out.arguments('"');
  const found = yield* scanner.until(end, (text) => {
    if (!string) held += text;
    else {
      const whole = held + text;
      held = line && whole.endsWith("\n") ? "\n" : "";
      out.arguments(escaped(whole.slice(0, whole.length - held.length)));
    }
  });
  if (found === "") return false;
  if (found !== end.words[0]) scanner.unread(found);
  const text = line && held.endsWith("\n") ? held.slice(0, -1) : held;
  out.arguments(string ? '"' : typed(text, types));
  return true;
}

/** JSON of a value whose text can be several things: of the first that the types allow, else a string. */
function typed(text: string, types: readonly string[] | undefined): string {
  const scanner = new Scanner();
  scanner.feed(text.trim());
  scanner.ended = true;
  let json = "";
  const literals = new Literals(scanner, (more) => {
    json += more;
  });
  const { value: read } = literals.value().next();
  const type = jsonType(json);
  const allowed =
    types === undefined ||
    types.includes(type) ||
    (type === "number" && types.includes("integer") && Number.isInteger(Number(json)));
  if (read && scanner.done && !literals.infinite && type !== "string" && allowed) return json;
  const word = text.trim().toLowerCase();
  if (/^(true|false)$/.test(word) && types?.includes("boolean")) return word;
  return JSON.stringify(text);
}
