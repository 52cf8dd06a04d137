// Filters of templates: what may stand behind `|`.
import { type Meter, TemplateFault } from "./limits.ts";
import type { Machine } from "./machine.ts";
import { TextBuilder } from "./marked_text.ts";
import { capitalized, changed, joinTexts, methodOf, replaced, stripped } from "./methods.ts";
import { characterCount, part, percentFormat } from "./operators.ts";
import { jsonText, printed } from "./printing.ts";
import {
  type Arguments,
  argument,
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
  itemsOf,
  iterate,
  list,
  missing,
  nameOf,
  numeric,
  text,
  textOf,
  truth,
  tuple,
  type Value,
  written,
} from "./values.ts";

type Filter = (value: Value, args: Arguments, machine: Machine) => Value;

/** The filter of a name, or undefined. */
export function filterNamed(name: string): Filter | undefined {
  return Object.hasOwn(filters, name) ? filters[name] : undefined;
}

/** A copy of what a loop goes through. */
function listed(value: Value, meter: Meter): Value[] {
  const items = iterate(value, meter);
  meter.step(items.length);
  return [...items];
}

const flag = (value: Value | undefined): boolean => value !== undefined && truth(value);

/** A filter that is a method of texts; other values are printed first. */
const asMethod =
  (name: string): Filter =>
  (value, args, machine) => {
    const method = methodOf(printed(value, machine.meter), name, machine) as Value;
    return machine.call(method, args);
  };

const onText =
  (change: (text: string) => string, isSlow = false): Filter =>
  (value, _, { meter }) =>
    changed(printed(value, meter), change, meter, isSlow);

/** Longest name of an attribute, with its points. */
const MAX_ATTRIBUTE = 1000;

/** What an attribute such as "a.b" or 0 is of a value. */
function getter(attribute: Value | undefined, machine: Machine, otherwise?: Value): (item: Value) => Value {
  if (!attribute || isNone(attribute)) return (item) => item;
  if (isText(attribute) && attribute.value.length > MAX_ATTRIBUTE)
    throw new TemplateFault("attribute is too long");
  const names = isText(attribute)
    ? attribute.value.split(".").map((name) => (/^\d+$/.test(name) ? integer(Number(name)) : text(name)))
    : [attribute];
  return (item) => {
    let found = item;
    machine.meter.step(names.length);
    for (const name of names) found = machine.member(found, name);
    return isMissing(found) && otherwise ? otherwise : found;
  };
}

function sorted(
  items: readonly Value[],
  key: (item: Value) => Value,
  options: { reverse: boolean; caseSensitive: boolean },
  meter: Meter,
): Value[] {
  const fold = (value: Value): Value => {
    if (options.caseSensitive || !isText(value)) return value;
    meter.units(value.value.length);
    return text(value.value.toLowerCase());
  };
  meter.step(items.length);
  const keyed = items.map((item) => ({ item, by: fold(key(item)) }));
  const sign = options.reverse ? -1 : 1;
  keyed.sort((a, b) => sign * compare(a.by, b.by, meter));
  return keyed.map(({ item }) => item);
}

function sort(value: Value, args: Arguments, machine: Machine): Value {
  const { meter } = machine;
  const reverse = flag(argument(args, 0, "reverse"));
  const caseSensitive = flag(argument(args, 1, "case_sensitive"));
  const key = getter(argument(args, 2, "attribute"), machine);
  return list(sorted(iterate(value, meter), key, { reverse, caseSensitive }, meter));
}

function dictsort(value: Value, args: Arguments, { meter }: Machine): Value {
  if (!isDict(value)) throw new TemplateFault(`${nameOf(value)} has no items`);
  const by = argument(args, 1, "by");
  const at = by && textOf(by, "by") === "value" ? 1 : 0;
  const options = {
    reverse: flag(argument(args, 2, "reverse")),
    caseSensitive: flag(argument(args, 0, "case_sensitive")),
  };
  return list(sorted(itemsOf(value), ({ value: item }) => (item as Value[])[at] as Value, options, meter));
}

