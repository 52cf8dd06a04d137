// Which experts a token chooses by the products of a router, and the share of each.
import * as op from "../../layout/ops";
import { float, int, ptr } from "../../record";
import { exp_f32 } from "../../simd/math";

/** Bytes of a pick: i32 expert (later its slot), f32 share. */
export const PICK_BYTES: usize = 8;
// The sum of shares that are not softmax could vanish: the smallest normal f16, as llama.cpp has it.
const LEAST_SUM: f32 = 6.103515625e-5;

/**
 * The picks of a token: its experts, the best first, and their shares.
 * record   OP_ROUTE
 * logits   f32 [n]: the products of the router
 * picks    [used]
 * scratch  f32 [n]
 * Numerics: f32, sums in ascending order of experts or picks
 * Source: bias: Wang et al. 2024, arXiv:2408.15664; groups: DeepSeek-AI 2024, arXiv:2412.19437, section 2.1.2
 */
export function choose_experts(record: usize, logits: usize, picks: usize, scratch: usize): void {
  const n = int(record, op.ROUTE_N);
  const used = int(record, op.ROUTE_USED);
  const gate = int(record, op.ROUTE_GATE);
  const bias = ptr(record, op.ROUTE_BIAS);
  const groups = int(record, op.ROUTE_GROUPS);
  if (!bias && groups <= 1) {
    choose(logits, n, used, picks);
    weigh(gate, logits, n, used, picks, product_of(logits, picks));
  } else {
    const top = largest(logits, n);
    chances(gate, logits, bias, scratch, n, top);
    if (groups > 1) keep_groups(scratch, n, groups, int(record, op.ROUTE_GROUPS_USED));
    choose(scratch, n, used, picks);
    weigh(gate, logits, n, used, picks, top);
  }
  finish(int(record, op.ROUTE_NORMALIZE), float(record, op.ROUTE_SCALE), used, picks);
}

function value_of(values: usize, e: i32): f32 {
  return load<f32>(values + ((<usize>e) << 2));
}

// NaN counts as the smallest.
function ordered(x: f32): f32 {
  return x <= Infinity ? x : -Infinity;
}

function largest(values: usize, n: i32): f32 {
  let most: f32 = -Infinity;
  for (let e = 0; e < n; e++) most = max(most, ordered(value_of(values, e)));
  return most;
}

// The experts of the largest values, the largest first; of equal ones the lower index.
function choose(values: usize, n: i32, used: i32, picks: usize): void {
  let top: f32 = Infinity;
  let last = -1;
  for (let r = 0; r < used; r++) {
    let best = -1;
    let most: f32 = -Infinity;
    for (let e = 0; e < n; e++) {
      const x = ordered(value_of(values, e));
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

// What experts are chosen by if it is not the products themselves: their shares among all, and the bias.
function chances(gate: i32, logits: usize, bias: usize, out: usize, n: i32, top: f32): void {
  let sum: f32 = 0;
  if (gate === op.GATE_SOFTMAX) for (let e = 0; e < n; e++) sum += exp_f32(value_of(logits, e) - top);
  for (let e = 0; e < n; e++) {
    let x = value_of(logits, e);
    if (gate === op.GATE_SOFTMAX) x = exp_f32(x - top) / sum;
    else if (gate === op.GATE_SIGMOID) x = sigmoid(x);
    store<f32>(out + ((<usize>e) << 2), bias ? x + value_of(bias, e) : x);
  }
}

// Experts outside of the groups whose two best add up to most can no longer be chosen. Of equal sums the lower group is kept.
function keep_groups(values: usize, n: i32, groups: i32, kept: i32): void {
  const size = n / groups;
  let top: f32 = Infinity;
  let last = -1;
  // Behind the sum of the last that is kept, all others go.
  for (let r = 0; r < kept; r++) {
    let best = -1;
    let most: f32 = -Infinity;
    for (let g = 0; g < groups; g++) {
      const x = group_sum(values, g * size, size);
      if ((x < top || (x === top && g > last)) && (best < 0 || x > most)) {
        best = g;
        most = x;
      }
    }
    top = most;
    last = best;
  }
  for (let g = 0; g < groups; g++) {
    const x = group_sum(values, g * size, size);
    if (x > top || (x === top && g <= last)) continue;
    for (let e = g * size; e < (g + 1) * size; e++) store<f32>(values + ((<usize>e) << 2), -Infinity);
  }
}

// The two largest values of a group, added up; of a group of one the value.
function group_sum(values: usize, begin: i32, size: i32): f32 {
  let first: f32 = -Infinity;
  let second: f32 = -Infinity;
  for (let e = begin; e < begin + size; e++) {
    const x = ordered(value_of(values, e));
    if (x > first) {
      second = first;
      first = x;
    } else if (x > second) second = x;
  }
  return size > 1 ? first + second : first;
}

// The shares of a token's experts, before they are normalized and scaled. `top` is the largest product of all.
function weigh(gate: i32, logits: usize, n: i32, used: i32, picks: usize, top: f32): void {
  const stop = picks + <usize>used * PICK_BYTES;
  let sum: f32 = 0;
  if (gate === op.GATE_SOFTMAX) {
    for (let e = 0; e < n; e++) sum += exp_f32(value_of(logits, e) - top);
  } else if (gate === op.GATE_SOFTMAX_OF_CHOSEN) {
    top = -Infinity;
    for (let p = picks; p < stop; p += PICK_BYTES) top = max(top, product_of(logits, p));
    for (let p = picks; p < stop; p += PICK_BYTES) sum += exp_f32(product_of(logits, p) - top);
  }
  for (let p = picks; p < stop; p += PICK_BYTES) {
    const x = product_of(logits, p);
    store<f32>(p, gate === op.GATE_SIGMOID ? sigmoid(x) : exp_f32(x - top) / sum, 4);
  }
}

function product_of(logits: usize, pick: usize): f32 {
  return value_of(logits, load<i32>(pick));
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: f32): f32 {
  return <f32>1 / (<f32>1 + exp_f32(-x));
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
