// Methods of texts, lists and dicts, as Python has them.
import { type Meter, TemplateFault } from "./limits.ts";
import type { Machine } from "./machine.ts";
import { noMarks, sliceMarks, TextBuilder, wholly } from "./marked_text.ts";
import { characterCount, offsetOf, part, placeOf } from "./operators.ts";
import { printed } from "./printing.ts";
import {
  type Arguments,
  argument,
  boolean,
  dict,
  equal,
  fn,
  integer,
  integerOf,
  isDict,
  isList,
  isMissing,
  isNone,
  isText,
  itemsOf,
  iterate,
  type Key,
  keyOf,
  keysOf,
  list,
  nameOf,
  none,
  setEntry,
  text,
  textOf,
  tuple,
  type Value,
  written,
} from "./values.ts";

type TextMethod = (own: Value<string>, args: Arguments, meter: Meter) => Value;
type ListMethod = (own: Value<Value[]>, args: Arguments, machine: Machine) => Value;
type DictMethod = (own: Value<Map<Key, Value>>, args: Arguments, meter: Meter) => Value;

/** A method as a function that is bound to its value; undefined if it has none of that name. */
export function methodOf(own: Value, name: string, machine: Machine): Value | undefined {
  const { meter } = machine;
  if (isText(own)) {
    if (!Object.hasOwn(textMethods, name)) return undefined;
    const method = textMethods[name] as TextMethod;
    return fn((args) => {
      const texts = [own, ...args.positional].filter(isText);
      meter.units(texts.reduce((sum, { value }) => sum + value.length, 0));
      return method(own, args, meter);
    });
  }
  if (isList(own)) {
    if (!Object.hasOwn(listMethods, name)) return undefined;
    return fn((args) => (listMethods[name] as ListMethod)(own, args, machine));
  }
  if (!isDict(own) || own.type === "NamespaceValue" || !Object.hasOwn(dictMethods, name)) return undefined;
  return fn((args) => {
    meter.step(own.value.size);
    return (dictMethods[name] as DictMethod)(own, args, meter);
  });
}

/** White space as Python's `str.strip` takes it, in a class of characters. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "g");

/** A text without white space, or the characters of `characters`, at its begin (side < 1) and end (side > -1). */
export function stripped(
  own: Value<string>,
  characters: Value | undefined,
  side: number,
  meter: Meter,
): Value<string> {
  const { value } = own;
  const chosen = characters && !isNone(characters) ? textOf(characters, "strip") : undefined;
  meter.slowUnits(chosen?.length ?? 0);
  const set = chosen === undefined ? undefined : new Set(chosen);
  const isOff = set
    ? (i: number) => set.has(value[i] as string)
    : (i: number) => spaceOnly.test(value[i] as string);
  let begin = 0;
  let end = value.length;
  if (side < 1) while (begin < end && isOff(begin)) begin++;
  if (side > -1) while (end > begin && isOff(end - 1)) end--;
  // What is taken off takes longer than other work.
  meter.slowUnits((begin + value.length - end) >> 2);
  return begin === 0 && end === value.length ? own : part(own, begin, end);
}
const spaceOnly = new RegExp(`[${SPACE}]`);

/** A text made of another: all of it comes from messages if any of that does. @param isSlow see `slowUnits` */
export function changed(
  source: Value<string>,
  change: (value: string) => string,
  meter: Meter,
  isSlow: boolean,
): Value<string> {
  if (isSlow) meter.slowUnits(source.value.length);
  const value = change(source.value);
  meter.units(value.length);
  return text(value, source.marks ? wholly(value.length) : noMarks);
}

/** Python's replace, at most `count` times; all times below 0. */
export function replaced(own: Value<string>, args: Arguments, meter: Meter): Value {
  const from = argument(args, 0, "old");
  const to = argument(args, 1, "new");
  const old = textOf(from, "replace");
  const by = textOf(to, "replace");
  let left = integerOf(argument(args, 2, "count"), "count", -1);
  const out = new TextBuilder();
  const { value } = own;
  let last = 0;
  // An empty text is found before each character and at the end.
  for (let at = 0; left !== 0; left--) {
    const found = old === "" ? at : placeOf(old, value, at, meter);
    if (found < 0 || found > value.length) break;
    meter.step();
    meter.length(out.length + by.length);
    out.add(value.slice(last, found), own.marks && sliceMarks(own.marks, last, found));
    out.add(by, to?.marks);
    last = found + old.length;
    at = old === "" ? found + ((value.codePointAt(found) ?? 0) > 0xffff ? 2 : 1) : last;
  }
  if (last === 0 && out.length === 0) return own;
  out.add(value.slice(last), own.marks && sliceMarks(own.marks, last, value.length));
  return written(out, meter);
}