const extreme =
  (sign: number): Filter =>
  (value, args, machine) => {
    const { meter } = machine;
    const items = iterate(value, meter);
    const options = { reverse: sign < 0, caseSensitive: flag(argument(args, 0, "case_sensitive")) };
    const [found] = sorted(items, getter(argument(args, 1, "attribute"), machine), options, meter);
    return found ?? missing("an item of an empty list");
  };

function unique(value: Value, args: Arguments, machine: Machine): Value {
  const { meter } = machine;
  const key = getter(argument(args, 1, "attribute"), machine);
  const fold = !flag(argument(args, 0, "case_sensitive"));
  const seen = new Set<string>();
  const kept: Value[] = [];
  const odd: Value[] = [];
  for (const item of iterate(value, meter)) {
    const by = key(item);
    meter.step();
    if (isText(by)) {
      meter.units(by.value.length);
      const name = fold ? by.value.toLowerCase() : by.value;
      if (seen.has(name)) continue;
      seen.add(name);
    } else {
      if (odd.some((other) => equal(other, by, meter))) continue;
      odd.push(by);
    }
    kept.push(item);
  }
  return list(kept);
}

/** What map, select and their like go through: of anything that is empty or false, nothing. */
const itemsIn = (value: Value, { meter }: Machine): Value[] => (truth(value) ? iterate(value, meter) : []);

/** select, reject (of items) and selectattr, rejectattr (of an attribute): a test, or whether it is true. */
const selection =
  (wanted: boolean, byAttribute: boolean): Filter =>
  (value, { positional }, machine) => {
    const key = byAttribute ? getter(positional[0], machine) : (item: Value) => item;
    const [test, ...args] = byAttribute ? positional.slice(1) : positional;
    const holds = (item: Value) =>
      test === undefined ? truth(item) : machine.test(textOf(test, "a test"), item, args);
    machine.meter.step(positional.length);
    return list(
      itemsIn(value, machine).filter((item) => {
        machine.meter.step();
        return holds(key(item)) === wanted;
      }),
    );
  };

function map(value: Value, args: Arguments, machine: Machine): Value {
  const { meter } = machine;
  const items = itemsIn(value, machine);
  const attribute = args.keywords.get("attribute");
  meter.step(items.length);
  if (attribute) return list(items.map(getter(attribute, machine, args.keywords.get("default"))));
  const [name, ...rest] = args.positional;
  const filter = textOf(name, "map");
  const inner = { positional: rest, keywords: args.keywords };
  return list(items.map((item) => machine.filter(filter, item, inner)));
}

function tojson(value: Value, args: Arguments, { meter }: Machine): Value {
  const { keywords } = args;
  const indent = argument(args, 0, "indent");
  const separators = keywords.get("separators");
  const depth =
    indent && !isNone(indent) ? (isText(indent) ? indent.value : " ".repeat(jsonIndent(indent))) : undefined;
  const [item, key] = isList(separators) ? separators.value.map((one) => textOf(one, "separators")) : [];
  return jsonText(
    value,
    {
      indent: depth,
      separators: [item ?? (depth === undefined ? ", " : ","), key ?? ": "],
      isAscii: flag(keywords.get("ensure_ascii")),
      isSorted: flag(keywords.get("sort_keys")),
    },
    meter,
  );
}

function jsonIndent(indent: Value): number {
  return Math.min(Math.max(integerOf(indent, "indent"), 0), 100);
}

function indent(value: Value, args: Arguments, { meter }: Machine): Value {
  const source = printed(value, meter);
  const width = argument(args, 0, "width");
  const by = isText(width)
    ? width.value
    : " ".repeat(Math.min(Math.max(integerOf(width, "width", 4), 0), 1000));
  const atFirst = flag(argument(args, 1, "first"));
  const atBlank = flag(argument(args, 2, "blank"));
  const out = new TextBuilder();
  let begin = 0;
  for (let end = 0; end >= 0; begin = end + 1) {
    end = source.value.indexOf("\n", begin);
    const line = part(source, begin, end < 0 ? source.value.length : end + 1);
    const isBlank = line.value === "" || line.value === "\n";
    if (begin === 0 ? atFirst : atBlank || !isBlank) out.add(by);
    out.add(line.value, line.marks);
    meter.step();
    meter.length(out.length);
    if (end < 0) break;
  }
  return written(out, meter);
}

