// What waits for a step, and what of it the next step takes.
import type { Sequence } from "../model/kv_cache.ts";
import { MAX_SEGMENTS, type Segment, type StepLimits } from "./step_area.ts";

/** Work for the model: ids that continue a sequence, and what reads their logits. */
export interface Work extends Segment {
  begin: number;
  end: number;
  /**
   * Reads the logits of ids[index] in place, at `engine.logitsAddress(row)`: during the call and not after it. Called for
   * each output, in order. What it throws fails this work alone.
   */
  read(row: number, index: number): void;
  /** The scheduler's own note: the last step that ended this work. 0 before the first. */
  lastStep: number;
}

/** Work that waits or runs, with what has become of it. */
export class Entry {
  readonly work: Work;
  readonly signal: AbortSignal | undefined;
  /** Earlier entries have smaller numbers. */
  readonly order: number;
  /** The first id that no step has taken. */
  next: number;
  /** The end of the ids that the running step takes. */
  chunkEnd: number;
  /** Whether it is over, well or not. */
  settled = false;
  /** Whether it failed, with `error`. */
  failed = false;
  error: unknown;
  /** Called once, when it is over. */
  onSettled: (() => void) | undefined;

  constructor(work: Work, signal: AbortSignal | undefined, order: number) {
    this.work = work;
    this.signal = signal;
    this.order = order;
    this.next = work.begin;
    this.chunkEnd = work.begin;
  }

  /** Ids that are left. */
  get remaining(): number {
    return this.work.end - this.next;
  }

  get sequence(): Sequence {
    return this.work.sequence;
  }

  /** The part that the running step takes. Only the end of a work has the logits of its last id. */
  get segment(): Segment {
    const { sequence, ids, end, outputs } = this.work;
    const isInside = outputs === "last" && this.chunkEnd < end;
    return { sequence, ids, begin: this.next, end: this.chunkEnd, outputs: isInside ? "none" : outputs };
  }

  /** It has ended well. */
  end(): void {
    this.#settle();
  }

  /** It has ended with an error. Only the first end counts. */
  fail(error: unknown): void {
    if (this.settled) return;
    this.failed = true;
    this.error = error;
    this.#settle();
  }

  #settle(): void {
    if (this.settled) return;
    this.settled = true;
    this.onSettled?.();
  }
}

/**
 * Chooses what the next step takes, and sets `chunkEnd` of each. First come, first served, among two kinds: what
 * decodes (one id is left) comes first, and what prefills has the rest of the step. One place is kept for prefilling,
 * so that neither kind waits for all of the other.
 * @param waiting in the order of arrival
 * @param beside tokens of prompts beside so many that decode, 0 for none this time
 */
export function chooseChunks(
  waiting: readonly Entry[],
  { batch, maxOutputs }: StepLimits,
  beside: (decoding: number) => number,
): Entry[] {
  const decoding = waiting.filter(({ remaining }) => remaining === 1);
  const prefilling = waiting.filter(({ remaining }) => remaining > 1);
  const most = Math.min(MAX_SEGMENTS, batch);
  let tokens = batch;
  let kept = prefilling.length > 0 ? 1 : 0;
  if (decoding.length > 0 && kept > 0) {
    const n = Math.min(decoding.length, most - kept);
    tokens = Math.min(batch - n, beside(n));
    if (tokens === 0) kept = 0;
  }
  const chosen = decoding.slice(0, most - kept);
  for (const entry of chosen) entry.chunkEnd = entry.work.end;
  let rows = maxOutputs - chosen.filter(({ work }) => work.outputs !== "none").length;
  for (const entry of prefilling) {
    if (chosen.length === MAX_SEGMENTS) break;
    const n = chunkOf(entry, tokens, rows);
    if (n === 0) continue;
    entry.chunkEnd = entry.next + n;
    tokens -= n;
    rows -= rowsOf(entry, n);
    chosen.push(entry);
  }
  return chosen;
}

// How many ids of `entry` the step has room for.
function chunkOf(entry: Entry, tokens: number, rows: number): number {
  const n = Math.min(entry.remaining, tokens);
  return rowsOf(entry, n) <= rows ? n : Math.min(rows, n);
}

function rowsOf({ work, remaining }: Entry, n: number): number {
  if (work.outputs === "all") return n;
  return work.outputs === "last" && n === remaining ? 1 : 0;
}
