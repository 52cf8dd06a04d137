// OP_ROUTE: chooses the experts of each token, and sorts the choices by expert into slots.
import { matmul_f32 } from "../../formats/f32";
import { group_count } from "../../formats/groups";
import { ACT_TOKENS, F32_GROUP_STRIPS } from "../../layout/blocks";
import { STEP_N_TOKENS } from "../../layout/control";
import * as op from "../../layout/ops";
import { counter, float, int, ptr } from "../../record";
import { madd } from "../../simd/math";
import { sum_f32x4 } from "../../simd/reduce";
import { take } from "../../sync";
import { choose_experts, PICK_BYTES, sigmoid } from "./choose";

// Tokens that a thread takes at once: they share the reading of the router.
const TAKEN: i32 = 4;

/**
 * Runs the record: products and choices token by token. Slots follow from the choices of all tokens, so the thread that
 * ends last gives them.
 * scratch  f32 [n]
 */
export function run_route(record: usize, scratch: usize): void {
  const tokens = load<i32>(STEP_N_TOKENS);
  const table = ptr(record, op.ROUTE_TABLE);
  for (;;) {
    const begin = take(counter(record), TAKEN);
    if (begin >= tokens) return;
    const count = min(TAKEN, tokens - begin);
    pick_experts(record, begin, count, scratch);
    if (take(table + op.ROUTED_DONE, count) + count === tokens) {
      store<i32>(table, 0, op.ROUTED_DONE);
      place(record, table, tokens);
    }
  }
}

// The picks of tokens [begin, begin + count).
function pick_experts(record: usize, begin: i32, count: i32, scratch: usize): void {
  const router = record + ptr(record, op.ROUTE_ROUTER);
  const xs = ptr(router, op.MATMUL_X_STRIDE);
  const os = ptr(router, op.MATMUL_OUT_STRIDE);
  const as = ptr(router, op.MATMUL_ADD_STRIDE);
  const add = ptr(router, op.MATMUL_ADD);
  const strips = int(router, op.MATMUL_STRIPS);
  const blocks = int(router, op.MATMUL_BLOCKS);
  let x = ptr(router, op.MATMUL_X) + <usize>begin * xs;
  let logits = ptr(router, op.MATMUL_OUT) + <usize>begin * os;
  matmul_f32(
    ptr(router, op.MATMUL_W),
    x,
    xs,
    logits,
    os,
    add ? add + <usize>begin * as : 0,
    as,
    0,
    group_count(strips, F32_GROUP_STRIPS),
    strips,
    blocks,
    count,
  );
  const used = int(record, op.ROUTE_USED);
  const picked = int(record, op.ROUTE_PICKED);
  for (let t = begin; t < begin + count; t++, x += xs, logits += os) {
    const picks = ptr(record, op.ROUTE_PICKS) + <usize>(t * picked) * PICK_BYTES;
    choose_experts(record, logits, picks, scratch);
    if (picked === used) continue;
    const gate = ptr(record, op.ROUTE_SHARED_GATE);
    const share: f32 = gate ? sigmoid(dot_f32(gate, x, blocks)) : 1;
    const last = picks + <usize>used * PICK_BYTES;
    store<i32>(last, int(record, op.ROUTE_SHARED) + t);
    store<f32>(last, share * float(record, op.ROUTE_SHARED_SCALE), 4);
  }
}

// The product of two rows of whole blocks: f32, four sums of every fourth column.
function dot_f32(a: usize, b: usize, blocks: i32): f32 {
  const stop = a + ((<usize>blocks) << 7);
  let sum = f32x4.splat(0);
  for (; a < stop; a += 16, b += 16) sum = madd(sum, v128.load(a), v128.load(b));
  return sum_f32x4(sum);
}

// Slots of all picks.
function place(record: usize, table: usize, tokens: i32): void {
  const slots = ptr(record, op.ROUTE_SLOTS);
  const picks = ptr(record, op.ROUTE_PICKS);
  const used = int(record, op.ROUTE_USED);
  const picked = int(record, op.ROUTE_PICKED);
  const n = int(record, op.ROUTE_N);
  store<u32>(table, <u32>slots, op.ROUTED_SLOT_LIST);
  store<u32>(table, <u32>picks, op.ROUTED_PICKS);
  memory.fill(table + op.ROUTED_LIST, 0, (<usize>n) << 4);
  for (let t = 0; t < tokens; t++) {
    const first = picks + <usize>(t * picked) * PICK_BYTES;
    for (let r = 0; r < used; r++) {
      const entry = expert_at(table, load<i32>(first + <usize>r * PICK_BYTES));
      store<i32>(entry, load<i32>(entry, op.ROUTED_COUNT) + 1, op.ROUTED_COUNT);
    }
  }
  place_experts(table, n);
  place_picks(table, slots, picks, tokens, used, picked);
}

/** The words of an expert in a routing table. */
export function expert_at(table: usize, expert: i32): usize {
  return table + op.ROUTED_LIST + <usize>expert * op.ROUTED_BYTES;
}

// First slots, and the list of experts that were chosen.
function place_experts(table: usize, n: i32): void {
  let chosen = 0;
  let slots = 0;
  for (let e = 0; e < n; e++) {
    const entry = expert_at(table, e);
    const count = load<i32>(entry, op.ROUTED_COUNT);
    if (!count) continue;
    store<i32>(expert_at(table, chosen++), e, op.ROUTED_CHOSEN);
    store<i32>(entry, slots, op.ROUTED_FIRST);
    slots += count === 1 ? 1 : (count + ACT_TOKENS - 1) & -ACT_TOKENS;
  }
  store<i32>(table, chosen, op.ROUTED_EXPERTS);
  store<i32>(table, slots, op.ROUTED_SLOTS);
}

// Picks learn their slots, and slots their tokens.
function place_picks(table: usize, slots: usize, picks: usize, tokens: i32, used: i32, picked: i32): void {
  const all = load<i32>(table, op.ROUTED_SLOTS);
  for (let s = 0; s < all; s++) store<i32>(slots + ((<usize>s) << 3), -1);
  for (let t = 0; t < tokens; t++, picks += <usize>picked * PICK_BYTES) {
    for (let r = 0; r < used; r++) {
      const pick = picks + <usize>r * PICK_BYTES;
      const expert = load<i32>(pick);
      const entry = expert_at(table, expert);
      const placed = load<i32>(entry, op.ROUTED_PLACED);
      store<i32>(entry, placed + 1, op.ROUTED_PLACED);
      const slot = load<i32>(entry, op.ROUTED_FIRST) + placed;
      const at = slots + ((<usize>slot) << 3);
      store<i32>(at, t);
      store<i32>(at, expert, 4);
      store<i32>(pick, slot);
    }
  }
}

// ---- What the operations on slots read of a table.

/** Slots of the step. */
export function slot_count(table: usize): i32 {
  return load<i32>(table, op.ROUTED_SLOTS);
}

/** The token of a slot; -1: none. */
export function slot_token(table: usize, slot: i32): i32 {
  return load<i32>(<usize>load<u32>(table, op.ROUTED_SLOT_LIST) + ((<usize>slot) << 3));
}

/** The words of the expert of a slot that has a token. */
export function slot_expert(table: usize, slot: i32): usize {
  return expert_at(table, load<i32>(<usize>load<u32>(table, op.ROUTED_SLOT_LIST) + ((<usize>slot) << 3), 4));
}
