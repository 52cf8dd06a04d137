// Sole entry of the quantizer's module: values of one tensor type into another.
import { decode } from "../types/types.gen";
import { encode_bf16, encode_f16, take_overflow } from "./half";
import { encode_iq4_nl } from "./iq4_nl";
import { encode_q4_k, encode_q5_k, encode_q6_k } from "./k_types";
import { encode_q4_0, encode_q4_1, encode_q5_0, encode_q5_1, encode_q8_0 } from "./legacy";
import {
  TO_BF16,
  TO_F16,
  TO_F32,
  TO_IQ4_NL,
  TO_Q4_0,
  TO_Q4_1,
  TO_Q4_K,
  TO_Q5_0,
  TO_Q5_1,
  TO_Q5_K,
  TO_Q6_K,
  TO_Q8_0,
} from "./targets";

/** The first address that nothing of the module uses, 16 B aligned. */
export function begin(): usize {
  return (__heap_base + 15) & ~15;
}

/**
 * out = the mean of `pool` times as many rows, as f32
 * src      FILE_* rows [pool][rows, cols], rowBytes apart, poolBytes from one of `pool` to the next
 * out      f32 [rows, cols], 16 B aligned
 * scratch  f32 [cols]
 * Units: bytes; rows, cols elements; block types need cols to be a multiple of their block
 * Numerics: f32 sums in ascending order, divided by `pool`
 */
export function average(
  file: i32,
  src: usize,
  rowBytes: usize,
  rows: i32,
  cols: i32,
  pool: i32,
  poolBytes: usize,
  out: usize,
  scratch: usize,
): void {
  const end = (<usize>cols) << 2;
  for (let r = 0; r < rows; r++, src += rowBytes, out += end) {
    decode(file, src, 0, 0, 0, cols, out);
    for (let p = 1; p < pool; p++) {
      decode(file, src + <usize>p * poolBytes, 0, 0, 0, cols, scratch);
      for (let c: usize = 0; c < end; c += 4) {
        store<f32>(out + c, load<f32>(out + c) + load<f32>(scratch + c));
      }
    }
    for (let c: usize = 0; c < end; c += 4) store<f32>(out + c, load<f32>(out + c) / <f32>pool);
  }
}

/** out[i] = value i as f32, i in [0, n), of FILE_* data that begins with a block. */
export function read(file: i32, src: usize, n: i32, out: usize): void {
  decode(file, src, 0, 0, 0, n, out);
}

/**
 * out = x in another type
 * x    f32 [n], 16 B aligned
 * n    elements, a multiple of the type's block
 * Returns 0; 1 if a value is NaN or infinite; 2 if a value or scale is too large for its 16 bits
 * Reads past the end: none
 */
export function encode(type: i32, x: usize, n: i32, out: usize): i32 {
  if (!all_finite(x, n)) return 1;
  if (type === TO_F32) memory.copy(out, x, (<usize>n) << 2);
  else if (type === TO_F16) encode_f16(x, n, out);
  else if (type === TO_BF16) encode_bf16(x, n, out);
  else if (type === TO_Q8_0) encode_q8_0(x, n, out);
  else if (type === TO_Q4_0) encode_q4_0(x, n, out);
  else if (type === TO_Q4_1) encode_q4_1(x, n, out);
  else if (type === TO_Q5_0) encode_q5_0(x, n, out);
  else if (type === TO_Q5_1) encode_q5_1(x, n, out);
  else if (type === TO_Q4_K) encode_q4_k(x, n, out);
  else if (type === TO_Q5_K) encode_q5_k(x, n, out);
  else if (type === TO_Q6_K) encode_q6_k(x, n, out);
  else if (type === TO_IQ4_NL) encode_iq4_nl(x, n, out);
  return take_overflow() ? 2 : 0;
}

function all_finite(x: usize, n: i32): bool {
  const end = x + ((<usize>n) << 2);
  const most = f32x4.splat(f32.MAX_VALUE);
  let known = i32x4.splat(-1);
  for (; x + 16 <= end; x += 16) known = v128.and(known, f32x4.le(f32x4.abs(v128.load(x)), most));
  let ok = i32x4.all_true(known);
  for (; x < end; x += 4) ok = ok && abs(load<f32>(x)) <= f32.MAX_VALUE;
  return ok;
}
