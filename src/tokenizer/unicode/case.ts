// Lower case and case folding of single characters, from tables of our own: runtimes have different ones.
import { readNumbers, signed } from "./packed_numbers.ts";
import { CASE_FOLDING, LOWER_CASE } from "./unicode.gen.ts";

let lowerCase: Map<number, number> | undefined;
let foldings: Map<number, number> | undefined;
let variants: Map<number, number[]> | undefined;

/**
 * Lower case of a character, whatever stands around it, in Unicode 17.0. U+0130 becomes two characters, and is
 * given as it is.
 */
export function lowerCaseOf(character: number): number {
  lowerCase ??= new Map(readMapping(LOWER_CASE));
  return lowerCase.get(character) ?? character;
}

/** Simple case folding of a character: one for one (CaseFolding.txt, statuses C and S), in Unicode 16.0. */
export function foldCaseOf(character: number): number {
  foldings ??= new Map(readMapping(CASE_FOLDING));
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
    for (const [character] of readMapping(packed)) {
      const folded = foldCaseOf(character);
      const same = found.get(folded) ?? [folded];
      if (!same.includes(character)) same.push(character);
      found.set(folded, same);
    }
  }
  return found;
}

/** Runs of gap, twice the number of characters (and 1 more for every other one), difference. */
function* readMapping(packed: string): Generator<[from: number, to: number]> {
  const runs = readNumbers(packed);
  let next = 0;
  for (let i = 0; i < runs.length; i += 3) {
    const [gap, size, difference] = runs.slice(i, i + 3) as [number, number, number];
    const step = 1 + (size % 2);
    next += gap;
    for (let n = size >> 1; n > 0; n--) {
      yield [next, next + signed(difference)];
      next += n > 1 ? step : 1;
    }
  }
}
