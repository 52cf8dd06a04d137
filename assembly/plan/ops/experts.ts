// OP_EXPERTS: the weights of chosen experts times the slots of their tokens. Weights of others are not read, and those of an
// expert are read once, however many tokens chose it.
import { group_strips, tile_bytes } from "../../formats/formats";
import { group_count } from "../../formats/groups";
import { DOT_MOVED, DOT_WIDE } from "../../layout/blocks";
import { CONTROL_DOT, CONTROL_N_THREADS, CONTROL_STREAMS } from "../../layout/control";
import * as op from "../../layout/ops";
import { counter, float, int, ptr } from "../../record";
import { share, take_share } from "../../sync";
import { matmul } from "./matmul";
import { expert_at } from "./route";

/** Runs the record. Threads take shares of the groups of all chosen experts, one behind the other. */
export function run_experts(record: usize, scratch: usize): void {
  const table = ptr(record, op.EXPERTS_ROUTE);
  const first = record + ptr(record, op.EXPERTS_RECORDS);
  const groups = expert_groups(first);
  const total = load<i32>(table, op.ROUTED_EXPERTS) * groups;
  const unit = share_unit(groups);
  const most = share_most(table, first);
  const threads = load<i32>(CONTROL_N_THREADS);
  for (;;) {
    let begin = take_share(counter(record), total, threads, unit, most);
    if (begin >= total) return;
    const end = begin + share(total - begin, threads, unit, most);
    while (begin < end) {
      const i = begin / groups;
      const stop = min(end, (i + 1) * groups);
      const expert = load<i32>(expert_at(table, i), op.ROUTED_CHOSEN);
      const weights = first + <usize>expert * op.RECORD_BYTES;
      multiply_expert(weights, expert_at(table, expert), begin - i * groups, stop - i * groups, scratch);
      begin = stop;
    }
  }
}

// Groups [begin, end) of an expert's strips, for all of its slots. `weights` is the expert's record.
function multiply_expert(weights: usize, expert: usize, begin: i32, end: i32, scratch: usize): void {
  const slot = <usize>load<i32>(expert, op.ROUTED_FIRST);
  const xs = ptr(weights, op.MATMUL_X_STRIDE);
  const os = ptr(weights, op.MATMUL_OUT_STRIDE);
  let dot = load<i32>(CONTROL_DOT);
  if (dot === DOT_MOVED && int(weights, op.MATMUL_LOWEST)) dot = DOT_WIDE;
  matmul(
    int(weights, op.MATMUL_WEIGHT),
    ptr(weights, op.MATMUL_W),
    ptr(weights, op.MATMUL_X) + slot * xs,
    xs,
    ptr(weights, op.MATMUL_OUT) + slot * os,
    os,
    ptr(weights, op.MATMUL_ADD),
    ptr(weights, op.MATMUL_ADD_STRIDE),
    begin,
    end,
    int(weights, op.MATMUL_STRIPS),
    int(weights, op.MATMUL_BLOCKS),
    load<i32>(expert, op.ROUTED_COUNT),
    dot,
    streams_of(expert_groups(weights)),
    float(weights, op.MATMUL_FACTOR),
    scratch,
  );
}

/** How long the last share may take the other threads: see patience() in matmul.ts. */
export function experts_patience(record: usize): i32 {
  const table = ptr(record, op.EXPERTS_ROUTE);
  const first = record + ptr(record, op.EXPERTS_RECORDS);
  const weight = int(first, op.MATMUL_WEIGHT);
  const groups = min(share_most(table, first), expert_groups(first));
  const tokens = min(load<i32>(table, op.ROUTED_SLOTS), 64);
  const bytes = groups * group_strips(weight) * int(first, op.MATMUL_BLOCKS) * (tile_bytes(weight) >> 3);
  return bytes * ((tokens + 7) >> 3);
}

function expert_groups(weights: usize): i32 {
  return group_count(int(weights, op.MATMUL_STRIPS), group_strips(int(weights, op.MATMUL_WEIGHT)));
}

function streams_of(groups: i32): i32 {
  return max(1, min(load<i32>(CONTROL_STREAMS), groups >> 1));
}

function share_unit(groups: i32): i32 {
  return max(1, streams_of(groups) >> 1);
}

// If each expert has one token, as when one sequence decodes, a share may be a whole expert; else it stays in the cache.
function share_most(table: usize, first: usize): i32 {
  const alone = load<i32>(table, op.ROUTED_EXPERTS) === load<i32>(table, op.ROUTED_SLOTS);
  return alone ? expert_groups(first) : int(first, op.MATMUL_CHUNK);
}
