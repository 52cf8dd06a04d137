// Counts and orders texts by their code points.

/** Orders well-formed texts by code points, which is the order of their UTF-8; `<` orders by UTF-16 units. */
export function compareCodePoints(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates after all other units. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Entries with the largest count first, equal ones by code points. */
export function sortedByCount(counts: Iterable<[string, number]>): [text: string, count: number][] {
  return [...counts].sort(([a, m], [b, n]) => n - m || compareCodePoints(a, b));
}

export function addCount(counts: Map<string, number>, key: string, n: number): void {
  counts.set(key, (counts.get(key) ?? 0) + n);
}

const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A copy of a well-formed text that does not keep alive what it was cut from, as slices do in some engines. */
export function detached(text: string): string {
  return utf8Decoder.decode(utf8.encode(text));
}
