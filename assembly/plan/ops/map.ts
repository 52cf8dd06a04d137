// OP_MAP: a function of each value of f32 rows, in place: scales, limits, soft caps, the temperature of long contexts.
import { STEP_POSITIONS } from "../../layout/control";
import * as op from "../../layout/ops";
import { element, float, int, next, ptr, rows } from "../../record";
import { log_f64, tanh_f32x4 } from "../../simd/math";
import { load_tail, store_tail } from "../../simd/reduce";

// Values that a thread takes at once.
const PART: i32 = 4096;

/** Runs the record. A unit of work is a part of a row. */
export function run_map(record: usize): void {
  const n = int(record, op.MAP_N);
  const parts = (n + PART - 1) / PART;
  const count = rows(record) * parts;
  const kind = int(record, op.MAP_KIND);
  for (let i = next(record); i < count; i = next(record)) {
    const row = i / parts;
    const first = (i % parts) * PART;
    const x = ptr(record, op.MAP_X) + <usize>row * ptr(record, op.MAP_X_STRIDE) + ((<usize>first) << 2);
    let a = float(record, op.MAP_A);
    const b = float(record, op.MAP_B);
    if (kind === op.MAP_TEMPERATURE) {
      const windows = floor(<f64>element(STEP_POSITIONS, row) / <f64>b);
      a = <f32>(1 + <f64>a * log_f64(windows + 1));
    }
    map_f32(kind, x, min(PART, n - first), a, b);
  }
}

function mapped(kind: i32, x: v128, a: v128, b: v128): v128 {
  if (kind === op.MAP_CLAMP) return f32x4.max(f32x4.min(x, a), f32x4.neg(a));
  const scaled = f32x4.mul(x, a);
  return kind === op.MAP_CAP ? f32x4.mul(b, tanh_f32x4(f32x4.div(scaled, b))) : scaled;
}

/**
 * x[i] = x[i] a                     kinds MAP_SCALE and MAP_TEMPERATURE
 * x[i] = x[i] held to [-a, a]       kind MAP_CLAMP
 * x[i] = b tanh(x[i] a / b)         kind MAP_CAP
 * x  f32 [n]
 * Units: n elements, any; pointers bytes
 * Align: 4 B                        Reads past the end: none
 * Source: Gemma Team 2024, "Gemma 2", arXiv:2408.00118, section 2 (soft caps)
 */
export function map_f32(kind: i32, x: usize, n: i32, a: f32, b: f32): void {
  const as = f32x4.splat(a);
  const bs = f32x4.splat(b);
  for (let rest = n; rest > 0; rest -= 4, x += 16) {
    if (rest >= 4) v128.store(x, mapped(kind, v128.load(x), as, bs));
    else store_tail(x, rest, mapped(kind, load_tail(x, rest), as, bs));
  }
}
