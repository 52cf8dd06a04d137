// Answers of functionary v3.2: sections >>>name, a line end, and JSON or code; the section "all" is content.
import { code, takesCode } from "./code_calls.ts";
import type { Context, Format } from "./format.ts";
import { callArguments } from "./json_calls.ts";
import { Markers, type Reading } from "./scanner.ts";

/** The format of functionary v3.2. */
export const functionaryFormats: readonly Format[] = [
  { names: ["functionary-v3.2"], asks: />>>/, all: functionary },
];

const SECTION = new Markers([">>>"]);

function* functionary(context: Context): Reading<void> {
  const { in: scanner, out, tools } = context;
  scanner.mark();
  yield* scanner.eat(">>>");
  for (;;) {
    const name = yield* scanner.run(/[\w.-]+/y);
    const titled = name !== "" && (yield* scanner.eat("\n"));
    let marker: string | undefined;
    let content = titled && name === "all";
    if (titled && !content && tools.callable && tools.has(name)) {
      if ((yield* scanner.peek()) === "{") {
        out.open();
        out.name(name);
        content = yield* callArguments(context);
        if (content) out.finish();
      } else if (takesCode(name)) {
        marker = yield* code(context, name, SECTION);
        content = marker !== undefined;
      }
    }
    if (content) scanner.marked();
    else context.fail(out.content);
    marker ??= yield* scanner.until(SECTION, out.content);
    if (marker === "") return;
    scanner.mark(marker);
  }
}
