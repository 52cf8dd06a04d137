// OP_ROUTE: chooses the experts of each token, and sorts the choices by expert into slots.
import { ACT_TOKENS } from "../../layout/blocks";
import { STEP_N_TOKENS } from "../../layout/control";
import * as op from "../../layout/ops";
import { float, int, next, ptr } from "../../record";
import { exp_f32 } from "../../simd/math";

// A pick: i32 expert (later its slot), f32 share.
const PICK_BYTES: usize = 8;
// The sum of shares that are not softmax could vanish: the smallest normal f16, as llama.cpp has it.
const LEAST_SUM: f32 = 6.103515625e-5;

/** Runs the record, on one thread: a slot follows from the choices of all tokens. */
export function run_route(record: usize): void {
  if (next(record)) return;
  const tokens = load<i32>(STEP_N_TOKENS);
  const used = int(record, op.ROUTE_USED);
  const table = ptr(record, op.ROUTE_TABLE);
  const slots = ptr(record, op.ROUTE_SLOTS);
  const picks = ptr(record, op.ROUTE_PICKS);
  const n = int(record, op.ROUTE_N);
  store<u32>(table, <u32>slots, op.ROUTED_SLOT_LIST);
  store<u32>(table, <u32>picks, op.ROUTED_PICKS);
  memory.fill(table + op.ROUTED_LIST, 0, (<usize>n) << 4);
  for (let t = 0; t < tokens; t++) {
    const logits = ptr(record, op.ROUTE_X) + <usize>t * ptr(record, op.ROUTE_X_STRIDE);
    const first = picks + <usize>(t * used) * PICK_BYTES;
    choose(logits, n, used, first);
    weigh(int(record, op.ROUTE_GATE), logits, n, used, first);
    finish(int(record, op.ROUTE_NORMALIZE), float(record, op.ROUTE_SCALE), used, first);
    for (let r = 0; r < used; r++) {
      const entry = expert_at(table, load<i32>(first + <usize>r * PICK_BYTES));
      store<i32>(entry, load<i32>(entry, op.ROUTED_COUNT) + 1, op.ROUTED_COUNT);
    }
  }
  place_experts(table, n);
  place_picks(table, slots, picks, tokens, used);
}

// A token's experts: those of the largest products, the largest first; of equal ones the lower index. NaN is smallest.
function choose(logits: usize, n: i32, used: i32, picks: usize): void {
  let top: f32 = Infinity;
  let last = -1;
  for (let r = 0; r < used; r++) {
    let best = -1;
    let most: f32 = -Infinity;
    for (let e = 0; e < n; e++) {
      const logit = load<f32>(logits + ((<usize>e) << 2));
      const x = logit <= Infinity ? logit : -Infinity;
      if ((x < top || (x === top && e > last)) && (best < 0 || x > most)) {
        best = e;
        most = x;
      }
    }
    store<i32>(picks + <usize>r * PICK_BYTES, best);
    top = most;
    last = best;
  }
}

// The shares of a token's experts, before they are normalized and scaled.
function weigh(gate: i32, logits: usize, n: i32, used: i32, picks: usize): void {
  const top = product_of(logits, picks);
  const stop = picks + <usize>used * PICK_BYTES;
  let sum: f32 = 0;
  if (gate === op.GATE_SOFTMAX) {
    for (let e = 0; e < n; e++) sum += exp_f32(load<f32>(logits + ((<usize>e) << 2)) - top);
  } else if (gate === op.GATE_SOFTMAX_OF_CHOSEN) {
    for (let p = picks; p < stop; p += PICK_BYTES) sum += exp_f32(product_of(logits, p) - top);
  }
  for (let p = picks; p < stop; p += PICK_BYTES) {
    const x = product_of(logits, p);
    store<f32>(p, gate === op.GATE_SIGMOID ? <f32>1 / (<f32>1 + exp_f32(-x)) : exp_f32(x - top) / sum, 4);
  }
}

function product_of(logits: usize, pick: usize): f32 {
  return load<f32>(logits + ((<usize>load<i32>(pick)) << 2));
}

function finish(normalize: i32, scale: f32, used: i32, picks: usize): void {
  const stop = picks + <usize>used * PICK_BYTES;
  let sum: f32 = 1;
  if (normalize) {
    sum = 0;
    for (let p = picks; p < stop; p += PICK_BYTES) sum += load<f32>(p, 4);
    sum = max(sum, LEAST_SUM);
  }
  for (let p = picks; p < stop; p += PICK_BYTES) store<f32>(p, (load<f32>(p, 4) / sum) * scale, 4);
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
function place_picks(table: usize, slots: usize, picks: usize, tokens: i32, used: i32): void {
  const all = load<i32>(table, op.ROUTED_SLOTS);
  for (let s = 0; s < all; s++) store<i32>(slots + ((<usize>s) << 3), -1);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < used; r++, picks += PICK_BYTES) {
      const expert = load<i32>(picks);
      const entry = expert_at(table, expert);
      const placed = load<i32>(entry, op.ROUTED_PLACED);
      store<i32>(entry, placed + 1, op.ROUTED_PLACED);
      const slot = load<i32>(entry, op.ROUTED_FIRST) + placed;
      const at = slots + ((<usize>slot) << 3);
      store<i32>(at, t);
      store<i32>(at, expert, 4);
      store<i32>(picks, slot);
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