function join(value: Value, args: Arguments, machine: Machine): Value {
  const separator = argument(args, 0, "d");
  const key = getter(argument(args, 1, "attribute"), machine);
  const items = listed(value, machine.meter).map(key);
  return joinTexts(items, separator ? printed(separator, machine.meter) : text(""), machine.meter);
}

function toInteger(value: Value, args: Arguments): Value {
  const otherwise = argument(args, 0, "default") ?? integer(0);
  const number = numeric(value);
  if (number !== undefined) return Number.isFinite(number) ? integer(Math.trunc(number)) : otherwise;
  if (!isText(value)) return otherwise;
  const base = integerOf(argument(args, 1, "base"), "base", 10);
  const written = value.value.trim().replaceAll("_", "");
  const digits = base === 16 ? /^[-+]?(0x)?[\da-f]+$/i : base === 2 ? /^[-+]?(0b)?[01]+$/i : /^[-+]?\d+$/;
  const isFloat = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(written);
  const read = digits.test(written)
    ? Number.parseInt(written.replace(/0b/i, ""), base)
    : isFloat
      ? Math.trunc(Number(written))
      : Number.NaN;
  return Number.isFinite(read) ? integer(read) : otherwise;
}

function toFloat(value: Value, args: Arguments): Value {
  const number = numeric(value);
  if (number !== undefined) return float(number);
  const written = isText(value) ? value.value.trim() : "";
  const isWritten = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(written);
  return isWritten ? float(Number(written)) : (argument(args, 0, "default") ?? float(0));
}

function round(value: Value, args: Arguments): Value {
  const number = numeric(value);
  if (number === undefined) throw new TemplateFault(`${nameOf(value)} cannot be rounded`);
  const precision = Math.min(Math.max(integerOf(argument(args, 0, "precision"), "precision", 0), 0), 15);
  const method = argument(args, 1, "method");
  const unit = Number(`1e${precision}`);
  const scaled = number * unit;
  if (method && textOf(method, "method") === "ceil") return float(Math.ceil(scaled) / unit);
  if (method && textOf(method, "method") === "floor") return float(Math.floor(scaled) / unit);
  const below = Math.floor(scaled);
  // Halves go to the even neighbour.
  const isUp = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 !== 0);
  return float((below + Number(isUp)) / unit);
}

function length(value: Value, _: Arguments, { meter }: Machine): Value {
  if (isText(value)) return integer(characterCount(value.value, meter));
  if (isDict(value)) return integer(value.value.size);
  if (!isList(value) && !isMissing(value)) throw new TemplateFault(`${nameOf(value)} has no length`);
  return integer(isList(value) ? value.value.length : 0);
}

function orDefault(value: Value, args: Arguments): Value {
  const isAbsent = isMissing(value) || (flag(argument(args, 1, "boolean")) && !truth(value));
  return isAbsent ? (argument(args, 0, "default_value") ?? text("")) : value;
}

function truncate(value: Value, args: Arguments, { meter }: Machine): Value {
  const source = printed(value, meter);
  const most = integerOf(argument(args, 0, "length"), "length", 255);
  const end = argument(args, 2, "end") ?? text("...");
  const leeway = integerOf(argument(args, 3, "leeway"), "leeway", 5);
  const mark = textOf(end, "end");
  if (source.value.length <= most + leeway) return source;
  let kept = part(source, 0, Math.max(0, most - mark.length));
  if (!flag(argument(args, 1, "killwords"))) {
    const space = kept.value.lastIndexOf(" ");
    if (space >= 0) kept = part(kept, 0, space);
  }
  return joinTexts([kept, end], text(""), meter);
}

function groupby(value: Value, args: Arguments, machine: Machine): Value {
  const { meter } = machine;
  const key = getter(argument(args, 0, "attribute"), machine, argument(args, 1, "default"));
  const items = sorted(iterate(value, meter), key, { reverse: false, caseSensitive: false }, meter);
  const groups: [Value, Value[]][] = [];
  for (const item of items) {
    const by = key(item);
    const last = groups.at(-1);
    if (last && equal(last[0], by, meter)) last[1].push(item);
    else groups.push([by, [item]]);
  }
  return list(groups.map(([by, of]) => tuple([by, list(of)])));
}

