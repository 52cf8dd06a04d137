// Charsmaps for tests: a double-array trie in which every node has 256 units of its own.

export type Rule = readonly [from: string, to: string];

/** A unit of the trie: a label, whether a rule ends at it, and where its children are (offset, to be XORed). */
export function trieUnit(label: number, hasLeaf: boolean, offset: number): number {
  return ((offset << 10) | (hasLeaf ? 1 << 8 : 0) | label) >>> 0;
}

/** The unit of a rule's value. */
export function leafUnit(value: number): number {
  return (value | 0x80000000) >>> 0;
}

/** The bytes of a charsmap of these units and replacements. */
export function charsmapBytes(units: readonly number[], replacements: string | Uint8Array): Uint8Array {
  const texts = typeof replacements === "string" ? new TextEncoder().encode(replacements) : replacements;
  const bytes = new Uint8Array(4 + 4 * units.length + texts.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4 * units.length, true);
  for (const [i, unit] of units.entries()) view.setUint32(4 + 4 * i, unit, true);
  bytes.set(texts, 4 + 4 * units.length);
  return bytes;
}

interface TrieNode {
  readonly children: Map<number, TrieNode>;
  value: number | undefined;
}

/** A charsmap of rules. */
export function writeCharsmap(rules: readonly Rule[]): Uint8Array {
  const utf8 = new TextEncoder();
  const root: TrieNode = { children: new Map(), value: undefined };
  let replacements = "";
  for (const [from, to] of rules) {
    let node = root;
    for (const byte of utf8.encode(from)) {
      const child = node.children.get(byte) ?? { children: new Map(), value: undefined };
      node.children.set(byte, child);
      node = child;
    }
    node.value = utf8.encode(replacements).length;
    replacements += `${to}\0`;
  }
  const units = [0];
  const place = (node: TrieNode, unit: number, label: number) => {
    const base = Math.ceil(units.length / 256) * 256;
    while (units.length < base + 256) units.push(0x80000000);
    units[unit] = trieUnit(label, node.value !== undefined, unit ^ base);
    if (node.value !== undefined) units[base] = leafUnit(node.value);
    for (const [byte, child] of node.children) place(child, base ^ byte, byte);
  };
  place(root, 0, 0);
  return charsmapBytes(units, replacements);
}
