// Answers of gpt-oss: messages on channels, <|channel|>analysis<|message|>…<|end|>. Calls are messages to a function.
import type { Context, Format } from "./format.ts";
import { callArguments } from "./json_calls.ts";
import { Markers, type Reading, type Scanner } from "./scanner.ts";

/** The format of gpt-oss. */
export const harmonyFormats: readonly Format[] = [
  { names: ["harmony"], asks: /<\|channel\|>/, all: harmony },
];

/** Who a message is for and what it is. */
interface Header {
  readonly to: string;
  readonly channel: string;
}

const ENDS = new Markers(["<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"]);

function* harmony(context: Context): Reading<void> {
  const { in: scanner, out } = context;
  for (let marker = ""; ; ) {
    const begun = /start|channel/.test(marker) ? marker : "";
    scanner.mark(begun);
    const header = yield* readHeader(scanner, begun);
    if (header === undefined) out.content(scanner.marked());
    marker = header ? yield* body(context, header) : yield* scanner.until(ENDS, out.content);
    if (marker === "") return;
  }
}

/** Reads up to the text of a message; parts come in any order. @returns undefined if what comes is none */
function* readHeader(scanner: Scanner, begun: string): Reading<Header | undefined> {
  let to = "";
  let channel = "";
  for (let word = begun; word !== "<|message|>"; ) {
    if (word === "<|channel|>") channel = yield* scanner.run(/\w+/y);
    else if (word === "to=") to = yield* scanner.run(/[^\s<]+/y);
    else if (word !== "") yield* scanner.run(/\w+/y);
    yield* scanner.space();
    word = "";
    for (const next of WORDS) {
      if (word === "" && (yield* scanner.eat(next))) word = next;
    }
    if (word === "") return undefined;
  }
  return { to, channel };
}

const WORDS = ["<|message|>", "<|channel|>", "<|constrain|>", "<|start|>", "to="];

/** Reads the text of a message. @returns the marker at its end */
function* body(context: Context, { to, channel }: Header): Reading<string> {
  const { in: scanner, out, tools, reasoning } = context;
  const name = to.replace(/^functions\./, "");
  const own = name !== to;
  if (tools.callable && (own || (to !== "" && tools.has(to) && !BUILT_IN.test(to)))) {
    yield* scanner.space();
    out.open();
    out.name(name);
    if (yield* callArguments(context)) {
      out.finish();
      scanner.marked();
    } else context.fail(out.content);
    return yield* scanner.until(ENDS, out.content);
  }
  const header = scanner.marked();
  // Code for a tool that is built into the model, which nobody can run here.
  if (to !== "" && to !== "assistant" && !own) return yield* scanner.until(ENDS, () => undefined);
  if (own || channel !== "analysis") return yield* scanner.until(ENDS, out.content);
  if (!reasoning) {
    out.content(header);
    const end = yield* scanner.until(ENDS, out.content);
    if (end === "<|end|>") out.content(end);
    return end;
  }
  const end = yield* scanner.until(ENDS, out.reasoning);
  out.endReasoning();
  return end;
}

const BUILT_IN = /^(assistant|python|browser|container)\b/;
