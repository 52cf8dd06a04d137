// Scripts as the trainers know them: those of Unicode 14.0, whatever came later.
import { PackedSet } from "../../unicode/packed_numbers.ts";
import { scriptOf as laterScriptOf, scriptStarts } from "../../unicode/properties.ts";
import { SINCE_15 } from "../../unicode/unicode.gen.ts";

/** Code points that are not assigned in Unicode 14.0. */
export const UNASSIGNED = "Zzzz";

let later: PackedSet | undefined;

function since15(): PackedSet {
  later ??= new PackedSet(SINCE_15);
  return later;
}

/** The script of a code point, 0 to 0x10FFFF, by its four letters. */
export function scriptOf(codePoint: number): string {
  return since15().has(codePoint) ? UNASSIGNED : laterScriptOf(codePoint);
}

/**
 * The code points that Unicode 14.0 assigns, without surrogates and private use, as runs of one script:
 * [start, end).
 */
export function assignedRuns(): [start: number, end: number][] {
  const starts = new Set([...scriptStarts(), ...since15().runs().flat()]);
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted
    .map((start, i): [number, number] => [start, sorted[i + 1] ?? 0x110000])
    .filter(([start]) => scriptOf(start) !== UNASSIGNED);
}
