// OP_EXPERTS and OP_COMBINE: the weights of chosen experts times the slots of their tokens. Weights of others are not read, and
// those of an expert are read once, however many tokens chose it.
import { group_strips, tile_bytes } from "../../formats/formats";
import { group_count } from "../../formats/groups";
import { DOT_MOVED, DOT_WIDE, GROUP_STRIPS, TILE_ROWS } from "../../layout/blocks";
import { CONTROL_DOT, CONTROL_N_THREADS, CONTROL_STREAMS, STEP_N_TOKENS } from "../../layout/control";
import * as op from "../../layout/ops";
import { counter, float, int, ptr } from "../../record";
import { share, take_share } from "../../sync";
import { combine_f32 } from "./combine";
import { matmul } from "./matmul";
import { expert_at } from "./route";

// Units of work are parts of a matrix: GROUP_STRIPS strips, a group of most formats.

/** Runs OP_EXPERTS. Threads take shares of the parts of all chosen experts, one behind the other. */
export function run_experts(record: usize, scratch: usize): void {
  const table = ptr(record, op.EXPERTS_ROUTE);
  const first = record + ptr(record, op.EXPERTS_RECORDS);
  const alone = load<i32>(STEP_N_TOKENS) === 1 ? ptr(record, op.EXPERTS_ALONE) : 0;
  const parts = parts_of(first);
  const total = load<i32>(table, op.ROUTED_EXPERTS) * parts;
  const unit = share_unit(parts);
  const most = share_most(first);
  const threads = load<i32>(CONTROL_N_THREADS);
  for (;;) {
    let begin = take_share(counter(record), total, threads, unit, most);
    if (begin >= total) return;
    const end = begin + share(total - begin, threads, unit, most);
    while (begin < end) {
      const i = begin / parts;
      const stop = min(end, (i + 1) * parts);
      const expert = load<i32>(expert_at(table, i), op.ROUTED_CHOSEN);
      const weights = first + <usize>expert * op.RECORD_BYTES;
      multiply_slots(weights, expert_at(table, expert), begin - i * parts, stop - i * parts, alone, scratch);
      begin = stop;
    }
  }
}

/** Runs OP_COMBINE. A thread computes some rows of all chosen experts, and then adds them up. */
export function run_combine(record: usize, scratch: usize): void {
  const table = ptr(record, op.COMBINE_ROUTE);
  const first = record + ptr(record, op.COMBINE_RECORDS);
  const shared = ptr(record, op.COMBINE_SHARED);
  const tokens = load<i32>(STEP_N_TOKENS);
  const chosen = load<i32>(table, op.ROUTED_EXPERTS);
  const parts = parts_of(first);
  const unit = share_unit(parts);
  const most = share_most(first);
  const threads = load<i32>(CONTROL_N_THREADS);
  for (;;) {
    const begin = take_share(counter(record), parts, threads, unit, most);
    if (begin >= parts) return;
    const end = begin + share(parts - begin, threads, unit, most);
    for (let i = 0; i < chosen; i++) {
      const expert = load<i32>(expert_at(table, i), op.ROUTED_CHOSEN);
      const weights = first + <usize>expert * op.RECORD_BYTES;
      multiply_slots(weights, expert_at(table, expert), begin, end, 0, scratch);
    }
    if (shared) multiply_parts(record + shared, begin, end, 0, tokens, 0, scratch);
    combine_rows(record, table, first, begin, end, tokens);
  }
}

// Values that parts [begin, end) are of each token: slots, and the rows of the shared expert, have the same layout.
function combine_rows(record: usize, table: usize, first: usize, begin: i32, end: i32, tokens: i32): void {
  const from = begin * (GROUP_STRIPS * TILE_ROWS);
  const n = min(end * (GROUP_STRIPS * TILE_ROWS), int(record, op.COMBINE_N)) - from;
  const at = (<usize>from) << 2;
  const picked = int(record, op.COMBINE_PICKED);
  const picks = <usize>load<u32>(table, op.ROUTED_PICKS);
  const rows = ptr(first, op.MATMUL_OUT) + at;
  const stride = ptr(first, op.MATMUL_OUT_STRIDE);
  const add = ptr(record, op.COMBINE_ADD);
  for (let t = 0; t < tokens; t++) {
    combine_f32(
      picks + ((<usize>(t * picked)) << 3),
      picked,
      rows,
      stride,
      add ? add + <usize>t * ptr(record, op.COMBINE_ADD_STRIDE) + at : 0,
      ptr(record, op.COMBINE_OUT) + <usize>t * ptr(record, op.COMBINE_OUT_STRIDE) + at,
      n,
    );
  }
}

