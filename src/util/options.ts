// Checks that an options object has known names only, so that a mistyped option is an error and not ignored.
import { quoted } from "./bytes.ts";
import { UsageError } from "./errors.ts";
import { nearestName } from "./nearest.ts";

/**
 * Refuses options that nobody reads. An option given as undefined counts too: its name is wrong all the same.
 * @param action what cannot be done with them: "generate", "load"
 * @param options what the caller gave
 * @param known every name that is read
 * @throws UsageError for what is no object, and for an unknown name, with the nearest known one
 */
export function checkOptionNames(action: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const got = options === null ? "null" : Array.isArray(options) ? "an array" : typeof options;
    throw new UsageError(`Cannot ${action}: Expected an object of options, got ${got}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    const hint = nearest === undefined ? `known options: ${known.join(", ")}` : `did you mean ${nearest}?`;
    throw new UsageError(`Cannot ${action}: Unknown option ${quoted(name)}; ${hint}`);
  }
}
