// Finds the known name that a mistyped one most likely meant.

/** ": did you mean X?" when `word` is nearly one of `known`, else "". Case, "-" and "_" do not count. */
export function didYouMean(word: string, known: readonly string[]): string {
  const best = nearestName(word, known);
  return best === undefined ? "" : `: did you mean ${best}?`;
}

/**
 * The first name among `known` of which `word` is the first words ("Q4_K" of "Q4_K_M"), else the one that differs from `word` by the fewest edits, else the only one that it shortens ("temp",
 * "ctx"); undefined when none is near.
 */
export function nearestName(word: string, known: readonly string[]): string | undefined {
  const plain = plainName(word);
  const begun = (name: string) =>
    /[-_]/.test(name[word.length] ?? "") && name.slice(0, word.length).toLowerCase() === word.toLowerCase();
  if (plain.length > 1 && !known.some((name) => plainName(name) === plain)) {
    const longer = known.find(begun);
    if (longer !== undefined) return longer;
  }
  let best: string | undefined;
  let least = Math.max(1, Math.floor(plain.length / 4)) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain, plainName(candidate));
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  if (best !== undefined) return best;
  // If several names begin alike, it cannot be told which was meant.
  const alike = known.filter((candidate) => {
    const name = plainName(candidate);
    return shortens(plain, name) || (plain.length >= 4 && name.startsWith(plain.slice(0, 4)));
  });
  const [only] = alike;
  return alike.length === 1 && shortens(plain, plainName(only as string)) ? only : undefined;
}

/** Whether `word` is `name` with letters left out, but not the first. */
function shortens(word: string, name: string): boolean {
  if (word.length < 3 || word[0] !== name[0]) return false;
  let found = 0;
  for (const letter of name) if (letter === word[found]) found++;
  return found === word.length;
}

/** A name without case and word marks: "max_tokens", "--max-tokens" and "maxTokens" are one. */
function plainName(name: string): string {
  return name.slice(0, MAX_NAME).replace(/[-_]/g, "").toLowerCase();
}

// Longer than any option's name: a hostile word costs no more time than this.
const MAX_NAME = 64;

/** Levenshtein's distance; infinite between words of very different length. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