// Parts of an expert's matrix times all of its slots, or one token at `alone` if that is not 0. `weights` is its record.
function multiply_slots(
  weights: usize,
  expert: usize,
  begin: i32,
  end: i32,
  alone: usize,
  scratch: usize,
): void {
  const slot = load<i32>(expert, op.ROUTED_FIRST);
  multiply_parts(weights, begin, end, slot, load<i32>(expert, op.ROUTED_COUNT), alone, scratch);
}

function multiply_parts(
  weights: usize,
  begin: i32,
  end: i32,
  slot: i32,
  count: i32,
  alone: usize,
  scratch: usize,
): void {
  const xs = ptr(weights, op.MATMUL_X_STRIDE);
  const os = ptr(weights, op.MATMUL_OUT_STRIDE);
  const weight = int(weights, op.MATMUL_WEIGHT);
  const strips = int(weights, op.MATMUL_STRIPS);
  const groups = groups_in_part(weight);
  let dot = load<i32>(CONTROL_DOT);
  if (dot === DOT_MOVED && int(weights, op.MATMUL_LOWEST)) dot = DOT_WIDE;
  matmul(
    weight,
    ptr(weights, op.MATMUL_W),
    alone ? alone : ptr(weights, op.MATMUL_X) + <usize>slot * xs,
    xs,
    ptr(weights, op.MATMUL_OUT) + <usize>slot * os,
    os,
    ptr(weights, op.MATMUL_ADD),
    ptr(weights, op.MATMUL_ADD_STRIDE),
    begin * groups,
    min(end * groups, group_count(strips, group_strips(weight))),
    strips,
    int(weights, op.MATMUL_BLOCKS),
    count,
    dot,
    streams_of(parts_of(weights)),
    float(weights, op.MATMUL_FACTOR),
    scratch,
  );
}

/** How long the last share may take the other threads: see patience() in matmul.ts. */
export function experts_patience(record: usize): i32 {
  const isCombine = int(record, op.REC_OP) === op.OP_COMBINE;
  const table = ptr(record, isCombine ? op.COMBINE_ROUTE : op.EXPERTS_ROUTE);
  const first = record + ptr(record, isCombine ? op.COMBINE_RECORDS : op.EXPERTS_RECORDS);
  const weight = int(first, op.MATMUL_WEIGHT);
  const parts = min(share_most(first), parts_of(first));
  // A share reads the weights of one expert or of all, and multiplies eight tokens in the time of reading.
  const experts = isCombine ? load<i32>(table, op.ROUTED_EXPERTS) : 1;
  const eights = experts + (min(load<i32>(table, op.ROUTED_SLOTS), 64) >> 3);
  return parts * GROUP_STRIPS * int(first, op.MATMUL_BLOCKS) * (tile_bytes(weight) >> 3) * eights;
}

function parts_of(weights: usize): i32 {
  return group_count(int(weights, op.MATMUL_STRIPS), GROUP_STRIPS);
}

function groups_in_part(weight: i32): i32 {
  return GROUP_STRIPS / group_strips(weight);
}

function streams_of(parts: i32): i32 {
  return max(1, min(load<i32>(CONTROL_STREAMS), parts >> 1));
}

function share_unit(parts: i32): i32 {
  return load<i32>(STEP_N_TOKENS) === 1 ? max(1, streams_of(parts) >> 1) : 1;
}

// One token reads in streams as long as can be. For more tokens, what a share has of an expert stays in the second cache.
function share_most(first: usize): i32 {
  if (load<i32>(STEP_N_TOKENS) === 1) return i32.MAX_VALUE;
  return max(1, int(first, op.MATMUL_CHUNK) / groups_in_part(int(first, op.MATMUL_WEIGHT)));
}
