// Reads single values of config.json.
import type { JsonValue } from "../../tokenizer/huggingface/json.ts";

/** Largest integer of a configuration. */
export const MAX_INTEGER: number = 2 ** 31 - 1;

/** The value of a key; undefined if it is absent or null. */
export function optional(json: JsonValue, key: string): JsonValue | undefined {
  const value = json.get(key);
  return value.isNull ? undefined : value;
}

/** A finite number of at least `min`; with the least there is, one above 0. @throws FormatError */
export function real(json: JsonValue, min: number): number {
  const { value } = json;
  if (typeof value === "number" && value >= min && Number.isFinite(value)) return value;
  throw json.expected(min > 0 && min < 1 ? "a number above 0" : `a number of at least ${min}`);
}
