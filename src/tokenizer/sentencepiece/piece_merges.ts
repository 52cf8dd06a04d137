// What core/merger.ts must know about a SentencePiece vocabulary: its tokens and the order of merges.
import { extendHash, tableSize } from "../byte_level/byte_vocabulary.ts";
import { LONGEST, type MergeRule, type MergeTokens, NO_RANK } from "../core/merger.ts";
import { PairCache } from "../core/pair_cache.ts";
import { TokenType } from "../core/vocabulary_data.ts";
import { NONE, PieceTrie, ROOT } from "./piece_trie.ts";
import { codePointAt, type FlatPieces, flatten, idsOfTypes, type ScoredPieces } from "./segmenter.ts";

/**
 * The pieces of a vocabulary that characters are merged into, and which two merge: any two symbols that make a piece
 * together, the best score first, and then a merge is the id that it makes; or those of a list, the first pair
 * first, and then it is the place in the list.
 */
export class PieceMerges implements MergeTokens<Uint16Array>, MergeRule {
  /** Number of pieces: a character that is none is the symbol `size` + its code point. */
  readonly size: number;
  readonly flat: FlatPieces;
  /** Ids of the pieces that merging may make. */
  readonly mergeable: Int32Array;
  /** The symbol of each character that is one unit. */
  readonly characters: Int32Array;
  readonly lengths = new Int32Array(LONGEST);
  walked = 0;
  /**
   * The pair that makes an unused piece, for those met so far. It is always the same: until a merge goes
   * over an end of a piece's text, which then never becomes that piece, merging inside it does not depend
   * on what is around it.
   */
  readonly splits = new Map<number, readonly [left: number, right: number]>();
  readonly #trie: PieceTrie;
  readonly #types: ArrayLike<number>;
  /** Place of each merge in the order, first 0, and the id that it makes. */
  readonly #ranks: Uint32Array;
  readonly #results: Int32Array;
  readonly #list: Map<number, number> | undefined;
  readonly #pairs = new PairCache();
  /**
   * For each piece the hash of its units, and the factor for the hash of the units before it. Product and hash together
   * are the hash of all.
   */
  readonly #hashes: Int32Array;
  /** A Bloom filter of the pieces that merging may make: it rules most pairs out at once. */
  readonly #made: Uint8Array;
  /** What the last walk found. */
  readonly #foundIds = new Int32Array(LONGEST);

