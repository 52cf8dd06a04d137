// Slow twin of src/tokenizer/byte_level/: words by a regular expression, then one scan of the word for each merge.

// Unicode's White_Space. JavaScript's \s has U+FEFF and lacks U+0085.
const S = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

// U+017F is the other "s" where case is ignored.
const anyCase = "'(?:[sSſtTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])";

/** The published split patterns, by the names that GGUF files give them. */
export const splitPatterns = {
  "gpt-2": new RegExp(
    `'(?:[stmd]|re|ve|ll)| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|[${S}]+(?![^${S}])|[${S}]+`,
    "gu",
  ),
  "llama-bpe": new RegExp(
    `${anyCase}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n]*|[${S}]*[\\r\\n]+|` +
      `[${S}]+(?![^${S}])|[${S}]+`,
    "gu",
  ),
} as const;

export type SplitName = keyof typeof splitPatterns;

/** Bytes as a key of maps. */
export function keyOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/**
 * The rank of each pair of neighbours that may be merged, the lowest first, as "left right" of keys. A rank file
 * merges what is a token; a list of merges says which pairs it takes.
 */
export type PairRank = (left: string, right: string) => number | undefined;

/** The merges of a rank file: two neighbours whose bytes together are a token. */
export function rankFilePairs(tokens: readonly Uint8Array[]): PairRank {
  const ranks = new Map(tokens.map((token, rank) => [keyOf(token), rank]));
  return (left, right) => ranks.get(left + right);
}

/** The parts that a word is merged into. */
export function mergeBytes(word: string, rank: PairRank): string[] {
  const parts = [...word];
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 1; i < parts.length; i++) {
      const found = rank(parts[i - 1] as string, parts[i] as string);
      if (found === undefined || found >= bestRank) continue;
      best = i;
      bestRank = found;
    }
    if (best < 0) return parts;
    parts.splice(best - 1, 2, `${parts[best - 1]}${parts[best]}`);
  }
}

/** The ids of a text: its words by the pattern, their bytes merged. */
export function encodeByteBpe(
  text: string,
  { pattern, ids, rank }: { pattern: SplitName; ids: ReadonlyMap<string, number>; rank: PairRank },
): number[] {
  return (text.toWellFormed().match(splitPatterns[pattern]) ?? []).flatMap((word) => {
    const bytes = keyOf(new TextEncoder().encode(word));
    return mergeBytes(bytes, rank).map((part) => ids.get(part) as number);
  });
}
