// Checks JSON before it is parsed: nesting, and keys that an object has twice.
import { quoted } from "../util/bytes.ts";
import { FormatError } from "../util/errors.ts";

const TOKEN = /\s+|"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s"{}[\]:,]+/sy;

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
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text); found; found = TOKEN.exec(text)) {
    const [token] = found;
    const first = token[0] as string;
    if (first === "{" || first === "[") {
      if (open.push(first === "{" ? new Set() : undefined) > depth) {
        throw new FormatError(`Cannot read ${name}: Expected JSON nested at most ${depth} deep, got more`);
      }
    } else if (first === "}" || first === "]") open.pop();
    else if (first === '"' && isKey) addKey(open.at(-1), token, name);
    // Behind "{" and ",", a text in an object is a key.
    if (first.trim() !== "") isKey = first === "{" || first === ",";
  }
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
