// Checks JSON before it is parsed: nesting, and keys that an object has twice.
import { quoted } from "../util/bytes.ts";
import { FormatError } from "../util/errors.ts";

/**
 * Refuses nesting deeper than `depth` and keys that an object has twice: programs differ in which of two they take. What is
 * no JSON is left to the parser.
 * @param name what error messages call the file
 * @throws FormatError
 */
export function checkJson(text: string, name: string, depth: number): void {
  // Keys of each open object; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] as string;
    if (sign === '"') {
      const end = textEnd(text, at + 1);
      if (isKey) addKey(open.at(-1), text.slice(at, end), name);
      at = end - 1;
    } else if (sign === "{" || sign === "[") {
      if (open.push(sign === "{" ? new Set() : undefined) > depth) {
        throw new FormatError(`Cannot read ${name}: Expected JSON nested at most ${depth} deep, got more`);
      }
    } else if (sign === "}" || sign === "]") open.pop();
    // Behind "{" and ",", a text in an object is a key.
    if (sign > " ") isKey = sign === "{" || sign === ",";
  }
}

// Where a text that begins at `at` is over. Not by a regular expression: those of V8 need stack for long texts.
function textEnd(text: string, at: number): number {
  let end = at;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

function addKey(keys: Set<string> | undefined, token: string, name: string): void {
  const key = unescaped(token);
  if (keys?.has(key)) {
    throw new FormatError(`Cannot read ${name}: Expected each key once, got ${quoted(key)} again`);
  }
  keys?.add(key);
}

function unescaped(token: string): string {
  if (!token.includes("\\")) return token.slice(1, -1);
  try {
    return JSON.parse(token);
  } catch {
    return token;
  }
}
