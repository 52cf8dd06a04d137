// Where the keys and values of each layer lie: classes of layers that keep the same positions, and the pages of a class.
//
// What a sequence holds of a class follows from two functions: firstKept() says which pages it may drop, resumable() from
// which length it can go on with the pages that it has. Layers without attention keep other numbers in such pages: rows of
// each position, which are as good as keys and values; or a state, of which a page holds one: that behind the last position
// that was computed on the page. A full page has the state of its end for ever. That of the last page changes in place, so
// that nothing leads back to a position inside of it: a sequence goes on from the end of the page before.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import { type KvType, kvTypeCodes } from "../quant/kv_types.ts";
import { kvHeadBytes } from "./kernel_sizes.ts";

/** What decides the place of a layer's keys and values. */
export interface LayerKv {
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Positions that a query sees, its own included; undefined: all before it. */
  readonly window?: number | undefined;
  /** f32 values of each position, or of a state of all positions so far, instead of heads. */
  readonly rows?: number;
  readonly state?: number;
}

/** Layers that keep the same positions, so that they share pages of KV_PAGE positions each. */
export interface PageClass {
  /** Positions that a query sees, its own included; undefined: all, so that no page is dropped. */
  readonly window: number | undefined;
  /** Whether a page has a state instead of positions. */
  readonly isState?: boolean;
  readonly pageBytes: number;
  /** Pages that a sequence holds at most. */
  readonly mostPages: number;
}

/** Where a layer's keys and values lie. */
export interface LayerCache extends LayerKv {
  readonly type: KvType;
  /** Bytes of one kv head in a page; 0 without heads. */
  readonly headBytes: number;
  /** Bytes of the layer in a page. */
  readonly bytes: number;
  /** Index of its class. */
  readonly pageClass: number;
  /** Offset of its first kv head in a page of its class. */
  readonly offset: number;
  /** Offset of the page table of its class from that of the first class, in bytes. */
  readonly table: number;
}

/** Where the keys and values of a model lie. */
export interface KvLayout {
  readonly type: KvType;
  /** In the order of their first layers. */
  readonly classes: readonly PageClass[];
  readonly layers: readonly LayerCache[];
  /** Bytes of the page table of a class. */
  readonly tableBytes: number;
  /** Bytes of all pages that a sequence holds at most. */
  readonly sequenceBytes: number;
}

/**
 * Positions that a windowed class keeps beyond what the next query sees. A rollback over so many recomputes nothing: more
 * than a stop string or a draft has.
 */
const ROLLBACK_SLACK = 32;

/**
 * Places the keys and values of layers, for sequences of up to `contextLength` positions that grow by up to `batch` in a
 * step. A window as long as the context is none.
 */
export function kvLayout(
  type: KvType,
  layers: readonly LayerKv[],
  contextLength: number,
  batch: number,
): KvLayout {
  const tableBytes = 4 * Math.ceil(contextLength / KV_PAGE);
  const classes: { -readonly [field in keyof PageClass]: PageClass[field] }[] = [];
  const placed = layers.map((layer): LayerCache => {
    const window = layer.window !== undefined && layer.window < contextLength ? layer.window : undefined;
    const isState = layer.state !== undefined;
    let pageClass = classes.findIndex((other) => other.window === window && !other.isState === !isState);
    if (pageClass < 0) {
      const mostPages = mostPagesOf(isState ? STATE_WINDOW : window, contextLength, batch);
      pageClass = classes.push({ window, ...(isState && { isState }), pageBytes: 0, mostPages }) - 1;
    }
    const of = classes[pageClass] as (typeof classes)[number];
    const values = layer.state ?? (layer.rows && KV_PAGE * layer.rows);
    const headBytes = values === undefined ? kvHeadBytes(kvTypeCodes[type], layer.headDim) : 0;
    const bytes = values === undefined ? layer.nKvHeads * headBytes : 4 * values;
    const offset = of.pageBytes;
    of.pageBytes += bytes;
    return { ...layer, type, headBytes, bytes, pageClass, offset, table: pageClass * tableBytes };
  });
  return {
    type,
    classes,
    layers: placed,
    tableBytes,
    sequenceBytes: classes.reduce((sum, { pageBytes, mostPages }) => sum + pageBytes * mostPages, 0),
  };
}

// A step begins with the pages from firstKept() on, and adds up to `batch` positions: window - 1 + slack + batch of them,
// which may begin at the last position of a page.
function mostPagesOf(window: number | undefined, contextLength: number, batch: number): number {
  const all = Math.ceil(contextLength / KV_PAGE);
  if (window === undefined) return all;
  return Math.min(all, Math.ceil((window - 1 + ROLLBACK_SLACK + batch - 1) / KV_PAGE) + 1);
}

/** The first page that a sequence of `length` positions keeps of a class. */
export function firstKept({ window, isState }: PageClass, length: number): number {
  return firstSeen(isState ? STATE_WINDOW : window, length - ROLLBACK_SLACK);
}

/** The first page of a class of positions that a sequence of `length` positions needs to go on. */
export function firstNeeded({ window }: PageClass, length: number): number {
  return firstSeen(window, length);
}

/**
 * The most positions, up to `length`, from which a sequence can go on if its pages of a class begin with page `first`.
 * @param isEnd whether the sequence has had no position from `length` on
 */
export function resumable(
  { window, isState }: PageClass,
  first: number,
  length: number,
  isEnd: boolean,
): number {
  if (!isState) return first <= firstSeen(window, length) ? length : 0;
  const pages = isEnd ? Math.ceil(length / KV_PAGE) : Math.floor(length / KV_PAGE);
  if (first >= pages) return 0;
  return isEnd ? length : pages * KV_PAGE;
}

// A state is as a window that reaches from any position of a page into the page before.
const STATE_WINDOW = KV_PAGE + 1;

// The page of the first position that the query at `position` sees.
function firstSeen(window: number | undefined, position: number): number {
  return window === undefined ? 0 : Math.max(0, Math.floor((position - window + 1) / KV_PAGE));
}
