// Values of templates, and Python's rules for them.
import { describeValue } from "../../util/describe.ts";
import { type Meter, TemplateFault } from "./limits.ts";
import { type Marks, noMarks, sliceMarks, type TextBuilder, wholly } from "./marked_text.ts";

/** A value of a template. */
export interface Value<T = unknown> {
  readonly type: string;
  value: T;
  /** Of a text: what comes from messages; undefined for none. */
  marks: Marks | undefined;
  /** Of an object: whether its keys come from messages. */
  isContent?: boolean;
  /** Of an object: its keys that are no plain texts, as they were written. */
  keyValues?: Map<Key, Value>;
  /** Of what is undefined: what was looked for. */
  missing?: string;
}

/** A key of an object: texts are themselves, numbers and booleans numbers, tuples a symbol that only they have. */
export type Key = string | number | null | symbol;
/** The scope of a call: what a function may ask of it. */
export interface Caller {
  own(name: string): Value | undefined;
}

/** Arguments of a call. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly keywords: ReadonlyMap<string, Value>;
}

type Call = (args: Arguments, caller: Caller) => Value;

// Objects of one shape, made by no class: they are made for each step of a template.
const made = <T>(type: string, value: T): Value<T> => ({ type, value, marks: undefined });

export const text = (value: string, marks: Marks = noMarks): Value<string> => ({
  type: "StringValue",
  value,
  marks: marks.length > 0 ? marks : undefined,
});

/** The text that was put together. @throws UnsupportedError for more work than a template may make */
export function written(out: TextBuilder, meter: Meter): Value<string> {
  meter.units(out.length);
  meter.step(out.marks.length >> 3);
  return text(out.text, out.marks);
}

const TRUE = made("BooleanValue", true);
const FALSE = made("BooleanValue", false);
const NONE = made("NullValue", null);

export const integer = (value: number): Value => made("IntegerValue", value);
export const float = (value: number): Value => made("FloatValue", value);
export const boolean = (value: boolean): Value => (value ? TRUE : FALSE);
export const none = (): Value => NONE;
export const list = (items: Value[]): Value<Value[]> => made("ArrayValue", items);
export const tuple = (items: Value[]): Value<Value[]> => made("TupleValue", items);
export const dict = (entries: Map<Key, Value> = new Map()): Value<Map<Key, Value>> =>
  made("ObjectValue", entries);
export const namespace = (entries: Map<Key, Value>): Value => made("NamespaceValue", entries);

/** What is not there. @param name what was looked for, for errors */
export function missing(name?: string): Value {
  const value: Value = made("UndefinedValue", undefined);
  if (name !== undefined) value.missing = name;
  return value;
}

/** A function that templates may call. */
export const fn = (call: Call): Value => made("FunctionValue", call);

/** Calls a function. @throws TemplateFault for anything else */
export function call(callee: Value, args: Arguments, caller: Caller): Value {
  if (callee.type !== "FunctionValue") throw new TemplateFault(`${nameOf(callee)} is not callable`);
  return (callee.value as Call)(args, caller);
}

/** The argument at a position or of a name. */
export function argument({ positional, keywords }: Arguments, i: number, name: string): Value | undefined {
  return positional[i] ?? keywords.get(name);
}

export const isText = (value: Value | undefined): value is Value<string> => value?.type === "StringValue";
export const isNumber = (value: Value): value is Value<number> =>
  value.type === "IntegerValue" || value.type === "FloatValue";
export const isList = (value: Value | undefined): value is Value<Value[]> =>
  value?.type === "ArrayValue" || value?.type === "TupleValue";
export const isDict = (value: Value | undefined): value is Value<Map<Key, Value>> =>
  value?.type === "ObjectValue" || value?.type === "NamespaceValue";
export const isMissing = (value: Value | undefined): boolean => value?.type === "UndefinedValue";
export const isNone = (value: Value | undefined): boolean => value?.type === "NullValue";
export function truth(value: Value): boolean {
  if (isList(value)) return value.value.length > 0;
  return value.type === "ObjectValue" ? (value.value as Map<Key, Value>).size > 0 : Boolean(value.value);
}

/** A number, or a boolean as one; undefined for anything else. */
export function numeric(value: Value): number | undefined {
  if (value.type === "BooleanValue") return Number(value.value);
  return isNumber(value) ? value.value : undefined;
}

const pythonNames: Readonly<Record<string, string>> = {
  IntegerValue: "int",
  FloatValue: "float",
  StringValue: "str",
  BooleanValue: "bool",
  NullValue: "NoneType",
  ArrayValue: "list",
  TupleValue: "tuple",
  ObjectValue: "dict",
  NamespaceValue: "Namespace",
  FunctionValue: "function",
};

/** What a value is, for errors: "'messages' is undefined" is begun by it. */
export function nameOf(value: Value): string {
  if (isMissing(value)) return `'${value.missing ?? "a value"}' is undefined, which`;
  return `'${pythonNames[value.type] ?? value.type}' object`;
}

/** The text of a value, which must be one. */
export function textOf(value: Value | undefined, what: string): string {
  if (isText(value)) return value.value;
  throw new TemplateFault(`Expected a text for ${what}, got ${value ? nameOf(value) : "nothing"}`);
}

/** The integer of a value, which must be one; `otherwise` if there is none. */
export function integerOf(value: Value | undefined, what: string, otherwise?: number): number {
  if ((value === undefined || isNone(value)) && otherwise !== undefined) return otherwise;
  const number = value && numeric(value);
  if (number !== undefined && Number.isInteger(number)) return number;
  throw new TemplateFault(`Expected an integer for ${what}, got ${value ? nameOf(value) : "nothing"}`);
}