function batched(value: Value, args: Arguments, { meter }: Machine): Value {
  const size = integerOf(argument(args, 0, "linecount"), "batch");
  if (size < 1) throw new TemplateFault("Expected a size of at least 1 for batch");
  const items = listed(value, meter);
  const fill = argument(args, 1, "fill_with");
  meter.step(fill ? size : 0);
  const rows: Value[] = [];
  for (let i = 0; i < items.length; i += size) {
    const row = items.slice(i, i + size);
    if (fill && size <= items.length) while (row.length < size) row.push(fill);
    rows.push(list(row));
  }
  return list(rows);
}

function sum(value: Value, args: Arguments, machine: Machine): Value {
  const key = getter(argument(args, 0, "attribute"), machine);
  const items = [argument(args, 1, "start") ?? integer(0), ...listed(value, machine.meter).map(key)];
  const total = items.reduce((all, item) => all + (numeric(item) ?? Number.NaN), 0);
  if (Number.isNaN(total)) throw new TemplateFault("sum: Expected numbers");
  return items.some(({ type }) => type === "FloatValue") ? float(total) : integer(total);
}

function reverse(value: Value, _: Arguments, { meter }: Machine): Value {
  const items = listed(value, meter).reverse();
  return isText(value) ? joinTexts(items, text(""), meter) : list(items);
}

function replace(value: Value, args: Arguments, { meter }: Machine): Value {
  const source = printed(value, meter);
  meter.units(source.value.length);
  const names = ["old", "new"].map((name, i) => printed(argument(args, i, name) ?? missing(), meter));
  const count = argument(args, 2, "count");
  return replaced(source, { positional: count ? [...names, count] : names, keywords: new Map() }, meter);
}

const entities: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" },
};
const escaped = onText((source) => source.replace(/[&<>'"]/g, (unit) => entities[unit] as string), true);
const title = onText((source) => source.replace(/[^-\s([{<]+/g, capitalized), true);

const filters: Readonly<Record<string, Filter>> = {
  abs: (value) => {
    const number = numeric(value);
    if (number === undefined) throw new TemplateFault(`bad operand type for abs: ${nameOf(value)}`);
    return (value.type === "FloatValue" ? float : integer)(Math.abs(number));
  },
  attr: (value, args, machine) => getter(args.positional[0], machine)(value),
  batch: batched,
  capitalize: onText(capitalized),
  center: asMethod("center"),
  count: length,
  d: orDefault,
  default: orDefault,
  dictsort,
  e: escaped,
  escape: escaped,
  first: (value, _, { meter }) => iterate(value, meter)[0] ?? missing("the first item of an empty list"),
  float: toFloat,
  format: (value, { positional }, { meter }) =>
    percentFormat(printed(value, meter), tuple([...positional]), meter),
  groupby,
  indent,
  int: toInteger,
  items: (value, _, { meter }) => {
    if (isMissing(value)) return list([]);
    if (!isDict(value)) throw new TemplateFault(`${nameOf(value)} has no items`);
    meter.step(value.value.size);
    return list(itemsOf(value));
  },
  join,
  last: (value, _, { meter }) => iterate(value, meter).at(-1) ?? missing("the last item of an empty list"),
  length,
  list: (value, _, { meter }) => list(listed(value, meter)),
  lower: onText((source) => source.toLowerCase()),
  map,
  max: extreme(-1),
  min: extreme(1),
  reject: selection(false, false),
  rejectattr: selection(false, true),
  replace,
  reverse,
  round,
  safe: (value) => value,
  select: selection(true, false),
  selectattr: selection(true, true),
  sort,
  string: (value, _, { meter }) => printed(value, meter),
  sum,
  title,
  tojson,
  trim: (value, args, { meter }) => stripped(printed(value, meter), argument(args, 0, "chars"), 0, meter),
  truncate,
  unique,
  upper: onText((source) => source.toUpperCase()),
  urlencode: onText((source) => encodeURIComponent(source.toWellFormed()).replaceAll("%2F", "/"), true),
  wordcount: (value, _, { meter }) => {
    const { value: source } = printed(value, meter);
    meter.slowUnits(source.length);
    return integer(source.match(/\w+/g)?.length ?? 0);
  },
};
