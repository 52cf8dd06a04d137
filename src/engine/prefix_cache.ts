// Keys and values of prompts and answers that are over, for prompts that begin in the same way.
//
// A tree over ids: a node stands for up to KV_PAGE ids that follow those of its parent, and has the pages that were computed for
// them, of each class those that the sequence still held. Pages are shared by counts: what a sequence takes from the tree
// nobody writes, because a shared page is copied before that. Only leaves have fewer ids than a page.
//
// From which length a sequence can go on depends on the classes, see model/kv_layout.ts: one with a window needs the pages that
// the window reaches, one of states the state of exactly that length. So `recall` looks for the greatest length at which all
// classes have what they need. Bits do not depend on it: a page has the same, whoever computed it.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import type { Sequence } from "../model/kv_cache.ts";
import { firstKept, firstNeeded, type PageClass } from "../model/kv_layout.ts";
import type { PagePool } from "../model/page_pool.ts";

interface PrefixNode {
  readonly parent: PrefixNode | undefined;
  readonly ids: readonly number[];
  /** By their first ids. */
  readonly children: Map<number, PrefixNode[]>;
  /** A page of each class, if there is one. */
  readonly pages: (number | undefined)[];
}

/** Pages by the ids that they were computed for, least recently used first out. */
export class PrefixCache {
  readonly #pool: PagePool;
  readonly #maxBytes: number;
  readonly #root: PrefixNode;
  // The least recently used first. A node comes before its parent, because who uses a node uses its parent: the first is a
  // leaf.
  readonly #recent = new Set<PrefixNode>();
  #bytes = 0;

  /** @param maxBytes bytes of pages that it holds at most, those that sequences hold too included */
  constructor(pool: PagePool, maxBytes: number) {
    this.#pool = pool;
    this.#maxBytes = maxBytes;
    this.#root = { parent: undefined, ids: [], children: new Map(), pages: [] };
    pool.reclaim = () => this.evict();
  }

