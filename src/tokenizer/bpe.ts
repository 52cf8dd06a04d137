import { JoinSet } from "./join_set.ts";
import { MergeQueue } from "./merge_queue.ts";
import { PairTable, UNKNOWN } from "./pair_table.ts";
import { NONE, PieceTrie, ROOT } from "./piece_trie.ts";
import { MAX_CACHED_UNITS, SegmentCache } from "./segment_cache.ts";
import {
  codePointAt,
  flatten,
  idsOfTypes,
  KEPT_SYMBOLS,
  type ScoredPieces,
  type Segmenter,
} from "./segmenter.ts";
import { SymbolMatcher } from "./symbol_matcher.ts";
import { TokenType } from "./tokenizer.ts";
import { type MergeRule, mergeUniformRun } from "./uniform_run.ts";

/** Words of at most this many symbols are merged by looking at every pair each time. */
const SHORT_SYMBOLS = 40;

/** Units from here on are not ASCII. */
const NOT_ASCII = 0x80;

/** The rank of a pair that does not merge. */
const NO_RANK = 0x7fffffff;

/** Words of at least this many symbols may be one symbol again and again. */
const RUN_SYMBOLS = 64;

/** Words of a position in a long word: its symbol, the next and the previous position, the merge with the next. */
const STRIDE = 4;
const SYMBOL = 0;
const NEXT = 1;
const PREVIOUS = 2;
const MERGE = 3;

/** How a {@link BpeSegmenter} differs from SentencePiece's. */
export interface BpeOptions {
  /** Whether user-defined symbols are looked for; default true. */
  readonly matchUserDefined?: boolean;
  /**
   * The pairs that merge, the first pair first: [left, right, result] three ids a merge (Hugging Face).
   * Default: any two symbols that make a piece together, the best score first (SentencePiece).
   */
  readonly merges?: Int32Array;
  /** Whether words are remembered; never changes a result. Default true. */
  readonly cache?: boolean;
}

/**
 * SentencePiece's BPE: characters are merged pairwise into pieces, the best score first and the leftmost
 * of equals, in time O(n log n). User-defined symbols are found first, the longest at each position, and
 * are never split or merged. A piece marked unused may be a step of merging; in the result it is replaced
 * by what it was merged from.
 *
 * Two characters that are side by side in no piece are never merged across: text is cut there into words,
 * which are merged one by one and remembered.
 *
 * Source: google/sentencepiece, src/bpe_model.cc.
 */
export class BpeSegmenter implements Segmenter {
  symbols = new Int32Array(0);
  private readonly size: number;
  private readonly trie: PieceTrie;
  private readonly pairs: PairTable;
  /** The symbol of each character that is one unit. */
  private readonly characters: Int32Array;
  /** Units of all pieces, and where each begins. */
  private readonly pieceUnits: Uint16Array;
  private readonly pieceBegins: Int32Array;
  private readonly unused: Uint8Array;
  private readonly hasUnused: boolean;
  private readonly joins: JoinSet;
  private readonly userDefined: SymbolMatcher | undefined;
  private readonly cache: SegmentCache | undefined;
  /**
   * The pair that makes an unused piece, for those met so far. It is always the same: until a merge goes
   * over an end of a piece's text, which then never becomes that piece, merging inside it does not depend
   * on what is around it.
   */
  private readonly splits = new Map<number, readonly [left: number, right: number]>();
  /** Two more than the merge of each pair of ASCII characters, 0 where it has not been looked for. */
  private readonly asciiMerges = new Int32Array(NOT_ASCII * NOT_ASCII);
  /** The merge of each symbol of a word with the next; of a short word its rank too. */
  private merges = new Int32Array(SHORT_SYMBOLS);
  private readonly ranks = new Int32Array(SHORT_SYMBOLS);
  private readonly queue: MergeQueue;
  private readonly rule: MergeRule;
  private links = new Int32Array(0);