const tuples = new Map<string, symbol>();
/** Tuples that were keys of objects: more than templates have. */
const MAX_TUPLES = 1000;

/** A value as a key. @throws TemplateFault for what can be none */
export function keyOf(value: Value, meter: Meter): Key {
  if (isText(value)) {
    meter.units(value.value.length);
    return value.value;
  }
  const number = numeric(value);
  if (number !== undefined) return number;
  if (isNone(value)) return null;
  if (value.type !== "TupleValue") throw new TemplateFault(`${nameOf(value)} cannot be a key`);
  const keys = (value.value as Value[]).map((item) => {
    meter.step();
    const key = keyOf(item, meter);
    return [typeof key, String(key)];
  });
  const id = JSON.stringify(keys);
  meter.units(id.length);
  const known = tuples.get(id);
  if (known) return known;
  if (tuples.size >= MAX_TUPLES) tuples.clear();
  const made = Symbol(id);
  tuples.set(id, made);
  return made;
}

/** Sets an entry, and notes a key that is no plain text. */
export function setEntry(object: Value<Map<Key, Value>>, key: Value, value: Value, meter: Meter): void {
  const as = keyOf(key, meter);
  if (!object.value.has(as) && (!isText(key) || key.marks)) {
    object.keyValues ??= new Map();
    object.keyValues.set(as, key);
  }
  object.value.set(as, value);
}

/** The keys of an object as values. */
export function keysOf(object: Value<Map<Key, Value>>): Value[] {
  return Array.from(object.value.keys(), (key) => {
    const written = object.keyValues?.get(key);
    if (written) return written;
    const name = String(key);
    return text(name, object.isContent ? wholly(name.length) : noMarks);
  });
}

/** The entries of an object, each a tuple. */
export function itemsOf(object: Value<Map<Key, Value>>): Value[] {
  const values = [...object.value.values()];
  return keysOf(object).map((key, i) => tuple([key, values[i] as Value]));
}

/** What a loop goes through. @throws TemplateFault for what is not iterable */
export function iterate(value: Value, meter: Meter): Value[] {
  if (isList(value)) return value.value;
  if (isMissing(value)) return [];
  if (isDict(value) && value.type !== "NamespaceValue") {
    meter.step(value.value.size);
    return keysOf(value);
  }
  if (!isText(value)) throw new TemplateFault(`${nameOf(value)} is not iterable`);
  // A value for each character takes memory.
  meter.step(2 * value.value.length);
  const { marks = noMarks } = value;
  let at = 0;
  return Array.from(value.value, (character) => {
    const begin = at;
    at += character.length;
    return text(character, sliceMarks(marks, begin, at));
  });
}

/** Whether two values are equal, as Python says. */
export function equal(a: Value, b: Value, meter: Meter): boolean {
  meter.step();
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return x === y;
  if (a.type !== b.type) return false;
  if (isText(a)) {
    if (a.value.length === (b.value as string).length) meter.units(a.value.length);
    return a.value === b.value;
  }
  if (isList(a)) {
    const others = b.value as Value[];
    return (
      a.value.length === others.length && a.value.every((item, i) => equal(item, others[i] as Value, meter))
    );
  }
  if (!isDict(a) || a.type === "NamespaceValue") return a === b || isNone(a) || isMissing(a);
  const others = b.value as Map<Key, Value>;
  if (a.value.size !== others.size) return false;
  for (const [key, value] of a.value) {
    const other = others.get(key);
    if (!other || !equal(value, other, meter)) return false;
  }
  return true;
}

/** Orders two values: below, at or above 0. @throws TemplateFault for those that have no order */
export function compare(a: Value, b: Value, meter: Meter): number {
  meter.step();
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : Number(x > y);
  if (isText(a) && isText(b)) {
    meter.units(a.value.length + b.value.length);
    return compareTexts(a.value, b.value);
  }
  if (isList(a) && isList(b)) {
    for (let i = 0; i < Math.min(a.value.length, b.value.length); i++) {
      const order = compare(a.value[i] as Value, b.value[i] as Value, meter);
      if (order !== 0) return order;
    }
    return a.value.length - b.value.length;
  }
  throw new TemplateFault(`${nameOf(a)} and ${nameOf(b)} have no order`);
}

// By code points, as Python does: UTF-16 would put some characters beyond U+FFFF before U+E000.
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  let i = 0;
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
  if (i > 0 && (isLow(a.charCodeAt(i)) || isLow(b.charCodeAt(i)))) i--;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

/**
 * Makes values of what a caller gives: what JSON can hold, and undefined. All of its texts are marked as content.
 * @throws TemplateFault for anything else
 */
export function inputValue(given: unknown, meter: Meter, nesting = 0): Value {
  if (typeof given === "string") {
    meter.input(given.length, nesting);
    return text(given, wholly(given.length));
  }
  meter.input(1, nesting);
  if (given === null) return none();
  if (given === undefined) return missing();
  if (typeof given === "boolean") return boolean(given);
  if (typeof given === "number" && Number.isFinite(given)) {
    return Number.isInteger(given) ? integer(given) : float(given);
  }
  if (typeof given === "bigint") return integer(given as never);
  if (given instanceof Number) return float(Number(given));
  if (Array.isArray(given)) return list(given.map((item) => inputValue(item, meter, nesting + 1)));
  if (typeof given !== "object") {
    throw new TemplateFault(
      `Expected messages and variables to be what JSON can hold, got ${describeValue(given)}`,
    );
  }
  const object = dict();
  object.isContent = true;
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    meter.input(key.length, nesting);
    object.value.set(key, inputValue(value, meter, nesting + 1));
  }
  return object;
}
