// Reads the fields of a plan's records and of the step, and takes work from a record's counter.
import { KV_PAGE } from "./layout/blocks";
import { STEP_N_OUTPUTS, STEP_N_TOKENS, STEP_PAGE_TABLES } from "./layout/control";
import * as op from "./layout/ops";
import { take } from "./sync";

/** A field that is an integer. */
export function int(record: usize, field: i32): i32 {
  return load<i32>(record + ((<usize>field) << 2));
}

/** A field that is an address, or a number of bytes. */
export function ptr(record: usize, field: i32): usize {
  return <usize>load<u32>(record + ((<usize>field) << 2));
}

/** A field that holds the bits of an f32. */
export function float(record: usize, field: i32): f32 {
  return load<f32>(record + ((<usize>field) << 2));
}

/** Element i of the i32 array whose address a word of the step holds. */
export function element(word: usize, i: i32): i32 {
  return load<i32>(<usize>load<u32>(word) + ((<usize>i) << 2));
}

/** How many rows a record works on. */
export function rows(record: usize): i32 {
  return load<i32>(int(record, op.REC_ROWS) === op.ROWS_OUTPUTS ? STEP_N_OUTPUTS : STEP_N_TOKENS);
}

/** The address of a record's counter, which its threads take their shares from. */
export function counter(record: usize): usize {
  return record + op.REC_COUNTER * 4;
}

/** The next unit of work of a record whose units are taken one by one. */
export function next(record: usize): i32 {
  return take(counter(record), 1);
}

/** How many tokens of the step a sequence has, if token t is the first of them; else 0. */
export function tokens_from(t: i32): i32 {
  const pages = element(STEP_PAGE_TABLES, t);
  if (t > 0 && element(STEP_PAGE_TABLES, t - 1) === pages) return 0;
  const all = load<i32>(STEP_N_TOKENS);
  let n = 1;
  while (t + n < all && element(STEP_PAGE_TABLES, t + n) === pages) n++;
  return n;
}

/** The page of a position, in a page table. */
export function page_of(table: usize, position: i32): usize {
  return <usize>load<u32>(table + ((<usize>(position / KV_PAGE)) << 2));
}