  /** @throws FormatError for more text in pieces or symbols than can be indexed */
  constructor(vocabulary: ScoredPieces, options: BpeOptions = {}) {
    const { matchUserDefined = true, cache = true } = options;
    const { pieces, types } = vocabulary;
    const flat = flatten(pieces);
    const mergeable = idsOfTypes(types, TokenType.normal, TokenType.unused);
    this.size = pieces.length;
    this.trie = new PieceTrie(flat, mergeable);
    this.pieceUnits = flat.units;
    this.pieceBegins = flat.begins;
    const unused = idsOfTypes(types, TokenType.unused);
    this.unused = new Uint8Array(pieces.length);
    for (let k = 0; k < unused.length; k++) this.unused[unused[k] as number] = 1;
    this.hasUnused = unused.length > 0;
    this.characters = this.findCharacters();
    this.joins = new JoinSet(flat, mergeable);
    this.pairs = new PairTable(vocabulary.scores, options.merges);
    this.queue = new MergeQueue(this.pairs.nRanks);
    this.rule = {
      find: (left, right) => this.find(left, right),
      ranks: this.pairs.ranks,
      results: this.pairs.results,
    };
    const userDefined = matchUserDefined ? idsOfTypes(types, TokenType.userDefined) : [];
    if (userDefined.length > 0) {
      this.userDefined = new SymbolMatcher(Array.from(userDefined, (id) => [pieces[id] as string, id]));
    }
    if (cache) this.cache = new SegmentCache();
  }

  segment(units: Uint16Array, n: number): number {
    if (this.symbols.length < n || this.symbols.length > KEPT_SYMBOLS) {
      this.symbols = new Int32Array(Math.max(n, Math.min(2 * n, KEPT_SYMBOLS)));
    }
    const out = this.userDefined === undefined ? this.words(units, 0, n, 0) : this.parts(units, n);
    this.queue.release(KEPT_SYMBOLS);
    if (this.links.length > STRIDE * KEPT_SYMBOLS) this.links = new Int32Array(0);
    if (this.merges.length > KEPT_SYMBOLS) this.merges = new Int32Array(SHORT_SYMBOLS);
    return out;
  }

  /** User-defined symbols, and the words between them. */
  private parts(units: Uint16Array, n: number): number {
    const found = (this.userDefined as SymbolMatcher).matchUnits(units, n);
    let out = 0;
    let begin = 0;
    for (let i = 0; i < n; ) {
      const id = found[i] as number;
      if (id < 0) {
        i++;
        continue;
      }
      out = this.words(units, begin, i, out);
      this.symbols[out++] = id;
      i += this.lengthOf(id);
      begin = i;
    }
    return this.words(units, begin, n, out);
  }

  /** Writes the symbols of units [begin, end) from `out` on and gives the end of that. */
  private words(units: Uint16Array, begin: number, end: number, from: number): number {
    const { joins } = this;
    let out = from;
    for (let i = begin; i < end; ) {
      const word = i;
      let unit = units[i++] as number;
      let hash = unit;
      for (; i < end; i++) {
        const next = units[i] as number;
        if (!joins.has(unit, next)) break;
        hash = Math.imul(hash, 0x2c1b3c6d) + next;
        unit = next;
      }
      out = this.word(units, word, i, hash ^ (hash >>> 15), out);
    }
    return out;
  }

  private word(units: Uint16Array, begin: number, end: number, hash: number, from: number): number {
    const { cache, symbols } = this;
    if (end - begin === 1) {
      symbols[from] = this.characters[units[begin] as number] as number;
      return from + 1;
    }
    if (cache === undefined || end - begin > MAX_CACHED_UNITS) return this.merge(units, begin, end, from);
    if (cache.find(units, begin, end, hash)) {
      const known = cache.symbols;
      const last = cache.begin + cache.count;
      let out = from;
      for (let k = cache.begin; k < last; k++) symbols[out++] = known[k] as number;
      return out;
    }
    const out = this.merge(units, begin, end, from);
    cache.add(units, begin, end, hash, symbols, from, out);
    return out;
  }

  /** Merges the characters of units [begin, end). */
  private merge(units: Uint16Array, begin: number, end: number, from: number): number {
    if (this.merges.length < end - begin) this.merges = new Int32Array(end - begin);
    const characters = this.split(units, begin, end, from);
    const n =
      characters < RUN_SYMBOLS ? characters : mergeUniformRun(this.symbols, from, characters, this.rule);
    if (n < characters) for (let i = 0; i < n - 1; i++) this.merges[i] = this.findAt(from + i);
    const out = from + (n <= SHORT_SYMBOLS ? this.mergeShort(from, n) : this.mergeLong(from, n));
    return this.hasUnused ? this.replaceUnused(from, out) : out;
  }