function splitBy(
  own: Value<string>,
  separator: string,
  options: { most: number; fromEnd: boolean; meter: Meter },
): Value[] {
  const { most, fromEnd, meter } = options;
  if (separator === "") throw new TemplateFault("empty separator");
  const { value } = own;
  const cuts: number[] = [];
  let at = fromEnd ? value.length : 0;
  while (most < 0 || cuts.length < most) {
    const room = at - separator.length;
    const found = placeOf(separator, value, fromEnd ? room : at, meter, fromEnd);
    if (found < 0) break;
    meter.step();
    cuts.push(found);
    at = fromEnd ? found : found + separator.length;
  }
  if (fromEnd) cuts.reverse();
  let begin = 0;
  const parts = cuts.map((cut) => {
    const piece = part(own, begin, cut);
    begin = cut + separator.length;
    return piece;
  });
  return [...parts, part(own, begin, value.length)];
}

function splitSpace(
  own: Value<string>,
  { most, fromEnd, meter }: { most: number; fromEnd: boolean; meter: Meter },
): Value[] {
  const { value } = own;
  const words: [number, number][] = [];
  let begin = 0;
  for (const found of value.matchAll(SPACES)) {
    meter.step(2);
    if (found.index > begin) words.push([begin, found.index]);
    begin = found.index + found[0].length;
  }
  if (begin < value.length) words.push([begin, value.length]);
  if (most >= 0 && words.length > most) {
    // The rest keeps the white space that stands in it.
    if (fromEnd) {
      const rest = words.splice(0, words.length - most);
      words.unshift([0, (rest.at(-1) as [number, number])[1]]);
    } else {
      const [rest] = words.splice(most) as [[number, number]];
      words.push([rest[0], value.length]);
    }
  }
  return words.map(([from, to]) => part(own, from, to));
}

function split(own: Value<string>, args: Arguments, meter: Meter, fromEnd: boolean): Value {
  const separator = argument(args, 0, "sep");
  const most = integerOf(argument(args, 1, "maxsplit"), "maxsplit", -1);
  const options = { most, fromEnd, meter };
  if (!separator || isNone(separator)) return list(splitSpace(own, options));
  return list(splitBy(own, textOf(separator, "split"), options));
}

function partition(own: Value<string>, args: Arguments, meter: Meter, fromEnd: boolean): Value {
  const separator = textOf(argument(args, 0, "sep"), "partition");
  if (separator === "") throw new TemplateFault("empty separator");
  const at = placeOf(separator, own.value, fromEnd ? own.value.length : 0, meter, fromEnd);
  if (at < 0) return tuple(fromEnd ? [text(""), text(""), own] : [own, text(""), text("")]);
  const end = at + separator.length;
  return tuple([part(own, 0, at), part(own, at, end), part(own, end, own.value.length)]);
}

function hasAffix(args: Arguments, meter: Meter, test: (affix: string) => boolean): Value {
  const affix = argument(args, 0, "prefix");
  const all = affix?.type === "TupleValue" ? (affix.value as Value[]) : [affix];
  return boolean(
    all.some((one) => {
      const text = textOf(one, "startswith or endswith");
      meter.step();
      meter.units(text.length);
      return test(text);
    }),
  );
}

function find(own: Value<string>, args: Arguments, meter: Meter, fromEnd: boolean): number {
  const wanted = textOf(argument(args, 0, "sub"), "find");
  const { value } = own;
  const place = (name: string, i: number, otherwise: number) => {
    const index = argument(args, i, name);
    return index === undefined || isNone(index) ? otherwise : (offsetOf(value, integerOf(index, name)) ?? 0);
  };
  const begin = place("start", 1, 0);
  const within = value.slice(begin, place("end", 2, value.length));
  const at = placeOf(wanted, within, fromEnd ? within.length : 0, meter, fromEnd);
  return at < 0 ? -1 : characterCount(value.slice(0, begin + at), meter);
}

function padded(own: Value<string>, args: Arguments, meter: Meter, side: "left" | "right" | "both"): Value {
  const width = integerOf(argument(args, 0, "width"), "width");
  const filler = argument(args, 1, "fillchar");
  const fill = filler ? textOf(filler, "fillchar") : " ";
  if (characterCount(fill, meter) !== 1) throw new TemplateFault("Expected one character to fill with");
  const room = Math.max(0, width - characterCount(own.value, meter));
  meter.units(room);
  const before = side === "left" ? room : side === "both" ? (room >> 1) + (room & width & 1) : 0;
  const out = new TextBuilder().add(fill.repeat(before)).add(own.value, own.marks);
  out.add(fill.repeat(room - before));
  return written(out, meter);
}

/** First letter large, the others small. */
export const capitalized = (value: string): string => {
  const first = String.fromCodePoint(value.codePointAt(0) ?? 0x20);
  return value === "" ? "" : first.toUpperCase() + value.slice(first.length).toLowerCase();
};

