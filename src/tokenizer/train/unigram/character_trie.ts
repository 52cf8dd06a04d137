// A trie of pieces by their characters, in one hash table.

/** No piece, no node. */
export const NONE = -1;

/** Share of the hash table that is filled at most. */
const LOAD = 0.5;

/** Finds, for every character of a word, the pieces that begin there: a trie in one hash table. */
export class PieceTrie {
  /** By slot: the node and character that lead to a node, and that node. */
  readonly #nodes: Int32Array;
  readonly #characters: Int32Array;
  readonly #children: Int32Array;
  /** The piece that ends at each node, or NONE. */
  readonly #pieces: Int32Array;
  #nodeCount = 1;

  /** @param pieces different ones, as numbers of characters; the number of a piece is its place in the list */
  constructor(pieces: readonly Int32Array[]) {
    const most = pieces.reduce((sum, piece) => sum + piece.length, 1);
    let slots = 1;
    while (slots * LOAD < most) slots *= 2;
    this.#nodes = new Int32Array(slots).fill(NONE);
    this.#characters = new Int32Array(slots);
    this.#children = new Int32Array(slots).fill(NONE);
    this.#pieces = new Int32Array(most).fill(NONE);
    for (const [number, piece] of pieces.entries()) this.#insert(piece, number);
  }

  /** Follows a character from a node, the first being 0; NONE if no piece goes on so. */
  next(node: number, character: number): number {
    return this.#children[this.#slot(node, character)] as number;
  }

  /** The piece that ends at a node, or NONE. */
  pieceAt(node: number): number {
    return this.#pieces[node] as number;
  }

  #insert(piece: Int32Array, number: number): void {
    let node = 0;
    for (const character of piece) node = this.#child(node, character);
    this.#pieces[node] = number;
  }

  #child(node: number, character: number): number {
    const slot = this.#slot(node, character);
    if (this.#nodes[slot] === NONE) {
      this.#nodes[slot] = node;
      this.#characters[slot] = character;
      this.#children[slot] = this.#nodeCount++;
    }
    return this.#children[slot] as number;
  }

  /** The slot of a transition, or a free one, whose child is NONE. */
  #slot(node: number, character: number): number {
    const mask = this.#nodes.length - 1;
    const mixed = Math.imul(node, 0x9e3779b1) ^ Math.imul(character, 0x85ebca6b);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    while (
      this.#nodes[slot] !== NONE &&
      (this.#nodes[slot] !== node || this.#characters[slot] !== character)
    ) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