  /**
   * @param merges [left, right, result] three ids a merge; of equal pairs the first counts
   * @throws FormatError for more text in pieces than can be indexed
   */
  constructor({ pieces, scores, types }: ScoredPieces, merges: Int32Array | undefined) {
    this.size = pieces.length;
    this.#types = types;
    this.flat = flatten(pieces);
    this.mergeable = idsOfTypes(types, TokenType.normal, TokenType.unused);
    this.#trie = new PieceTrie(this.flat, this.mergeable);
    this.characters = this.#findCharacters();
    this.#hashes = this.#findHashes();
    this.#made = new Uint8Array(Math.max(1, tableSize(this.size)));
    for (let k = 0; k < this.mergeable.length; k++) {
      const bit = bitOf(this.#hashes[2 * (this.mergeable[k] as number)] as number);
      const at = (bit >>> 3) & (this.#made.length - 1);
      this.#made[at] = (this.#made[at] as number) | (1 << (bit & 7));
    }
    if (merges === undefined) {
      this.#ranks = ranksOf(scores);
      this.#results = Int32Array.from(pieces, (_, id) => id);
      return;
    }
    const n = merges.length / 3;
    this.#ranks = Uint32Array.from({ length: n }, (_, merge) => merge);
    this.#results = Int32Array.from({ length: n }, (_, merge) => merges[3 * merge + 2] as number);
    this.#list = new Map();
    for (let merge = n - 1; merge >= 0; merge--) {
      this.#list.set(pairKey(merges[3 * merge] as number, merges[3 * merge + 1] as number), merge);
    }
  }

  length(symbol: number): number {
    const { size } = this;
    if (symbol >= size) return symbol - size > 0xffff ? 2 : 1;
    return (this.flat.begins[symbol + 1] as number) - (this.flat.begins[symbol] as number);
  }

  rank(left: number, right: number): number {
    const hashes = this.#hashes;
    const made = this.#made;
    if (left < this.size && right < this.size) {
      const bit = bitOf(
        (Math.imul(hashes[2 * left] as number, hashes[2 * right + 1] as number) +
          (hashes[2 * right] as number)) |
          0,
      );
      if (((made[(bit >>> 3) & (made.length - 1)] as number) & (1 << (bit & 7))) === 0) return NO_RANK;
    }
    const merge = this.#find(left, right);
    return merge === NONE ? NO_RANK : (this.#ranks[merge] as number);
  }

  /** Called when two merge, and not when a rank is only asked for: see {@link splits}. */
  result(_rank: number, left: number, right: number): number {
    const id = this.#results[this.#find(left, right)] as number;
    if (this.#types[id] === TokenType.unused) this.splits.set(id, [left, right]);
    return id;
  }

  split(units: Uint16Array, begin: number, end: number, out: Int32Array, at: number): number {
    let to = at;
    for (let i = begin; i < end; i += this.length(out[to++] as number)) out[to] = this.#character(units, i);
    return to;
  }

  splitToken(symbol: number, out: Int32Array, at: number): number {
    const { units, begins } = this.flat;
    if (symbol < this.size)
      return this.split(units, begins[symbol] as number, begins[symbol + 1] as number, out, at);
    out[at] = symbol;
    return at + 1;
  }

  /** The symbol of the character that begins at unit `at`. */
  #character(units: Uint16Array, at: number): number {
    const unit = units[at] as number;
    if (!isWide(unit)) return this.characters[unit] as number;
    const node = this.#trie.walk(ROOT, units, at, at + 2);
    const id = node === NONE ? NONE : this.#trie.id(node);
    return id === NONE ? this.size + codePointAt(units, at) : id;
  }

  walk(units: Uint16Array, begin: number, end: number, limit: number): number {
    const { lengths } = this;
    const trie = this.#trie;
    const foundIds = this.#foundIds;
    const symbol = this.#character(units, begin);
    const length = isWide(units[begin] as number) ? 2 : 1;
    this.walked = 1;
    if (length >= limit) return 0;
    lengths[0] = length;
    foundIds[0] = symbol;
    let n = 1;
    let node = this.#nodeOf(symbol);
    const last = Math.min(end, begin + Math.min(limit - 1, LONGEST));
    let i = begin + length;
    for (; i < last && node !== NONE; i++) {
      node = trie.child(node, units[i] as number);
      const id = node === NONE ? NONE : trie.id(node);
      if (id === NONE) continue;
      lengths[n] = i + 1 - begin;
      foundIds[n++] = id;
    }
    this.walked = i - begin;
    return n;
  }

  found(i: number): number {
    return this.#foundIds[i] as number;
  }

  #findCharacters(): Int32Array {
    const symbols = Int32Array.from({ length: 0x10000 }, (_, unit) => this.size + unit);
    const { flat } = this;
    const trie = this.#trie;
    for (let id = 0; id < this.size; id++) {
      if (trie.nodes[id] === NONE || this.length(id) !== 1) continue;
      symbols[flat.units[flat.begins[id] as number] as number] = trie.id(trie.nodes[id] as number);
    }
    return symbols;
  }

  #findHashes(): Int32Array {
    const hashes = new Int32Array(2 * this.size);
    const { units, begins } = this.flat;
    for (let id = 0; id < this.size; id++) {
      let hash = 0;
      let power = 1;
      const end = begins[id + 1] as number;
      for (let i = begins[id] as number; i < end; i++) {
        hash = extendHash(hash, units[i] as number);
        power = extendHash(power, 0);
      }
      hashes[2 * id] = hash;
      hashes[2 * id + 1] = power;
    }
    return hashes;
  }

  /** The merge of two symbols, or NONE. */
  #find(left: number, right: number): number {
    const pairs = this.#pairs;
    const slot = pairs.slot(left, right);
    if (pairs.holds(slot, left, right)) return pairs.entries[slot + 2] as number;
    const merge =
      this.#list === undefined ? this.#joined(left, right) : (this.#list.get(pairKey(left, right)) ?? NONE);
    return pairs.set(slot, left, right, merge);
  }

  /** The piece that two symbols make together, or NONE. */
  #joined(left: number, right: number): number {
    const { size } = this;
    const trie = this.#trie;
    const { units, begins } = this.flat;
    const node = this.#nodeOf(left);
    if (node === NONE) return NONE;
    const end =
      right < size
        ? trie.walk(node, units, begins[right] as number, begins[right + 1] as number)
        : this.#walkCharacter(node, right - size);
    return end === NONE ? NONE : trie.id(end);
  }

  #nodeOf(symbol: number): number {
    const { size } = this;
    const trie = this.#trie;
    return symbol < size ? (trie.nodes[symbol] as number) : this.#walkCharacter(ROOT, symbol - size);
  }

  #walkCharacter(node: number, character: number): number {
    if (character <= 0xffff) return this.#trie.child(node, character);
    const high = this.#trie.child(node, 0xd800 + ((character - 0x10000) >> 10));
    return high === NONE ? NONE : this.#trie.child(high, 0xdc00 + (character & 0x3ff));
  }
}

function pairKey(left: number, right: number): number {
  return left * 2 ** 24 + right;
}

/** The place of each score among all, the highest first; equals have equal places. */
function ranksOf(scores: ArrayLike<number>): Uint32Array {
  const sorted = Float64Array.from(scores).sort();
  let n = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[n - 1]) sorted[n++] = sorted[i] as number;
  }
  return Uint32Array.from(scores, (score) => n - 1 - placeOf(score, sorted, n));
}

/** The index of a score among the first `n` of `sorted`, which contain it. */
function placeOf(score: number, sorted: Float64Array, n: number): number {
  let low = 0;
  let high = n;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= score) low = middle;
    else high = middle;
  }
  return low;
}

function bitOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 7;
}

/** Whether a unit is the first of two of one character. */
function isWide(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}
