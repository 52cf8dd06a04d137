import { UsageError } from "../util/errors.ts";
import { didYouMean } from "../util/nearest.ts";

/** Wrong arguments on the command line. */
export class ArgumentError extends UsageError {}

/** One flag of a command; a command is a table of them, which parser and help both read. */
export interface Flag<T> {
  /** As it is written: "--top-k". */
  readonly flag: string;
  /** A second spelling: "-h". */
  readonly short?: string;
  /** What the help calls the value; a flag without one is a switch. */
  readonly valueName?: string;
  readonly help: string;
  /** The value that `text` says, after `previous` where the flag was given before. @throws ArgumentError */
  read(text: string, previous: T | undefined): T;
}

/** Flags under the names that the program knows their values by. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** What a command line says: a value for each flag given. */
export type FlagValues<F extends Flags> = {
  -readonly [K in keyof F]?: F[K] extends Flag<infer T> ? T : never;
};

/** An interval of numbers; the ends belong to it unless `exclusiveMin`. */
export interface Interval {
  readonly integer: boolean;
  readonly min: number;
  readonly max: number;
  readonly exclusiveMin?: boolean;
}

/** A flag without value: given or not. */
export function switchFlag(flag: string, help: string, short?: string): Flag<boolean> {
  return { flag, help, read: () => true, ...(short && { short }) };
}

/** A flag whose value is any text but the empty one. */
export function textFlag(flag: string, valueName: string, help: string): Flag<string> {
  return { flag, valueName, help, read: (text) => nonEmpty(flag, valueName, text) };
}

/** A flag that may be given several times. */
export function listFlag(flag: string, valueName: string, help: string): Flag<string[]> {
  const read = (text: string, previous: string[] = []) => [...previous, nonEmpty(flag, valueName, text)];
  return { flag, valueName, help, read };
}

/** A flag whose value is one of a few words. */
export function choiceFlag<T extends string>(flag: string, choices: readonly T[], help: string): Flag<T> {
  const read = (text: string): T => {
    const choice = choices.find((known) => known === text);
    if (choice === undefined) throw badValue(flag, `one of ${choices.join(", ")}`, text);
    return choice;
  };
  return { flag, valueName: choices.join("|"), help, read };
}

/** A flag whose value is a decimal number. */
export function numberFlag(flag: string, valueName: string, help: string, interval: Interval): Flag<number> {
  const syntax = interval.integer ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const read = (text: string): number => {
    const value = syntax.test(text) ? Number(text) : Number.NaN;
    if (!isInside(value, interval)) throw badValue(flag, describe(interval), text);
    return value;
  };
  return { flag, valueName, help, read };
}

/** A flag whose value is a number of bytes: "1000000", "512M", "1.5G" (binary units). */
export function bytesFlag(flag: string, help: string): Flag<number> {
  const read = (text: string): number => {
    const [, digits, unit = ""] = /^(\d+|\d+\.\d+)([KMG]?)$/i.exec(text) ?? [];
    const bytes = Math.floor(Number(digits) * 1024 ** units.indexOf(unit.toUpperCase()));
    if (!(bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER))
      throw badValue(flag, "bytes such as 512M or 2G", text);
    return bytes;
  };
  return { flag, valueName: "BYTES", help, read };
}

/**
 * Reads a command line: `--flag value`, `--flag=value`, switches, and operands, which are everything else,
 * "-", and what follows "--". A flag given twice: the last one counts.
 * @throws ArgumentError for unknown flags and values that cannot be read
 */
export function parseArgs<F extends Flags>(
  args: readonly string[],
  flags: F,
): { values: FlagValues<F>; operands: string[] } {
  const values: Record<string, unknown> = {};
  const operands: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === "--") {
      operands.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      operands.push(arg);
      continue;
    }
    const [name, attached] = splitArg(arg);
    const [key, flag] = findFlag(name, flags);
    let text = attached ?? "";
    if (flag.valueName === undefined) {
      if (attached !== undefined) throw badValue(flag.flag, "no value", attached);
    } else if (attached === undefined) {
      text = nextValue(flag, args[++i]);
    }
    values[key] = flag.read(text, values[key]);
  }
  return { values: values as FlagValues<F>, operands };
}

function splitArg(arg: string): [name: string, value: string | undefined] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function findFlag(name: string, flags: Flags): [key: string, flag: Flag<unknown>] {
  const found = Object.entries(flags).find(([, { flag, short }]) => name === flag || name === short);
  if (found) return found;
  const known = Object.values(flags).map(({ flag }) => flag);
  throw new ArgumentError(`Unknown flag ${show(name)}${didYouMean(name, known)}`);
}

function nextValue(flag: Flag<unknown>, next: string | undefined): string {
  if (next === undefined) throw new ArgumentError(`Cannot read ${flag.flag}: Expected a value after it`);
  // More likely a forgotten value than one that begins so; such a one can be attached with "=".
  if (next.startsWith("--")) {
    throw new ArgumentError(
      `Cannot read ${flag.flag}: Expected a value after it, got ${show(next)}; ` +
        `a value that begins with dashes is written ${flag.flag}=VALUE`,
    );
  }
  return next;
}

/** The lines of a help text that describe flags. */
export function describeFlags(flags: Flags): string {
  const rows = Object.values(flags).map(({ flag, short, valueName, help }) => {
    const usage = `${short ? `${short}, ` : ""}${flag}${valueName ? ` ${valueName}` : ""}`;
    return [usage, help] as const;
  });
  const width = Math.max(...rows.map(([usage]) => usage.length));
  return rows.map(([usage, help]) => `  ${usage.padEnd(width)}  ${help}\n`).join("");
}

/** An argument as messages quote it: on one line, and not endless. */
export function show(text: string): string {
  if (text === "") return "nothing";
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return oneLine(short);
}

/** A text with its control characters spelled out, so that it can neither break a line nor move a cursor. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

const MAX_SHOWN = 60;
const units = ["", "K", "M", "G"];

function nonEmpty(flag: string, valueName: string, text: string): string {
  if (text === "") throw badValue(flag, valueName, text);
  return text;
}

function badValue(flag: string, expected: string, got: string): ArgumentError {
  return new ArgumentError(`Cannot read ${flag}: Expected ${expected}, got ${show(got)}`);
}

function isInside(value: number, { integer, min, max, exclusiveMin }: Interval): boolean {
  if (integer && !Number.isSafeInteger(value)) return false;
  // Comparisons with NaN are false.
  return Number.isFinite(value) && value <= max && (exclusiveMin ? value > min : value >= min);
}

function describe({ integer, min, max, exclusiveMin }: Interval): string {
  const kind = integer ? "an integer" : "a number";
  const bounded = max < (integer ? Number.MAX_SAFE_INTEGER : Number.MAX_VALUE);
  if (bounded) return `${kind} in ${exclusiveMin ? "(" : "["}${min}, ${max}]`;
  if (min === Number.NEGATIVE_INFINITY) return kind;
  return `${kind} ${exclusiveMin ? ">" : "≥"} ${min}`;
}
