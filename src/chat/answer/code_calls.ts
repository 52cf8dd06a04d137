// Calls of a tool that runs code: Llama 3 and functionary write the code as it is, behind a marker or under its name.
import type { Context } from "./format.ts";
import { escaped } from "./literals.ts";
import { keywordArguments } from "./python_calls.ts";
import { Markers, type Reading } from "./scanner.ts";

/** The marker that Llama 3 writes before code. */
export const PYTHON_TAG = "<|python_tag|>";
/** Names of tools that take code. */
const INTERPRETERS = ["python", "ipython", "code_interpreter"];
const NONE = new Markers([]);

/** Whether a tool takes code. */
export function takesCode(name: string): boolean {
  return INTERPRETERS.includes(name);
}

/** Reads what follows the marker: `name.call(a="b")`, or code up to the end. */
export function* taggedCode(context: Context): Reading<boolean> {
  const { in: scanner, out, tools } = context;
  const word = yield* scanner.run(/\w+/y);
  if (word !== "" && (yield* scanner.eat(".call("))) {
    out.open(true);
    out.name(word);
    if ((yield* keywordArguments(context)) !== false) return false;
    out.finish();
    scanner.mark();
    return true;
  }
  const interpreter = INTERPRETERS.find((name) => tools.has(name));
  return interpreter !== undefined && (yield* code(context, interpreter, NONE, word)) !== undefined;
}

/**
 * Reads code up to a marker.
 * @param begin what was read of it already
 * @returns the marker, "" at the end of the answer; undefined if the answer was cut off before
 */
export function* code(
  context: Context,
  name: string,
  markers: Markers,
  begin = "",
): Reading<string | undefined> {
  const { in: scanner, out } = context;
  if (scanner.done && begin === "") return undefined;
  out.open();
  out.name(name);
  out.arguments(`{"code": "${escaped(begin)}`);
  const marker = yield* scanner.until(markers, (text) => out.arguments(escaped(text)));
  if (marker === "" && context.isCut()) return undefined;
  out.arguments('"}');
  out.finish();
  return marker;
}
