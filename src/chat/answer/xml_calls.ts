// Calls of elements, one for each argument, with values that the tool's schema gives a type: Qwen3-Coder, DeepSeek V3.2, GLM, MiniMax.
import { type Context, type Format, jsonType } from "./format.ts";
import { escaped, Literals } from "./literals.ts";
import { Markers, type Reading, Scanner } from "./scanner.ts";

/** What stands around a call's parts. */
interface Shape {
  /** Around one call or several; undefined if calls stand by themselves. */
  readonly outer?: readonly [string, string];
  /** Before and behind the name. */
  readonly call: readonly [string, string];
  /** Before and behind the name of an argument. What stands between the name and the latter may say if it is a string. */
  readonly key: readonly [string, string];
  /** Before and behind a value. */
  readonly value: readonly [string, string];
  readonly close: string;
  /** Whether a value may stand in `<![CDATA[` and `]]>`, as it is. */
  readonly cdata?: boolean;
}

const qwen: Shape = {
  outer: ["<tool_call>", "</tool_call>"],
  call: ["<function=", ">"],
  key: ["<parameter=", ">"],
  value: ["", "</parameter>"],
  close: "</function>",
};

/** Formats of calls as elements. */
export const xmlFormats: readonly Format[] = [
  {
    names: ["seed-oss"],
    asks: /<seed:tool_call>/,
    think: ["<seed:think>", "</seed:think>"],
    ...calls({ ...qwen, outer: ["<seed:tool_call>", "</seed:tool_call>"] }),
  },
  {
    names: ["dsml"],
    asks: /DSML/,
    // What stands around calls has another name in V4.
    drop: [
      "<｜DSML｜function_calls>",
      "</｜DSML｜function_calls>",
      "<｜DSML｜tool_calls>",
      "</｜DSML｜tool_calls>",
    ],
    trim: true,
    ...calls({
      call: ['<｜DSML｜invoke name="', '">'],
      key: ['<｜DSML｜parameter name="', ">"],
      value: ["", "</｜DSML｜parameter>"],
      close: "</｜DSML｜invoke>",
    }),
  },
  {
    names: ["minimax-m2"],
    asks: /minimax:tool_call/,
    ...calls({
      outer: ["<minimax:tool_call>", "</minimax:tool_call>"],
      call: ['<invoke name="', '">'],
      key: ['<parameter name="', ">"],
      value: ["", "</parameter>"],
      close: "</invoke>",
    }),
  },
  {
    names: ["minicpm5"],
    asks: /<param name=/,
    ...calls({
      call: ['<function name="', '">'],
      key: ['<param name="', ">"],
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
  const { outer, call } = shape;
  // Models forget to close a value, but the next one begins a line.
  const end = new Markers([shape.value[1], `\n${shape.key[0]}`]);
  return {
    open: outer ? [outer[0], call[0]] : [call[0]],
    *read(context, marker) {
      const { in: scanner } = context;
      let begun = marker === call[0];
      let n = 0;
      for (;;) {
        if (!begun) {
          yield* scanner.space();
          begun = yield* scanner.eat(call[0]);
        }
        if (!begun) break;
        if (!(yield* element(context, shape, end, outer === undefined || marker === outer[0]))) return false;
        scanner.mark();
        begun = false;
        n++;
        if (outer === undefined) return true;
      }
      yield* scanner.eat((outer as readonly [string, string])[1]);
      return n > 0;
    },
  };
}

function* element(context: Context, shape: Shape, end: Markers, sure: boolean): Reading<boolean> {
  const { in: scanner, out, tools } = context;
  const name = yield* scanner.run(/[^\s<>"]+/y);
  if (!name || !(sure || tools.has(name)) || !(yield* scanner.eat(shape.call[1]))) return false;
  yield* scanner.space();
  out.open();
  let before = "{";
  for (;;) {
    if (yield* scanner.eat(shape.key[0])) {
      const key = (yield* scanner.run(/[^<>"]+/y)).trim();
      // `" string="true"`, of DeepSeek.
      const said = yield* scanner.run(/[^<>]+/y);
      if (!key || !(yield* scanner.eat(shape.key[1]))) return false;
      const types = /"t/.test(said) ? ["string"] : /"f/.test(said) ? undefined : tools.types(name, key);
      if (shape.value[0] !== "") yield* scanner.space();
      if (!(yield* scanner.eat(shape.value[0]))) return false;
      if (before === "{") out.name(name);
      out.arguments(`${before}${JSON.stringify(key)}: `);
      before = ", ";
      const cdata = shape.cdata && (yield* scanner.eat("<![CDATA["));
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
