// Operators of templates: arithmetic, comparison, membership, what stands in brackets.
import { type Meter, TemplateFault } from "./limits.ts";
import { type Marks, noMarks, sliceMarks, TextBuilder, wholly } from "./marked_text.ts";
import { printed } from "./printing.ts";
import {
  boolean,
  compare,
  equal,
  float,
  integer,
  integerOf,
  isDict,
  isList,
  isMissing,
  isNone,
  isText,
  iterate,
  keyOf,
  list,
  missing,
  nameOf,
  numeric,
  text,
  tuple,
  type Value,
  written,
} from "./values.ts";

/** The value of `left operator right`, for operators that need both. @throws TemplateFault */
export function binary(operator: string, left: Value, right: Value, meter: Meter): Value {
  switch (operator) {
    case "==":
      return boolean(equal(left, right, meter));
    case "!=":
      return boolean(!equal(left, right, meter));
    case "in":
      return boolean(contains(right, left, meter));
    case "not in":
      return boolean(!contains(right, left, meter));
    case "~":
      return joined(printed(left, meter), printed(right, meter), meter);
    case "<":
      return boolean(compare(left, right, meter) < 0);
    case "<=":
      return boolean(compare(left, right, meter) <= 0);
    case ">":
      return boolean(compare(left, right, meter) > 0);
    case ">=":
      return boolean(compare(left, right, meter) >= 0);
    default:
      return arithmetic(operator, left, right, meter);
  }
}

function arithmetic(operator: string, left: Value, right: Value, meter: Meter): Value {
  const [a, b] = [numeric(left), numeric(right)];
  if (a !== undefined && b !== undefined) {
    const isFloat = left.type === "FloatValue" || right.type === "FloatValue" || operator === "/";
    return number(operator, a, b, isFloat);
  }
  if (operator === "+" && isText(left) && isText(right)) return joined(left, right, meter);
  if (operator === "+" && isList(left) && left.type === right.type) {
    const items = [...left.value, ...(right.value as Value[])];
    meter.step(items.length);
    return left.type === "TupleValue" ? tuple(items) : list(items);
  }
  if (operator === "*") {
    const [many, n] = a === undefined ? [left, b] : [right, a];
    if (n !== undefined && (isText(many) || isList(many))) return repeated(many, n, meter);
  }
  if (operator === "%" && isText(left)) return percentFormat(left, right, meter);
  const odd = [left, right].find((value) => isMissing(value));
  if (odd) throw new TemplateFault(nameOf(odd).replace(", which", ""));
  throw new TemplateFault(`Unsupported operand types for ${operator}: ${nameOf(left)} and ${nameOf(right)}`);
}

function number(operator: string, a: number, b: number, isFloat: boolean): Value {
  if (b === 0 && "/%".includes(operator[0] as string)) throw new TemplateFault("division by zero");
  const make = isFloat ? float : finite;
  switch (operator) {
    case "+":
      return make(a + b);
    case "-":
      return make(a - b);
    case "*":
      return make(a * b);
    case "/":
      return make(a / b);
    case "//":
      return make(Math.floor(a / b));
    case "%":
      return make(a - b * Math.floor(a / b));
    case "**":
      if (!isFloat && b >= 0) return integer(power(a, b));
      if (Number.isInteger(b)) return float(b < 0 ? 1 / power(a, -b) : power(a, b));
      throw new TemplateFault("Expected an integer as exponent");
    default:
      throw new TemplateFault(`Unknown operator ${operator}`);
  }
}

function finite(value: number): Value {
  if (Number.isFinite(value)) return integer(value);
  throw new TemplateFault("Numerical result out of range");
}

// By squaring: the runtime's own differs between engines.
function power(base: number, exponent: number): number {
  let result = 1;
  for (let [square, n] = [base, exponent]; n > 0 && n < 2 ** 32; square *= square, n = Math.floor(n / 2)) {
    if (n % 2 === 1) result *= square;
  }
  if (!Number.isFinite(result) || exponent >= 2 ** 32)
    throw new TemplateFault("Numerical result out of range");
  return result;
}

