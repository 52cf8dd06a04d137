// The one way to show a value in an error message.
import { quoted } from "./bytes.ts";

/** A value of any type as error messages show it: on one line, and not endless. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" || typeof value === "symbol" ? `a ${typeof value}` : String(value);
}
