// Lower case and case folding of single characters, from tables of our own: runtimes have different ones.
import { signed } from "./packed_numbers.ts";
import { joined, openTable, type TableReader } from "./table_reader.ts";
import { CASE_FOLDING, LOWER_CASE } from "./unicode.gen.ts";

let lowerCase: Map<number, number> | undefined;
let foldings: Map<number, number> | undefined;
let variants: Map<number, number[]> | undefined;

/**
 * Lower case of a character, whatever stands around it, in Unicode 17.0. U+0130 becomes two characters, and is
 * given as it is.
 */
export function lowerCaseOf(character: number): number {
  lowerCase ??= new Map(readMapping(openTable(LOWER_CASE)));
  return lowerCase.get(character) ?? character;
}

/** Simple case folding of a character: one for one (CaseFolding.txt, statuses C and S), in Unicode 16.0. */
export function foldCaseOf(character: number): number {
  foldings ??= new Map(readMapping(openTable(CASE_FOLDING)));
  return foldings.get(character) ?? lowerCaseOf(character);
}

/** All characters that fold to the same, `character` among them. */
export function caseVariantsOf(character: number): readonly number[] {
  variants ??= allVariants();
  return variants.get(foldCaseOf(character)) ?? [character];
}

function allVariants(): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const packed of [LOWER_CASE, CASE_FOLDING]) {
    for (const [character] of readMapping(openTable(packed))) {
      const folded = foldCaseOf(character);
      const same = found.get(folded) ?? [folded];
      if (!same.includes(character)) same.push(character);
      found.set(folded, same);
    }
  }
  return found;
}

/** A character and the same one in the other case, for those that are lower case of one other. */
export function otherCases(
  pairs: Iterable<readonly [number, number]> = readMapping(openTable(LOWER_CASE)),
): Map<number, number> {
  const found = new Map<number, number>();
  for (const [from, to] of pairs) {
    found.set(from, to);
    if (!found.has(to)) found.set(to, from);
  }
  return found;
}

/** Runs of gap, twice the number of characters (and 1 more for every other one), difference. Two zeros end it. */
export function* readMapping(reader: TableReader): Generator<[from: number, to: number]> {
  let gap = 0;
  let size = 0;
  let difference = 0;
  let next = 0;
  for (;;) {
    gap = reader.next(0, gap, size, joined(gap, size), difference);
    size = reader.next(1, gap, size, joined(gap, difference), difference);
    if (size === 0) return;
    difference = reader.next(2, size, difference, joined(gap, size), joined(joined(gap, size), difference));
    next += gap;
    for (let n = size >> 1; n > 0; n--) {
      yield [next, next + signed(difference)];
      next += n > 1 ? 1 + (size % 2) : 1;
    }
  }
}