/** Two texts, one behind the other. */
export function joined(left: Value<string>, right: Value<string>, meter: Meter): Value<string> {
  meter.length(left.value.length + right.value.length);
  if (!left.marks && !right.marks) return text(left.value + right.value);
  const { marks } = new TextBuilder().add(left.value, left.marks).add(right.value, right.marks);
  meter.step(marks.length >> 3);
  // Runtimes put the two together when something reads them: a text may grow by one piece at a time.
  return text(left.value + right.value, marks);
}

function repeated(many: Value<string> | Value<Value[]>, n: number, meter: Meter): Value {
  const times = Math.max(0, Math.floor(n));
  if (isList(many)) {
    meter.step(many.value.length * times + times);
    const items = Array.from({ length: times }, () => many.value).flat();
    return many.type === "TupleValue" ? tuple(items) : list(items);
  }
  meter.units(many.value.length * times + times);
  const all = (many.value as string).repeat(times);
  return text(all, many.marks ? wholly(all.length) : noMarks);
}

/** Whether `container` has `item`. @throws TemplateFault for what has no items */
export function contains(container: Value, item: Value, meter: Meter): boolean {
  if (isMissing(container)) return false;
  if (isText(container)) {
    if (!isText(item)) throw new TemplateFault(`'in <string>' requires a text, got ${nameOf(item)}`);
    meter.units(container.value.length);
    return placeOf(item.value, container.value, 0, meter) >= 0;
  }
  if (isList(container)) return container.value.some((other) => equal(other, item, meter));
  if (isDict(container) && container.type !== "NamespaceValue") {
    return !isList(item) || item.type === "TupleValue"
      ? !isMissing(item) && container.value.has(keyOf(item, meter))
      : false;
  }
  throw new TemplateFault(`${nameOf(container)} is not iterable`);
}

/** Units of a text that runtimes look for: they may compare all of them at each place. */
const SOUGHT_UNITS = 16;

/** Where `wanted` stands in a text: the first place from `at` on, or the last one up to it; -1 if there is none. */
export function placeOf(wanted: string, value: string, at: number, meter: Meter, isLast = false): number {
  const begin = wanted.slice(0, SOUGHT_UNITS);
  for (let i = at; ; i += isLast ? -1 : 1) {
    i = isLast ? (i < 0 ? -1 : value.lastIndexOf(begin, i)) : value.indexOf(begin, i);
    if (i < 0 || begin === wanted) return i;
    meter.units(wanted.length);
    if (value.startsWith(wanted, i)) return i;
  }
}

const SURROGATES = /[\ud800-\udfff]/;

/** How many characters a text has, as Python counts. */
export function characterCount(value: string, meter: Meter): number {
  meter.units(value.length);
  if (!SURROGATES.test(value)) return value.length;
  let n = 0;
  for (const _ of value) n++;
  return n;
}

/** The item at an index, or undefined what is not there. */
export function itemAt(container: Value<string> | Value<Value[]>, index: number, meter: Meter): Value {
  if (isList(container)) return container.value.at(index) ?? missing(String(index));
  const source = container as Value<string>;
  const { value } = source;
  meter.units(value.length);
  const begin = offsetOf(value, index);
  const end = begin === undefined ? undefined : index === -1 ? value.length : offsetOf(value, index + 1);
  return begin === undefined || begin === value.length
    ? missing(String(index))
    : part(source, begin, end as number);
}

/** Where the character of an index begins, in units; undefined before the first one, the end behind the last. */
export function offsetOf(value: string, index: number): number | undefined {
  if (!SURROGATES.test(value)) {
    const at = index < 0 ? value.length + index : index;
    return at < 0 ? undefined : Math.min(at, value.length);
  }
  const isPair = (at: number) => (value.codePointAt(at) ?? 0) > 0xffff;
  if (index >= 0) {
    let at = 0;
    for (let left = index; left > 0 && at < value.length; left--) at += isPair(at) ? 2 : 1;
    return at;
  }
  let at = value.length;
  for (let left = index; left < 0; left++) {
    if (at === 0) return undefined;
    at -= at > 1 && isPair(at - 2) ? 2 : 1;
  }
  return at;
}

