// Finds symbols in a text, the longest at each position: a trie of the symbols.
import { FormatError } from "../../util/errors.ts";

/**
 * Most UTF-16 units of all user-defined symbols, or of all control tokens, together. Real vocabularies
 * have a few thousand; the index holds several words a unit.
 */
export const MAX_SYMBOL_UNITS = 1 << 22;

/** No symbol, no node. */
const NONE = -1;

/** A symbol to find and the id it stands for. */
export type NamedSymbol = readonly [text: string, id: number];

/**
 * Finds, for every position of a text, the longest of a set of symbols that begins there, in time linear
 * in the text whatever the symbols are: an Aho-Corasick automaton of the reversed symbols, run over the
 * text from its end.
 *
 * Source: Aho and Corasick, "Efficient string matching", CACM 18(6), 1975.
 */
export class SymbolMatcher {
  /** Node reached from node `key >>> 16` with unit `key & 0xffff`, keys as doubles. Node 0 is the root. */
  readonly #children = new Map<number, number>();
  /** Whether some symbol ends with a unit. */
  readonly #lastUnits = new Uint8Array(0x10000);
  /** The node of the longest proper suffix, by node. */
  readonly #fail: number[] = [0];
  /** Id of the longest symbol that ends at a node, by node. */
  readonly #found: number[] = [NONE];

  /**
   * @param symbols empty ones are ignored; of equal ones the first counts
   * @throws FormatError above {@link MAX_SYMBOL_UNITS}
   */
  constructor(symbols: readonly NamedSymbol[]) {
    const units = symbols.reduce((sum, [text]) => sum + text.length, 0);
    if (units > MAX_SYMBOL_UNITS) {
      throw new FormatError(
        `Cannot build tokenizer: Expected symbols of at most ${MAX_SYMBOL_UNITS} characters in all, got ${units}`,
      );
    }
    this.#build(symbols.filter(([text]) => text !== ""));
  }

  /** The id of the longest symbol at each UTF-16 position of `text`, -1 if none begins. */
  match(text: string): Int32Array {
    const ids = new Int32Array(text.length);
    let node = 0;
    for (let i = text.length - 1; i >= 0; i--) {
      node = this.#step(node, text.charCodeAt(i));
      ids[i] = this.#found[node] as number;
    }
    return ids;
  }

  /** The same for the first `n` of UTF-16 units. */
  matchUnits(units: Uint16Array, n: number): Int32Array {
    const ids = new Int32Array(n);
    let node = 0;
    for (let i = n - 1; i >= 0; i--) {
      node = this.#step(node, units[i] as number);
      ids[i] = this.#found[node] as number;
    }
    return ids;
  }

  /** Level by level, so that the nodes a new one fails to and inherits from are complete. */
  #build(symbols: readonly NamedSymbol[]): void {
    for (const [text] of symbols) this.#lastUnits[text.charCodeAt(text.length - 1)] = 1;
    let open = symbols.map(([text, id]) => ({ text, id, node: 0 }));
    for (let depth = 1; open.length > 0; depth++) {
      for (const symbol of open) {
        symbol.node = this.#child(symbol.node, symbol.text.charCodeAt(symbol.text.length - depth));
      }
      const ends = open.filter(({ text }) => text.length === depth);
      for (const { node, id } of ends.reverse()) this.#found[node] = id;
      open = open.filter(({ text }) => text.length > depth);
    }
  }

  #child(node: number, unit: number): number {
    const existing = this.#children.get(childKey(node, unit));
    if (existing !== undefined) return existing;
    const child = this.#fail.length;
    const fail = node === 0 ? 0 : this.#step(this.#fail[node] as number, unit);
    this.#fail.push(fail);
    this.#found.push(this.#found[fail] as number);
    this.#children.set(childKey(node, unit), child);
    return child;
  }

  #step(from: number, unit: number): number {
    // Most units of a text are no symbol's last one.
    if (from === 0 && this.#lastUnits[unit] === 0) return 0;
    let node = from;
    for (;;) {
      const child = this.#children.get(childKey(node, unit));
      if (child !== undefined) return child;
      if (node === 0) return 0;
      node = this.#fail[node] as number;
    }
  }
}

function childKey(node: number, unit: number): number {
  return node * 0x10000 + unit;
}
