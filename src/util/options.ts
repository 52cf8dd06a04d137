// Checks options objects: known names only (a mistyped option is an error), and values of the right type. One rule for
// all: undefined stands for the default, null is refused.
import { quoted } from "./bytes.ts";
import { describeValue } from "./describe.ts";
import { UsageError } from "./errors.ts";
import { nearestName } from "./nearest.ts";

/**
 * Refuses options that nothing reads. An option given as undefined is refused too: its name is wrong all the same.
 * @param action what cannot be done with them: "generate", "load"
 * @param options what the caller gave
 * @param known every name that is read
 * @throws UsageError for anything else than an object, and for an unknown name, with the nearest known one
 */
export function checkOptionNames(action: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new UsageError(`Cannot ${action}: Expected an object of options, got ${describeValue(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    const hint = nearest === undefined ? `known options: ${known.join(", ")}` : `did you mean ${nearest}?`;
    throw new UsageError(`Cannot ${action}: Unknown option ${quoted(name)}; ${hint}`);
  }
}

/**
 * The names of an options type, as a table. A table that lacks an option or has one too many does not compile: a new
 * option cannot be forgotten here.
 */
export type OptionNames<T> = { readonly [Name in keyof Required<T>]: true };

/**
 * As {@link checkOptionNames}, with names from the table of the options' type.
 * @throws UsageError for anything else than an object, and for an unknown name, with the nearest known one
 */
export function checkOptions<T>(action: string, options: unknown, names: OptionNames<T>): void {
  checkOptionNames(action, options, Object.keys(names));
}

/** The error of an option with a wrong value: "Cannot generate: Expected maxTokens to be an integer, got null". */
export function wrongOption(action: string, name: string, expected: string, value: unknown): UsageError {
  return new UsageError(`Cannot ${action}: Expected ${name} to be ${expected}, got ${describeValue(value)}`);
}

/** @throws UsageError if `value` is neither undefined nor a boolean */
export function checkBoolean(action: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") {
    throw wrongOption(action, name, "true or false", value);
  }
}

/** @throws UsageError if `value` is neither undefined nor a function */
export function checkFunction(action: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw wrongOption(action, name, "a function", value);
  }
}

/** @throws UsageError if `value` is neither undefined nor an AbortSignal, of this realm or another */
export function checkSignal(action: string, value: unknown): void {
  if (value === undefined) return;
  const { aborted, throwIfAborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  const methods = [throwIfAborted, addEventListener];
  if (typeof aborted === "boolean" && methods.every((method) => typeof method === "function")) return;
  throw wrongOption(action, "signal", "an AbortSignal", value);
}