// A letter is large if none stands before it.
const titled = (value: string) => value.replace(/\p{L}+/gu, (word) => capitalized(word));

const isCased = (value: string) => value.toLowerCase() !== value.toUpperCase();
const every =
  (pattern: RegExp): TextMethod =>
  (own) =>
    boolean(pattern.test(own.value));
const mapped =
  (change: (value: string) => string, isSlow = false): TextMethod =>
  (own, _, meter) =>
    changed(own, change, meter, isSlow);

/** Replaces `{}`, `{0}` and `{name}`. Conversions and formats are left out. */
function format(own: Value<string>, { positional, keywords }: Arguments, meter: Meter): Value {
  const out = new TextBuilder();
  let [last, next] = [0, 0];
  for (const found of own.value.matchAll(/\{\{|\}\}|\{(\w*)(?:![rs])?(:[^{}]*)?\}|[{}]/g)) {
    out.add(...marked(part(own, last, found.index)));
    last = found.index + found[0].length;
    const [all, name, style] = found;
    if (name === undefined) {
      if (all.length === 1) throw new TemplateFault(`Single '${all}' encountered in format string`);
      out.add(all[0] as string);
      continue;
    }
    const value = /^\d*$/.test(name) ? positional[name === "" ? next++ : Number(name)] : keywords.get(name);
    if (!value) throw new TemplateFault(`format lacks a value for {${name}}`);
    if (style !== undefined && style !== ":") throw new TemplateFault(`Unsupported format ${style}`);
    out.add(...marked(printed(value, meter)));
    meter.length(out.length);
  }
  out.add(...marked(part(own, last, own.value.length)));
  return written(out, meter);
}

const marked = ({ value, marks = noMarks }: Value<string>) => [value, marks] as const;

/** Texts with `separator` between them. */
export function joinTexts(items: readonly Value[], separator: Value<string>, meter: Meter): Value<string> {
  const out = new TextBuilder();
  items.forEach((item, i) => {
    if (i > 0) out.add(...marked(separator));
    out.add(...marked(printed(item, meter)));
    meter.step();
    meter.length(out.length);
  });
  return written(out, meter);
}

