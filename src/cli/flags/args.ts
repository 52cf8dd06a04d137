// Flags of commands: one table for each command, which parser, help, completions and error messages read.
import { UsageError } from "../../util/errors.ts";
import { didYouMean } from "../../util/nearest.ts";

/** Wrong arguments on the command line. */
export class ArgumentError extends UsageError {}

/** One flag of a command; a command is a table of them, which parser and help both read. */
export interface Flag<T> {
  /** As it is written: "--top-k". */
  readonly flag: string;
  /** Other spellings: "-n" and "--predict" of "--max-tokens". */
  readonly aliases?: readonly string[];
  /** What the help calls the value; a flag without one is a switch. */
  readonly valueName?: string;
  /** All values there are, if they are few words. */
  readonly choices?: readonly string[];
  /** Whether the value names a file, which shells can complete. */
  readonly isFile?: boolean;
  /** Whether the flag may be given several times. */
  readonly isList?: boolean;
  /** The option of the library that the flag sets, if its name is not the flag's key in the table. */
  readonly option?: string;
  readonly help: string;
  /** The value that `text` says, after `previous` if the flag was given before. @throws ArgumentError */
  read(text: string, previous: T | undefined): T;
}

/** Flags by the names that the program uses for their values. */
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

/** What a flag may have beside its spelling, value and help. */
export type FlagExtras = Pick<Flag<unknown>, "aliases" | "isFile" | "option">;

/** A flag without value: given or not. */
export function switchFlag(flag: string, help: string, extras: FlagExtras = {}): Flag<boolean> {
  return { flag, help, ...extras, read: () => true };
}

/** `--help`, which every command has. */
export const helpFlag: Flag<boolean> = switchFlag("--help", "print this", { aliases: ["-h"] });

/** A flag whose value is any text but the empty one. */
export function textFlag(
  flag: string,
  valueName: string,
  help: string,
  extras: FlagExtras = {},
): Flag<string> {
  return { flag, valueName, help, ...extras, read: (text) => nonEmpty(flag, valueName, text) };
}

/** A flag that may be given several times. */
export function listFlag(
  flag: string,
  valueName: string,
  help: string,
  extras: FlagExtras = {},
): Flag<string[]> {
  const read = (text: string, previous: string[] = []) => [...previous, nonEmpty(flag, valueName, text)];
  return { flag, valueName, help, isList: true, ...extras, read };
}

/** A flag whose value is one of a few words. */
export function choiceFlag<T extends string>(
  flag: string,
  choices: readonly T[],
  help: string,
  extras: FlagExtras = {},
): Flag<T> {
  const read = (text: string): T => {
    const choice = choices.find((known) => known === text);
    if (choice !== undefined) return choice;
    throw badValue(flag, `one of ${choices.join(", ")}`, text);
  };
  return { flag, valueName: choices.join("|"), choices, help, ...extras, read };
}

/** A flag whose value is a decimal number. */
export function numberFlag(
  flag: string,
  valueName: string,
  help: string,
  interval: Interval,
  extras: FlagExtras = {},
): Flag<number> {
  const syntax = interval.integer ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const read = (text: string): number => {
    const value = syntax.test(text) ? Number(text) : Number.NaN;
    if (!isInside(value, interval)) throw badValue(flag, describe(interval), text);
    return value;
  };
  return { flag, valueName, help, ...extras, read };
}

interface ParsedValues<T> {
  readonly expected: string;
  /** Texts of which errors suggest the nearest. */
  readonly names?: readonly string[];
  parse(text: string): T | undefined;
}

/** A flag whose text stands for a value of any other kind; `parse` gives undefined for a text that stands for none. */
export function parsedFlag<T>(
  flag: string,
  valueName: string,
  help: string,
  { expected, names = [], parse }: ParsedValues<T>,
  extras: FlagExtras = {},
): Flag<T> {
  const read = (text: string): T => {
    const value = parse(text);
    if (value === undefined) throw badValue(flag, expected, text, suggestion(text, names));
    return value;
  };
  return { flag, valueName, help, ...extras, read };
}

/** A flag whose value is a number of bytes: "1000000", "512M", "1.5G" (binary units). */
export function bytesFlag(flag: string, help: string, extras: FlagExtras = {}): Flag<number> {
  const read = (text: string): number => {
    const [, digits, unit = ""] = /^(\d+|\d+\.\d+)([KMG]?)$/i.exec(text) ?? [];
    const bytes = Math.floor(Number(digits) * 1024 ** units.indexOf(unit.toUpperCase()));
    if (!(bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER))
      throw badValue(flag, "bytes such as 512M or 2G", text);
    return bytes;
  };
  return { flag, valueName: "BYTES", help, ...extras, read };
}

