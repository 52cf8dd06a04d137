// Slow twin of src/tokenizer/train/merges.ts: all pairs are counted anew for every merge.

/** Words and how often each occurs. */
export type Words = Record<string, number>;

/** The pieces in the order in which they are learned. Neighbours alike are counted two by two. */
export function learnAnew(words: Words, limit: number): string[] {
  const split = Object.entries(words).map(([word, n]) => ({ parts: Array.from(word), n }));
  const learned: string[] = [];
  while (learned.length < limit) {
    const counts = new Map<string, number>();
    for (const { parts, n } of split) {
      for (let i = 1, overlaps = false; i < parts.length; i++) {
        overlaps = !overlaps && i > 1 && parts[i] === parts[i - 1] && parts[i - 1] === parts[i - 2];
        const key = `${parts[i - 1]} ${parts[i]}`;
        if (!overlaps) counts.set(key, (counts.get(key) ?? 0) + n);
      }
    }
    const [best] = [...counts].sort(
      ([a, m], [b, n]) => n - m || a.length - b.length || (text(a) < text(b) ? -1 : 1),
    );
    if (!best) break;
    const [left, right] = best[0].split(" ");
    learned.push(text(best[0]));
    for (const word of split) {
      const merged: string[] = [];
      for (let i = 0; i < word.parts.length; i++) {
        const both = word.parts[i] === left && word.parts[i + 1] === right;
        merged.push(both ? `${left}${right}` : (word.parts[i] as string));
        if (both) i++;
      }
      word.parts = merged;
    }
  }
  return learned;
}

function text(pair: string): string {
  return pair.replace(" ", "");
}
