// The description of a step in linear memory: where it lies, and how it is written. See layout/control.ts.
import * as control from "../../assembly/layout/control.ts";
import type { Arena } from "../kernels/arena.ts";
import type { PageTable, Sequence } from "../model/kv_cache.ts";
import type { KvLayout } from "../model/kv_layout.ts";
import { EngineError } from "../util/errors.ts";

/** Sequences of one step. */
export const MAX_SEGMENTS = 8;

/** One sequence's part of a step: ids[begin..end) continue it. */
export interface Segment {
  readonly sequence: Sequence;
  readonly ids: ArrayLike<number>;
  readonly begin: number;
  readonly end: number;
  /** Which positions' logits are wanted. */
  readonly outputs: "none" | "last" | "all";
}

/** Addresses of the words that describe a step. */
export interface StepArea {
  readonly ids: number;
  readonly positions: number;
  readonly pageTables: number;
  readonly outputs: number;
  readonly tiles: number;
  /** For each of MAX_SEGMENTS sequences tables of `tableBytes` bytes, one for each class of pages. */
  readonly tables: number;
  readonly tableBytes: number;
}

/** How large a step may be. */
export interface StepLimits {
  /** Most tokens. */
  readonly batch: number;
  /** Most rows of logits. */
  readonly maxOutputs: number;
}

/** Tokens and rows of logits of the step that was written. */
export interface StepSize {
  tokens: number;
  outputs: number;
}

/** Gives the words of a step their addresses. */
export function placeStepArea(
  arena: Arena,
  { batch, maxOutputs }: StepLimits,
  { tableBytes, classes }: Pick<KvLayout, "tableBytes" | "classes">,
): StepArea {
  return {
    ids: arena.alloc(4 * batch),
    positions: arena.alloc(4 * batch),
    pageTables: arena.alloc(4 * batch),
    outputs: arena.alloc(4 * maxOutputs),
    tiles: arena.alloc(control.QUERY_TILE_BYTES * (Math.ceil(batch / control.QUERY_TILE) + MAX_SEGMENTS)),
    tables: arena.alloc(tableBytes * classes.length * MAX_SEGMENTS),
    tableBytes,
  };
}

/** How many rows of logits a segment of `n` tokens has. */
export function outputRows(outputs: Segment["outputs"], n: number): number {
  if (outputs === "all") return n;
  return outputs === "last" && n > 0 ? 1 : 0;
}

/** @throws EngineError for an id outside the vocabulary */
export function checkIds({ ids, begin, end }: Segment, vocabSize: number): void {
  for (let i = begin; i < end; i++) {
    const id = ids[i];
    if (id === undefined || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new EngineError(`Cannot run token ${id}: Expected an id in [0, ${vocabSize})`);
    }
  }
}

/**
 * Writes ids, positions, page tables, query tiles and outputs of a step. Its pages are reserved and its ids are checked.
 * Allocates nothing.
 * @throws EngineError for a step that is too large; nothing was run then
 */
export function writeStep(
  words: Int32Array,
  area: StepArea,
  limits: StepLimits,
  segments: readonly Segment[],
  size: StepSize,
): void {
  checkSize(limits, segments, size);
  let token = 0;
  let outputs = 0;
  let tiles = 0;
  let table = area.tables;
  for (let s = 0; s < segments.length; s++) {
    const segment = segments[s] as Segment;
    writeTables(words, segment.sequence.tables, table, area.tableBytes);
    tiles += writeTiles(words, area.tiles + tiles * control.QUERY_TILE_BYTES, segment, token, table);
    outputs += writeTokens(words, area, segment, token, outputs, table);
    token += segment.end - segment.begin;
    table += area.tableBytes * segment.sequence.tables.length;
  }
  words[control.STEP_N_TOKENS / 4] = token;
  words[control.STEP_N_OUTPUTS / 4] = outputs;
  words[control.STEP_N_TILES / 4] = tiles;
  words[control.STEP_IDS / 4] = area.ids;
  words[control.STEP_POSITIONS / 4] = area.positions;
  words[control.STEP_PAGE_TABLES / 4] = area.pageTables;
  words[control.STEP_OUTPUTS / 4] = area.outputs;
  words[control.STEP_TILES / 4] = area.tiles;
}

function checkSize({ batch, maxOutputs }: StepLimits, segments: readonly Segment[], size: StepSize): void {
  if (segments.length > MAX_SEGMENTS) {
    throw new EngineError(
      `Cannot run a step of ${segments.length} sequences: Expected at most ${MAX_SEGMENTS}`,
    );
  }
  size.tokens = 0;
  size.outputs = 0;
  for (let s = 0; s < segments.length; s++) {
    const { begin, end, outputs } = segments[s] as Segment;
    size.tokens += end - begin;
    size.outputs += outputRows(outputs, end - begin);
    if (size.tokens > batch) {
      throw new EngineError(`Cannot run a step of ${size.tokens} tokens: Expected at most ${batch}`);
    }
  }
  if (size.outputs > maxOutputs) {
    throw new EngineError(`Cannot run a step with more than ${maxOutputs} rows of logits`);
  }
}

// The page tables of a sequence, one behind the other. Of pages that are not held nothing is written, or read.
function writeTables(
  words: Int32Array,
  tables: readonly PageTable[],
  address: number,
  tableBytes: number,
): void {
  for (let i = 0; i < tables.length; i++) {
    const { pages, first } = tables[i] as PageTable;
    const at = (address + i * tableBytes) / 4 + first;
    for (let p = 0; p < pages.length; p++) words[at + p] = pages[p] as number;
  }
}

// The query tiles of a segment; how many there are.
function writeTiles(
  words: Int32Array,
  address: number,
  { sequence, begin, end }: Segment,
  token: number,
  table: number,
): number {
  const { length } = sequence;
  const n = end - begin;
  let tiles = 0;
  for (let i = 0; i < n; i += control.QUERY_TILE) {
    const tile = (address + tiles * control.QUERY_TILE_BYTES) / 4;
    words[tile + control.QUERY_FIRST_TOKEN / 4] = token + i;
    words[tile + control.QUERY_N_TOKENS / 4] = Math.min(control.QUERY_TILE, n - i);
    words[tile + control.QUERY_FIRST_POSITION / 4] = length + i;
    words[tile + control.QUERY_PAGE_TABLE / 4] = table;
    tiles++;
  }
  return tiles;
}

// The tokens of a segment, and which of them have logits; how many those are.
function writeTokens(
  words: Int32Array,
  area: StepArea,
  { sequence, ids, begin, end, outputs }: Segment,
  token: number,
  row: number,
  table: number,
): number {
  const { length } = sequence;
  const n = end - begin;
  for (let i = 0; i < n; i++) {
    words[area.ids / 4 + token + i] = ids[begin + i] as number;
    words[area.positions / 4 + token + i] = length + i;
    words[area.pageTables / 4 + token + i] = table;
  }
  const rows = outputRows(outputs, n);
  for (let i = 0; i < rows; i++) words[area.outputs / 4 + row + i] = token + n - rows + i;
  return rows;
}