/** All spellings of a flag: short ones first, then its own, then other long ones. */
export function spellings({ flag, aliases = [] }: Flag<unknown>): readonly string[] {
  const isShort = (name: string) => !name.startsWith("--");
  return [...aliases.filter(isShort), flag, ...aliases.filter((name) => !isShort(name))];
}

/**
 * Reads a command line: `--flag value`, `--flag=value`, `-n 5`, `-n5`, switches, and operands, which are
 * everything else, "-", and what follows "--". A flag given twice: the last one counts.
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
    const { key, flag, attached } = readFlag(arg, flags);
    let text = attached ?? "";
    if (flag.valueName === undefined) {
      if (attached !== undefined) throw badValue(flag.flag, "no value", attached);
    } else if (attached === undefined) {
      text = nextValue(flag, args[++i], flags);
    }
    values[key] = flag.read(text, values[key]);
  }
  return { values: values as FlagValues<F>, operands };
}

/** The lines of a help text that describe flags. */
export function describeFlags(flags: Flags): string {
  const rows = Object.values(flags).map((flag) => {
    const names = spellings(flag);
    const own = names.indexOf(flag.flag) + 1;
    const usage = names.slice(0, own).join(", ") + (flag.valueName ? ` ${flag.valueName}` : "");
    const others = names.slice(own);
    const also = others.length > 0 ? ` (also ${others.join(", ")})` : "";
    return [usage, flag.help + also] as const;
  });
  const width = Math.max(...rows.map(([usage]) => usage.length));
  return rows.map(([usage, help]) => `  ${usage.padEnd(width)}  ${help}\n`).join("");
}

/** ": did you mean X?" for the known name that `word` resembles, or is the beginning of; else "". */
export function suggestion(word: string, known: readonly string[]): string {
  const near = didYouMean(word, known);
  if (near !== "" || word.length < MIN_PREFIX) return near;
  const longer = known.filter((name) => name.startsWith(word));
  return longer.length === 1 ? `: did you mean ${longer[0]}?` : "";
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
const MIN_PREFIX = 3;
const units = ["", "K", "M", "G"];

interface FoundFlag {
  readonly key: string;
  readonly flag: Flag<unknown>;
  /** The value after "=", or right after a letter. */
  readonly attached: string | undefined;
}

function readFlag(arg: string, flags: Flags): FoundFlag {
  const equals = arg.indexOf("=");
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const found = findFlag(name, flags);
  if (found) return { ...found, attached: equals < 0 ? undefined : arg.slice(equals + 1) };
  const short = attachedValue(arg, name, flags);
  if (short) return short;
  const known = Object.values(flags).flatMap(spellings);
  const near = suggestion(
    name,
    known.filter((spelling) => spelling.startsWith("--")),
  );
  const hint = /\s/.test(arg) ? '; a text that begins with a dash is written after "--"' : near;
  throw new ArgumentError(`Unknown flag ${show(name)}${hint}`);
}

function findFlag(
  name: string,
  flags: Flags,
): { readonly key: string; readonly flag: Flag<unknown> } | undefined {
  const [key, flag] = Object.entries(flags).find(([, flag]) => spellings(flag).includes(name)) ?? [];
  return key !== undefined && flag ? { key, flag } : undefined;
}

/** Reads "-n5". A long flag with only one dash is not read as a letter and its value. */
function attachedValue(arg: string, name: string, flags: Flags): FoundFlag | undefined {
  const found = findFlag(arg.slice(0, 2), flags);
  if (!found || arg.startsWith("--") || found.flag.valueName === undefined) return undefined;
  if (findFlag(`-${name}`, flags)) return undefined;
  const attached = arg.slice(2);
  try {
    found.flag.read(attached, undefined);
  } catch {
    // "-temprature" is an unknown flag, not a number of threads.
    if (!/^[-+.\d]/.test(attached)) return undefined;
  }
  return { ...found, attached };
}

function nextValue(flag: Flag<unknown>, next: string | undefined, flags: Flags): string {
  if (next === undefined) throw new ArgumentError(`Cannot read ${flag.flag}: Expected a value after it`);
  // A value that looks like a flag is more likely a forgotten value. One that really begins so can be attached with "=".
  if (next.startsWith("--") || findFlag(next, flags)) {
    throw new ArgumentError(
      `Cannot read ${flag.flag}: Expected a value after it, got ${show(next)}; ` +
        `a value that begins with dashes is written ${flag.flag}=VALUE`,
    );
  }
  return next;
}

function nonEmpty(flag: string, valueName: string, text: string): string {
  if (text === "") throw badValue(flag, valueName, text);
  return text;
}

function badValue(flag: string, expected: string, got: string, hint = ""): ArgumentError {
  return new ArgumentError(`Cannot read ${flag}: Expected ${expected}, got ${show(got)}${hint}`);
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