  /** Writes one symbol a character, and the merge of each with the next, and gives their number. */
  private split(units: Uint16Array, begin: number, end: number, from: number): number {
    const { symbols, characters, merges } = this;
    let n = 0;
    let before = NOT_ASCII;
    for (let i = begin; i < end; i++) {
      const unit = units[i] as number;
      const isWide = unit >= 0xd800 && unit < 0xdc00;
      const symbol = isWide ? this.wideCharacter(units, i++) : (characters[unit] as number);
      symbols[from + n] = symbol;
      if (n > 0) merges[n - 1] = this.findFirst(before, unit, symbols[from + n - 1] as number, symbol);
      before = unit;
      n++;
    }
    return n;
  }

  /** The merge of the symbols of two characters: of two units, where they are ASCII. */
  private findFirst(leftUnit: number, rightUnit: number, left: number, right: number): number {
    if ((leftUnit | rightUnit) >= NOT_ASCII) return this.find(left, right);
    const at = (leftUnit << 7) | rightUnit;
    const known = this.asciiMerges[at] as number;
    if (known !== 0) return known - 2;
    const merge = this.find(left, right);
    this.asciiMerges[at] = merge + 2;
    return merge;
  }

  private wideCharacter(units: Uint16Array, at: number): number {
    const node = this.trie.walk(ROOT, units, at, at + 2);
    const id = node === NONE ? NONE : this.trie.id(node);
    return id === NONE ? this.size + codePointAt(units, at) : id;
  }

  private findCharacters(): Int32Array {
    const symbols = new Int32Array(0x10000);
    for (let unit = 0; unit < symbols.length; unit++) symbols[unit] = this.size + unit;
    const { trie, pieceUnits, pieceBegins } = this;
    for (let id = 0; id < this.size; id++) {
      const begin = pieceBegins[id] as number;
      if (trie.nodes[id] === NONE || (pieceBegins[id + 1] as number) - begin !== 1) continue;
      symbols[pieceUnits[begin] as number] = trie.id(trie.nodes[id] as number);
    }
    return symbols;
  }

  /** Merges symbols [from, from + n) in place and gives the number left: looks for the best pair each time. */
  private mergeShort(from: number, n: number): number {
    const { symbols, merges, ranks } = this;
    const { results } = this.pairs;
    let last = n - 1;
    for (let i = 0; i < last; i++) ranks[i] = this.rankOf(merges[i] as number);
    for (;;) {
      let best = -1;
      let bestRank = NO_RANK;
      for (let i = 0; i < last; i++) {
        const rank = ranks[i] as number;
        if (rank < bestRank) {
          bestRank = rank;
          best = i;
        }
      }
      if (best < 0) return last + 1;
      symbols[from + best] = results[merges[best] as number] as number;
      last--;
      for (let i = best + 1; i <= last; i++) {
        symbols[from + i] = symbols[from + i + 1] as number;
        merges[i - 1] = merges[i] as number;
        ranks[i - 1] = ranks[i] as number;
      }
      if (best > 0) this.look(from, best - 1);
      if (best < last) this.look(from, best);
    }
  }

  /** Notes the merge of pair `i` of a short word. */
  private look(from: number, i: number): void {
    const merge = this.findAt(from + i);
    this.merges[i] = merge;
    this.ranks[i] = this.rankOf(merge);
  }

  private rankOf(merge: number): number {
    return merge === NONE ? NO_RANK : (this.pairs.ranks[merge] as number);
  }

  private findAt(at: number): number {
    return this.find(this.symbols[at] as number, this.symbols[at + 1] as number);
  }

