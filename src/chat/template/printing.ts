// How values print: as Python's str() and repr() write them, and as its json module does.
import { type Meter, TemplateFault } from "./limits.ts";
import { noMarks, TextBuilder, wholly } from "./marked_text.ts";
import {
  isDict,
  isList,
  isMissing,
  isNone,
  isText,
  itemsOf,
  keysOf,
  nameOf,
  type Value,
  written,
} from "./values.ts";

/** How tojson writes. */
export interface JsonStyle {
  readonly indent?: string | undefined;
  readonly separators: readonly [item: string, key: string];
  readonly isAscii: boolean;
  readonly isSorted: boolean;
}

/** A value as `{{ value }}` and str() write it. */
export function printed(value: Value, meter: Meter): Value<string> {
  if (isText(value)) return value;
  const out = new TextBuilder();
  if (!isMissing(value)) writeRepr(value, out, meter);
  return written(out, meter);
}

function writeRepr(value: Value, out: TextBuilder, meter: Meter): void {
  meter.step();
  if (isText(value)) {
    const literal = quotedText(value.value, meter);
    out.add(literal, value.marks ? wholly(literal.length) : noMarks);
  } else if (isList(value)) {
    const isTuple = value.type === "TupleValue";
    out.add(isTuple ? "(" : "[");
    value.value.forEach((item, i) => {
      if (i > 0) out.add(", ");
      writeRepr(item, out, meter);
    });
    out.add(isTuple ? (value.value.length === 1 ? ",)" : ")") : "]");
  } else if (isDict(value)) {
    out.add("{");
    itemsOf(value).forEach((item, i) => {
      const [key, entry] = item.value as [Value, Value];
      if (i > 0) out.add(", ");
      writeRepr(key, out, meter);
      out.add(": ");
      writeRepr(entry, out, meter);
    });
    out.add("}");
  } else {
    out.add(scalar(value));
  }
  meter.length(out.length);
}

function scalar(value: Value): string {
  if (isNone(value)) return "None";
  if (isMissing(value)) return "Undefined";
  if (value.type === "BooleanValue") return value.value ? "True" : "False";
  if (value.type === "FloatValue") return floatText(value.value as number);
  if (value.type === "IntegerValue") return integerText(value.value as number);
  return `<${nameOf(value)}>`;
}

function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

// Python writes exponents from 1e16 on and below 1e-4, with two digits at least.
function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  const digits = Object.is(value, -0) ? "-0" : String(value);
  return Number.isInteger(value) ? `${digits}.0` : digits;
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escaped = /[\\'"\n\r\t]|[^\x20-\x7e\xa1-\xac\xae-\ud7ff\ue000-\uffff]/g;

function quotedText(value: string, meter: Meter): string {
  meter.units(value.length);
  if (value.search(escaped) < 0) return `'${value}'`;
  meter.slowUnits(value.length);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const body = value.replace(escaped, (unit) => {
    if (unit === "'" || unit === '"') return unit === quote ? `\\${unit}` : unit;
    const code = unit.charCodeAt(0);
    // Halves of characters beyond U+FFFF stay.
    return escapes[unit] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : unit);
  });
  return quote + body + quote;
}

/** A value as JSON. @throws TemplateFault for what JSON cannot hold */
export function jsonText(value: Value, style: JsonStyle, meter: Meter): Value<string> {
  const out = new TextBuilder();
  writeJson(value, style, "\n", out, meter);
  return written(out, meter);
}

function writeJson(value: Value, style: JsonStyle, line: string, out: TextBuilder, meter: Meter): void {
  meter.step();
  if (isText(value)) {
    const literal = jsonString(value.value, style, meter);
    out.add(literal, value.marks ? wholly(literal.length) : noMarks);
  } else if (isList(value)) {
    writeAll(value.value, "[]", style, line, out, (item, deeper) =>
      writeJson(item, style, deeper, out, meter),
    );
  } else if (isDict(value) && value.type === "ObjectValue") {
    const entries = itemsOf(value).map(({ value: item }) => item as [Value, Value]);
    const keys = new Map(keysOf(value).map((key, i) => [entries[i], jsonKey(key)]));
    const name = (entry: [Value, Value]) => keys.get(entry) as string;
    if (style.isSorted) entries.sort((a, b) => (name(a) < name(b) ? -1 : Number(name(a) > name(b))));
    writeAll(entries, "{}", style, line, out, (entry, deeper) => {
      const literal = jsonString(name(entry), style, meter);
      out.add(literal, value.isContent || entry[0].marks ? wholly(literal.length) : noMarks);
      out.add(style.separators[1]);
      writeJson(entry[1], style, deeper, out, meter);
    });
  } else if (isNone(value)) {
    out.add("null");
  } else if (value.type === "BooleanValue") {
    out.add(String(value.value));
  } else if (value.type === "IntegerValue" || value.type === "FloatValue") {
    out.add(scalar(value));
  } else {
    throw new TemplateFault(`${nameOf(value)} is not JSON serializable`);
  }
  meter.length(out.length);
}

function writeAll<T>(
  items: readonly T[],
  [open, close]: string,
  { indent, separators }: JsonStyle,
  line: string,
  out: TextBuilder,
  write: (item: T, line: string) => void,
): void {
  const deeper = indent === undefined ? line : line + indent;
  const isBroken = indent !== undefined && items.length > 0;
  out.add(open as string);
  items.forEach((item, i) => {
    if (i > 0) out.add(separators[0]);
    if (isBroken) out.add(deeper);
    write(item, deeper);
  });
  if (isBroken) out.add(line);
  out.add(close as string);
}

function jsonKey(key: Value): string {
  if (isText(key)) return key.value;
  if (isNone(key)) return "null";
  if (key.type === "BooleanValue") return String(key.value);
  if (key.type === "TupleValue") throw new TemplateFault("keys must be texts or numbers, got 'tuple' object");
  return scalar(key);
}

function jsonString(value: string, { isAscii }: JsonStyle, meter: Meter): string {
  meter.units(value.length);
  const literal = JSON.stringify(value);
  if (!isAscii || literal.search(beyondAscii) < 0) return literal;
  meter.slowUnits(value.length);
  return literal.replace(beyondAscii, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const beyondAscii = /[\x7f-\uffff]/g;