const textMethods: Readonly<Record<string, TextMethod>> = {
  upper: mapped((value) => value.toUpperCase()),
  lower: mapped((value) => value.toLowerCase()),
  casefold: mapped((value) => value.toLowerCase()),
  capitalize: mapped(capitalized),
  title: mapped(titled, true),
  swapcase: mapped(
    (value) => Array.from(value, (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join(""),
    true,
  ),
  strip: (own, args, meter) => stripped(own, argument(args, 0, "chars"), 0, meter),
  lstrip: (own, args, meter) => stripped(own, argument(args, 0, "chars"), -1, meter),
  rstrip: (own, args, meter) => stripped(own, argument(args, 0, "chars"), 1, meter),
  split: (own, args, meter) => split(own, args, meter, false),
  rsplit: (own, args, meter) => split(own, args, meter, true),
  splitlines: (own, _, meter) => {
    const parts = splitBy(own, "\n", { most: -1, fromEnd: false, meter });
    return list(own.value === "" || own.value.endsWith("\n") ? parts.slice(0, -1) : parts);
  },
  partition: (own, args, meter) => partition(own, args, meter, false),
  rpartition: (own, args, meter) => partition(own, args, meter, true),
  replace: replaced,
  startswith: (own, args, meter) => hasAffix(args, meter, (affix) => own.value.startsWith(affix)),
  endswith: (own, args, meter) => hasAffix(args, meter, (affix) => own.value.endsWith(affix)),
  removeprefix: (own, args) => {
    const affix = textOf(argument(args, 0, "prefix"), "removeprefix");
    return own.value.startsWith(affix) ? part(own, affix.length, own.value.length) : own;
  },
  removesuffix: (own, args) => {
    const affix = textOf(argument(args, 0, "suffix"), "removesuffix");
    return affix !== "" && own.value.endsWith(affix) ? part(own, 0, own.value.length - affix.length) : own;
  },
  find: (own, args, meter) => integer(find(own, args, meter, false)),
  rfind: (own, args, meter) => integer(find(own, args, meter, true)),
  index: (own, args, meter) => {
    const at = find(own, args, meter, false);
    if (at < 0) throw new TemplateFault("substring not found");
    return integer(at);
  },
  count: (own, args, meter) => {
    const wanted = textOf(argument(args, 0, "sub"), "count");
    return integer(
      wanted === ""
        ? characterCount(own.value, meter) + 1
        : splitBy(own, wanted, { most: -1, fromEnd: false, meter }).length - 1,
    );
  },
  join: (own, args, meter) => {
    const items = iterate(argument(args, 0, "iterable") ?? none(), meter);
    const odd = items.findIndex((item) => !isText(item));
    if (odd >= 0) throw new TemplateFault(`join: Expected texts, got ${nameOf(items[odd] as Value)}`);
    return joinTexts(items, own, meter);
  },
  format,
  zfill: (own, args, meter) =>
    padded(
      own,
      { positional: [argument(args, 0, "width") ?? none(), text("0")], keywords: new Map() },
      meter,
      "left",
    ),
  rjust: (own, args, meter) => padded(own, args, meter, "left"),
  ljust: (own, args, meter) => padded(own, args, meter, "right"),
  center: (own, args, meter) => padded(own, args, meter, "both"),
  isdigit: every(/^\p{Nd}+$/u),
  isdecimal: every(/^\p{Nd}+$/u),
  isnumeric: every(/^\p{N}+$/u),
  isalpha: every(/^\p{L}+$/u),
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isspace: every(new RegExp(`^[${SPACE}]+$`)),
  isupper: ({ value }) => boolean(isCased(value) && value === value.toUpperCase()),
  islower: ({ value }) => boolean(isCased(value) && value === value.toLowerCase()),
};

const listMethods: Readonly<Record<string, ListMethod>> = {
  append: (own, args) => {
    own.value.push(argument(args, 0, "object") ?? none());
    return none();
  },
  extend: (own, args, { meter }) => {
    const more = iterate(argument(args, 0, "iterable") ?? none(), meter);
    meter.step(own.value.length + more.length);
    own.value = [...own.value, ...more];
    return none();
  },
  insert: (own, args, { meter }) => {
    meter.step(own.value.length);
    own.value.splice(integerOf(args.positional[0], "index"), 0, args.positional[1] ?? none());
    return none();
  },
  pop: (own, args, { meter }) => {
    const at = integerOf(argument(args, 0, "index"), "index", -1);
    meter.step(own.value.length);
    const [taken] = own.value.splice(at, 1);
    if (!taken) throw new TemplateFault("pop index out of range");
    return taken;
  },
  index: (own, args, { meter }) => {
    const wanted = argument(args, 0, "value") ?? none();
    const at = own.value.findIndex((item) => equal(item, wanted, meter));
    if (at < 0) throw new TemplateFault("value is not in list");
    return integer(at);
  },
  count: (own, args, { meter }) => {
    const wanted = argument(args, 0, "value") ?? none();
    return integer(own.value.filter((item) => equal(item, wanted, meter)).length);
  },
  reverse: (own, _, { meter }) => {
    meter.step(own.value.length);
    own.value.reverse();
    return none();
  },
  sort: (own, args, machine) => {
    own.value = machine.filter("sort", own, args).value as Value[];
    return none();
  },
  copy: (own, _, { meter }) => {
    meter.step(own.value.length);
    return list([...own.value]);
  },
  clear: (own) => {
    own.value = [];
    return none();
  },
};

const dictMethods: Readonly<Record<string, DictMethod>> = {
  get: (own, args, meter) => {
    const key = argument(args, 0, "key") ?? none();
    return (
      (isMissing(key) ? undefined : own.value.get(keyOf(key, meter))) ??
      argument(args, 1, "default") ??
      none()
    );
  },
  items: (own) => list(itemsOf(own)),
  keys: (own) => list(keysOf(own)),
  values: (own) => list([...own.value.values()]),
  copy: (own) => copied(own),
  pop: (own, args, meter) => {
    const key = argument(args, 0, "key") ?? none();
    const found = own.value.get(keyOf(key, meter)) ?? argument(args, 1, "default");
    if (!found) throw new TemplateFault(`No key ${isText(key) ? key.value : nameOf(key)}`);
    own.value.delete(keyOf(key, meter));
    return found;
  },
  setdefault: (own, args, meter) => {
    const key = argument(args, 0, "key") ?? none();
    const found = own.value.get(keyOf(key, meter));
    if (found) return found;
    const value = argument(args, 1, "default") ?? none();
    setEntry(own, key, value, meter);
    return value;
  },
  update: (own, args, meter) => {
    const [other] = args.positional;
    if (other && !isDict(other)) throw new TemplateFault(`update: Expected a dict, got ${nameOf(other)}`);
    if (other && isDict(other))
      keysOf(other).forEach((key) => {
        setEntry(own, key, other.value.get(keyOf(key, meter)) as Value, meter);
      });
    for (const [name, value] of args.keywords) own.value.set(name, value);
    return none();
  },
};

function copied(own: Value<Map<Key, Value>>): Value {
  const made = dict(new Map(own.value));
  if (own.isContent) made.isContent = true;
  if (own.keyValues) made.keyValues = new Map(own.keyValues);
  return made;
}