  /** The same with a queue of pairs. */
  private mergeLong(from: number, n: number): number {
    const { symbols, queue, merges } = this;
    const { ranks, results } = this.pairs;
    if (this.links.length < STRIDE * n) this.links = new Int32Array(STRIDE * n);
    queue.reserve(n);
    const { links } = this;
    for (let i = 0; i < n; i++) {
      links[STRIDE * i + SYMBOL] = symbols[from + i] as number;
      links[STRIDE * i + NEXT] = i + 1;
      links[STRIDE * i + PREVIOUS] = i - 1;
      const merge = i + 1 < n ? (merges[i] as number) : NONE;
      links[STRIDE * i + MERGE] = merge;
      if (merge !== NONE) queue.push(ranks[merge] as number, i);
    }
    while (queue.pop()) {
      const left = queue.position;
      const at = STRIDE * left;
      const merge = links[at + MERGE] as number;
      // One side has been merged with something else since: this pair is out of date.
      if (merge === NONE || ranks[merge] !== queue.rank) continue;
      this.withdraw(left);
      const right = links[at + NEXT] as number;
      const after = links[STRIDE * right + NEXT] as number;
      links[at + SYMBOL] = results[merge] as number;
      links[at + NEXT] = after;
      this.withdraw(right);
      if (after < n) links[STRIDE * after + PREVIOUS] = left;
      if (left > 0) this.propose(links[at + PREVIOUS] as number, n);
      this.propose(left, n);
    }
    let out = from;
    for (let i = 0; i < n; i = links[STRIDE * i + NEXT] as number)
      symbols[out++] = links[STRIDE * i + SYMBOL] as number;
    return out - from;
  }

  /** Queues the pair of the symbol at `left` and its successor, if they merge, in place of what was there. */
  private propose(left: number, n: number): void {
    const { links } = this;
    const at = STRIDE * left;
    const right = links[at + NEXT] as number;
    const merge =
      right < n ? this.find(links[at + SYMBOL] as number, links[STRIDE * right + SYMBOL] as number) : NONE;
    if (merge === links[at + MERGE]) return;
    this.withdraw(left);
    links[at + MERGE] = merge;
    if (merge !== NONE) this.queue.push(this.pairs.ranks[merge] as number, left);
  }

  private withdraw(left: number): void {
    const { links } = this;
    const merge = links[STRIDE * left + MERGE] as number;
    if (merge === NONE) return;
    links[STRIDE * left + MERGE] = NONE;
    this.queue.remove(this.pairs.ranks[merge] as number, left);
  }

  /** The merge of two symbols, or NONE. */
  private find(left: number, right: number): number {
    const { pairs } = this;
    const known = pairs.recall(left, right);
    if (known !== UNKNOWN) return known;
    const merge = pairs.listed ? pairs.search(left, right) : this.joined(left, right);
    pairs.remember(left, right, merge);
    if (merge !== NONE && this.hasUnused && this.unused[pairs.results[merge] as number] === 1) {
      this.splits.set(pairs.results[merge] as number, [left, right]);
    }
    return merge;
  }

  /** The piece that two symbols make together, or NONE. */
  private joined(left: number, right: number): number {
    const { trie, size } = this;
    const node = left < size ? (trie.nodes[left] as number) : this.walkCharacter(ROOT, left - size);
    if (node === NONE) return NONE;
    const end =
      right < size
        ? trie.walk(
            node,
            this.pieceUnits,
            this.pieceBegins[right] as number,
            this.pieceBegins[right + 1] as number,
          )
        : this.walkCharacter(node, right - size);
    return end === NONE ? NONE : trie.id(end);
  }

  private walkCharacter(node: number, character: number): number {
    if (character <= 0xffff) return this.trie.child(node, character);
    const high = this.trie.child(node, 0xd800 + ((character - 0x10000) >> 10));
    return high === NONE ? NONE : this.trie.child(high, 0xdc00 + (character & 0x3ff));
  }

  private lengthOf(id: number): number {
    return (this.pieceBegins[id + 1] as number) - (this.pieceBegins[id] as number);
  }

  /** Splits unused pieces among symbols [from, to) and gives the new end. There are never more symbols than units. */
  private replaceUnused(from: number, to: number): number {
    const used: number[] = [];
    const stack: number[] = [];
    for (let i = from; i < to; i++) {
      stack.push(this.symbols[i] as number);
      for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
        const split = this.unused[top] === 1 ? this.splits.get(top) : undefined;
        if (split === undefined) used.push(top);
        else stack.push(split[1], split[0]);
      }
    }
    this.symbols.set(used, from);
    return from + used.length;
  }
}
