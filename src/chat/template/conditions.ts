// Tests of templates: what may stand behind `is`.
import { filterNamed } from "./filters.ts";
import { type Meter, TemplateFault } from "./limits.ts";
import { contains } from "./operators.ts";
import {
  compare,
  equal,
  integerOf,
  isDict,
  isList,
  isMissing,
  isNone,
  isNumber,
  isText,
  nameOf,
  numeric,
  type Value,
} from "./values.ts";

type Condition = (value: Value, args: readonly Value[], meter: Meter) => boolean;

/** The test of a name, or undefined. */
export function testNamed(name: string): Condition | undefined {
  return Object.hasOwn(conditions, name) ? conditions[name] : undefined;
}

const first = (args: readonly Value[]): Value => {
  const [value] = args;
  if (value === undefined) throw new TemplateFault("Expected a value to test against, got none");
  return value;
};
const eq: Condition = (value, args, meter) => equal(value, first(args), meter);
const order =
  (holds: (order: number) => boolean): Condition =>
  (value, args, meter) =>
    holds(compare(value, first(args), meter));
const isCased = (value: Value, to: (text: string) => string) => {
  const { value: shown } = value;
  return (
    isText(value) && shown === to(shown as string) && value.value.toLowerCase() !== value.value.toUpperCase()
  );
};
const parity =
  (odd: number): Condition =>
  (value) => {
    const n = numeric(value);
    if (n === undefined) throw new TemplateFault(`${nameOf(value)} is neither odd nor even`);
    return Math.abs(n % 2) === odd;
  };
const isIterable: Condition = (value) =>
  isText(value) || isList(value) || isMissing(value) || value.type === "ObjectValue";
const isInteger: Condition = (value) => value.type === "IntegerValue";

const conditions: Readonly<Record<string, Condition>> = {
  defined: (value) => !isMissing(value),
  undefined: isMissing,
  none: isNone,
  boolean: (value) => value.type === "BooleanValue",
  true: (value) => value.type === "BooleanValue" && value.value === true,
  false: (value) => value.type === "BooleanValue" && value.value === false,
  string: isText,
  number: (value) => numeric(value) !== undefined,
  integer: isInteger,
  float: (value) => value.type === "FloatValue",
  mapping: (value) => isDict(value) && value.type !== "NamespaceValue",
  iterable: isIterable,
  sequence: isIterable,
  callable: (value) => value.type === "FunctionValue",
  odd: parity(1),
  even: parity(0),
  divisibleby: (value, args) => {
    const by = integerOf(first(args), "divisibleby");
    if (by === 0) throw new TemplateFault("division by zero");
    return integerOf(value, "divisibleby") % by === 0;
  },
  lower: (value) => isCased(value, (text) => text.toLowerCase()),
  upper: (value) => isCased(value, (text) => text.toUpperCase()),
  // What JSON gives has no identity: equal values of one type are the same.
  sameas: (value, args, meter) => {
    const other = first(args);
    const isPlain = isText(value) || isNumber(value) || isNone(value) || value.type === "BooleanValue";
    return value === other || (isPlain && value.type === other.type && equal(value, other, meter));
  },
  in: (value, args, meter) => contains(first(args), value, meter),
  eq,
  equalto: eq,
  "==": eq,
  ne: (value, args, meter) => !equal(value, first(args), meter),
  "!=": (value, args, meter) => !equal(value, first(args), meter),
  lt: order((n) => n < 0),
  lessthan: order((n) => n < 0),
  "<": order((n) => n < 0),
  le: order((n) => n <= 0),
  "<=": order((n) => n <= 0),
  gt: order((n) => n > 0),
  greaterthan: order((n) => n > 0),
  ">": order((n) => n > 0),
  ge: order((n) => n >= 0),
  ">=": order((n) => n >= 0),
  test: (value) => isText(value) && testNamed(value.value) !== undefined,
  filter: (value) => isText(value) && filterNamed(value.value) !== undefined,
  // Nothing is: templates write text, not HTML.
  escaped: () => false,
};
