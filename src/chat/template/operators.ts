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
  keyOf,
  list,
  missing,
  nameOf,
  numeric,
  text,
  tuple,
  type Value,
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
  const make = isFloat ? float : integer;
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
  meter.step(((left.marks?.length ?? 0) + (right.marks?.length ?? 0)) >> 3);
  const out = new TextBuilder().add(left.value, left.marks).add(right.value, right.marks);
  return text(out.text, out.marks);
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
    return container.value.includes(item.value);
  }
  if (isList(container)) return container.value.some((other) => equal(other, item, meter));
  if (isDict(container) && container.type !== "NamespaceValue") {
    return !isList(item) || item.type === "TupleValue"
      ? !isMissing(item) && container.value.has(keyOf(item))
      : false;
  }
  throw new TemplateFault(`${nameOf(container)} is not iterable`);
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
  meter.units(source.value.length);
  if (!SURROGATES.test(source.value)) {
    const at = index < 0 ? source.value.length + index : index;
    return at >= 0 && at < source.value.length ? part(source, at, at + 1) : missing(String(index));
  }
  const offsets = characterOffsets(source.value);
  const n = offsets.length - 1;
  const at = index < 0 ? n + index : index;
  if (at < 0 || at >= n) return missing(String(index));
  return part(source, offsets[at] as number, offsets[at + 1] as number);
}

/** Units [begin, end) of a text. */
export function part(source: Value<string>, begin: number, end: number): Value<string> {
  const marks: Marks = source.marks ? sliceMarks(source.marks, begin, end) : noMarks;
  return text(source.value.slice(begin, end), marks);
}

function characterOffsets(value: string): number[] {
  const offsets = [0];
  for (const character of value) offsets.push((offsets.at(-1) as number) + character.length);
  return offsets;
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
    meter.units(container.value.length);
    const offsets = SURROGATES.test(container.value) ? characterOffsets(container.value) : undefined;
    const n = offsets ? offsets.length - 1 : container.value.length;
    const at = (i: number) => (offsets ? (offsets[i] as number) : i);
    const indices = isSimple ? undefined : sliceIndices(n, start, stop, step);
    if (indices === undefined) {
      const [begin, end] = range(n, start, stop);
      return part(container, at(begin), at(Math.max(begin, end)));
    }
    const out = new TextBuilder();
    for (const i of indices) {
      const piece = part(container, at(i), at(i + 1));
      out.add(piece.value, piece.marks);
    }
    return text(out.text, out.marks);
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
    meter.length(out.text.length);
  }
  const rest = part(pattern, last, pattern.value.length);
  out.add(rest.value, rest.marks);
  return text(out.text, out.marks);
}

function formatted(value: Value, kind: string, digits: string | undefined, meter: Meter): Value<string> {
  const n = numeric(value);
  if (kind === "s" || n === undefined)
    return kind === "r" ? printed(list([value]), meter) : printed(value, meter);
  if (kind === "f") return text(n.toFixed(Math.min(Number(digits?.slice(1) ?? 6), 100)));
  return kind === "r" ? printed(value, meter) : text(String(Math.trunc(n)));
}