  /** Bytes of the pages that it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Gives an empty sequence the longest beginning of `ids` that it can go on from. The last id is left out: its logits have
   * to be computed.
   * @returns how many positions the sequence has now
   */
  recall(sequence: Sequence, ids: readonly number[]): number {
    const { path, matched } = this.#walk(ids);
    const length = this.#usable(path, Math.min(matched, ids.length - 1));
    if (length === 0) return 0;
    const end = Math.ceil(length / KV_PAGE);
    const tables = this.#pool.classes.map((of, i) => {
      let first = end;
      while (first > firstKept(of, length) && path[first - 1]?.pages[i] !== undefined) first--;
      return { first, pages: path.slice(first, end).map(({ pages }) => pages[i] as number) };
    });
    sequence.join(length, tables);
    this.#touch(path.slice(0, end));
    return length;
  }

  /**
   * Keeps what a sequence holds of its ids. No step may be writing it.
   * @param whole whether only pages that are full are kept: what goes on writes the last one
   */
  add(sequence: Sequence, ids: readonly number[], whole: boolean): void {
    const length = whole ? sequence.length - (sequence.length % KV_PAGE) : sequence.length;
    const path: PrefixNode[] = [];
    for (let begin = 0; begin < length; begin += KV_PAGE) {
      const chunk = ids.slice(begin, Math.min(begin + KV_PAGE, length));
      const node = this.#child(path.at(-1) ?? this.#root, chunk);
      path.push(node);
      if (node.ids.length === chunk.length) this.#fill(node, sequence, begin / KV_PAGE, length);
    }
    this.#touch(path);
    while (this.#bytes > this.#maxBytes) this.evict();
  }

  /** Forgets what was not used for longest. False if there is nothing. */
  evict(): boolean {
    const [leaf] = this.#recent;
    if (!leaf) return false;
    this.#drop(leaf);
    return true;
  }

  // The nodes whose ids `ids` begins with, and how many ids that are: of the last node maybe not all.
  #walk(ids: readonly number[]): { readonly path: PrefixNode[]; readonly matched: number } {
    const path: PrefixNode[] = [];
    let matched = 0;
    for (let common = KV_PAGE; common === KV_PAGE; matched += common) {
      common = 0;
      let best: PrefixNode | undefined;
      for (const child of siblings(path.at(-1) ?? this.#root, ids[matched])) {
        const n = commonLength(child.ids, ids, matched);
        // Of several the shortest: a state is that of its last id.
        if (n < common || (n === common && best && child.ids.length >= best.ids.length)) continue;
        best = child;
        common = n;
      }
      if (best) path.push(best);
    }
    return { path, matched };
  }

  // The most positions up to `length` from which a sequence with the pages of a path can go on.
  #usable(path: readonly PrefixNode[], length: number): number {
    for (;;) {
      const least = this.#pool.classes.reduce(
        (min, of, i) => Math.min(min, usableOf(of, i, path, length)),
        length,
      );
      if (least === length) return length;
      length = least;
    }
  }

  // The child that has a chunk: of no model with states one of fewer ids than another that it begins with.
  #child(parent: PrefixNode, chunk: readonly number[]): PrefixNode {
    const all = siblings(parent, chunk[0]);
    const same = all.find(
      ({ ids }) => ids.length === chunk.length && commonLength(ids, chunk, 0) === ids.length,
    );
    if (same) return same;
    if (!this.#pool.classes.some(({ isState }) => isState)) {
      const longer = all.find(({ ids }) => commonLength(ids, chunk, 0) === chunk.length);
      if (longer) return longer;
      for (const shorter of all) {
        if (commonLength(shorter.ids, chunk, 0) === shorter.ids.length) this.#drop(shorter);
      }
    }
    const pages = this.#pool.classes.map(() => undefined);
    const node: PrefixNode = { parent, ids: chunk, children: new Map(), pages };
    parent.children.set(chunk[0] as number, [...siblings(parent, chunk[0]), node]);
    return node;
  }

  // Shares what a node lacks of page `p` of a sequence. Of states the last two are worth their bytes.
  #fill(node: PrefixNode, { tables }: Sequence, p: number, length: number): void {
    this.#pool.classes.forEach(({ isState, pageBytes }, i) => {
      const { pages, first } = tables[i] as Sequence["tables"][number];
      const page = pages[p - first];
      if (page === undefined || node.pages[i] !== undefined) return;
      if (isState && p < Math.ceil(length / KV_PAGE) - STATES) return;
      this.#pool.share(page);
      node.pages[i] = page;
      this.#bytes += pageBytes;
    });
  }

  #touch(path: readonly PrefixNode[]): void {
    for (const node of path.toReversed()) {
      this.#recent.delete(node);
      this.#recent.add(node);
    }
  }

  #drop(leaf: PrefixNode): void {
    this.#recent.delete(leaf);
    leaf.pages.forEach((page, i) => {
      if (page === undefined) return;
      this.#pool.drop(page);
      this.#bytes -= (this.#pool.classes[i] as PageClass).pageBytes;
    });
    const parent = leaf.parent as PrefixNode;
    const first = leaf.ids[0] as number;
    const others = siblings(parent, first).filter((other) => other !== leaf);
    if (others.length > 0) parent.children.set(first, others);
    else parent.children.delete(first);
    // A node without pages is only the way to others.
    const isEmpty = parent.children.size === 0 && parent.pages.every((page) => page === undefined);
    if (isEmpty && parent.parent) this.#drop(parent);
  }
}

// States that are kept of a sequence: the last one, and the one before for rollbacks into its page.
const STATES = 2;

function siblings(parent: PrefixNode, first: number | undefined): readonly PrefixNode[] {
  return parent.children.get(first as number) ?? [];
}

// How many of a node's ids are ids[at], ids[at + 1], ...
function commonLength(own: readonly number[], ids: readonly number[], at: number): number {
  let n = 0;
  while (n < own.length && own[n] === ids[at + n]) n++;
  return n;
}

// The most positions up to `length` for which a path has the pages of class `i`.
function usableOf(of: PageClass, i: number, path: readonly PrefixNode[], length: number): number {
  const last = Math.ceil(length / KV_PAGE) - 1;
  const at = last * KV_PAGE;
  if (length === 0) return 0;
  if (of.isState) {
    const { pages, ids } = path[last] as PrefixNode;
    return pages[i] !== undefined && at + ids.length === length ? length : at;
  }
  for (let p = last; p >= firstNeeded(of, length); p--) {
    if (path[p]?.pages[i] === undefined) return p * KV_PAGE;
  }
  return length;
}