/** Units [begin, end) of a text. */
export function part(source: Value<string>, begin: number, end: number): Value<string> {
  const marks: Marks = source.marks ? sliceMarks(source.marks, begin, end) : noMarks;
  return text(source.value.slice(begin, end), marks);
}

/** `container[start:stop:step]`. @throws TemplateFault for what has no order, and a step of 0 */
export function slice(
  container: Value,
  bounds: readonly [start: Value, stop: Value, step: Value],
  meter: Meter,
): Value {
  if (isMissing(container)) throw new TemplateFault(nameOf(container).replace(", which", ""));
  if (!isText(container) && !isList(container)) throw new TemplateFault(`${nameOf(container)} has no slices`);
  const [start, stop, step] = bounds.map((bound) =>
    isMissing(bound) || isNone(bound) ? undefined : integerOf(bound, "a slice"),
  );
  if (step === 0) throw new TemplateFault("slice step cannot be zero");
  const isSimple = step === undefined || step === 1;
  if (isText(container)) {
    const { value } = container;
    meter.units(value.length);
    if (isSimple) {
      const begin = offsetOf(value, start ?? 0) ?? 0;
      const end = stop === undefined ? value.length : (offsetOf(value, stop) ?? 0);
      return part(container, begin, Math.max(begin, end));
    }
    meter.slowUnits(value.length);
    const characters = iterate(container, meter);
    const out = new TextBuilder();
    for (const i of sliceIndices(characters.length, start, stop, step)) {
      const piece = characters[i] as Value<string>;
      out.add(piece.value, piece.marks);
    }
    return written(out, meter);
  }
  const items = container.value;
  const [begin, end] = range(items.length, start, stop);
  const kept = isSimple
    ? items.slice(begin, end)
    : sliceIndices(items.length, start, stop, step).map((i) => items[i] as Value);
  meter.step(kept.length);
  return container.type === "TupleValue" ? tuple(kept) : list(kept);
}

function range(n: number, start: number | undefined, stop: number | undefined): [number, number] {
  const clamp = (i: number) => Math.min(Math.max(i < 0 ? n + i : i, 0), n);
  return [clamp(start ?? 0), clamp(stop ?? n)];
}

function sliceIndices(
  n: number,
  start: number | undefined,
  stop: number | undefined,
  step: number,
): number[] {
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? n : n - 1;
  const clamp = (i: number) => Math.min(Math.max(i < 0 ? n + i : i, low), high);
  const begin = start === undefined ? (step > 0 ? low : high) : clamp(start);
  const end = stop === undefined ? (step > 0 ? high : low) : clamp(stop);
  const indices: number[] = [];
  for (let i = begin; step > 0 ? i < end : i > end; i += step) indices.push(i);
  return indices;
}

/** `text % values`, as Python formats. */
export function percentFormat(pattern: Value<string>, values: Value, meter: Meter): Value {
  const given = values.type === "TupleValue" ? (values.value as Value[]) : [values];
  const out = new TextBuilder();
  meter.slowUnits(pattern.value.length);
  let [last, next] = [0, 0];
  for (const found of pattern.value.matchAll(/%(?:\(\w+\))?(\.\d+)?([sdifr%])/g)) {
    const literal = part(pattern, last, found.index);
    out.add(literal.value, literal.marks);
    last = found.index + found[0].length;
    if (found[2] === "%") {
      out.add("%");
      continue;
    }
    const value = given[next++];
    if (!value) throw new TemplateFault("Expected more values to format");
    const shown = formatted(value, found[2] as string, found[1], meter);
    out.add(shown.value, shown.marks);
    meter.length(out.length);
  }
  const rest = part(pattern, last, pattern.value.length);
  out.add(rest.value, rest.marks);
  return written(out, meter);
}

function formatted(value: Value, kind: string, digits: string | undefined, meter: Meter): Value<string> {
  const n = numeric(value);
  if (kind === "s" || n === undefined)
    return kind === "r" ? printed(list([value]), meter) : printed(value, meter);
  if (kind === "f") return text(n.toFixed(Math.min(Number(digits?.slice(1) ?? 6), 100)));
  return kind === "r" ? printed(value, meter) : text(String(Math.trunc(n)));
}
