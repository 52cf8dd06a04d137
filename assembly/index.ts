// Sole entry of the kernels: what the host, tests and benchmarks may call.
import {
  CONST_BOOKS,
  CONST_EIGHT,
  CONST_EVEN,
  CONST_EXP2_COEFFICIENTS,
  CONST_EXP2_LOWEST,
  CONST_EXP2_ROUND,
  CONST_F16_MASK,
  CONST_FIELDS,
  CONST_FLIP,
  CONST_LOW_NIBBLES,
  CONST_OFFSET_BOOKS,
  CONST_ONE,
  CONST_ONES_16,
  CONST_SHIFT_13,
  CONST_SIXTEEN_16,
  CONST_TWO_112,
} from "./layout/control";
import { fp4_doubled } from "./types/fp4";
import { iq4_values } from "./types/iq/iq4_values";

export { attention, attention_scratch_bytes } from "./attention/attention";
export { kv_store_f16 } from "./attention/f16";
export { kv_store_f32 } from "./attention/f32";
export { kv_head_bytes } from "./attention/kv_types";
export { kv_store_q8 } from "./attention/q8";
export { quantize_q8, quantize_q8x4 } from "./formats/act_q8";
export { quantize_super, quantize_super_x4 } from "./formats/act_super";
export { embed_row } from "./formats/formats";
export { rope_angles, rope_freqs } from "./plan/ops/angles";
export { combine_f32 } from "./plan/ops/combine";
export { clamped_glu_f32, glu_f32 } from "./plan/ops/glu";
export { matmul, matvec } from "./plan/ops/matmul";
export { layernorm_f32, rmsnorm_f32 } from "./plan/ops/norm";
export { pack, unpack, unshift_scales } from "./plan/ops/pack";
export { rope_adjacent_f32, rope_halves_f32 } from "./plan/ops/rope";
export { open_step, run_step, work } from "./plan/run";
export {
  argmax,
  log_sum_exp,
  min_p_count,
  softmax_f32,
  sum_exp,
  top_k,
  walk_exp,
} from "./sample";
export { dot_form } from "./simd/dot";
export { load_f16, to_f16 } from "./simd/f16";
export { cos_f64, exp_f32, exp_f64, log_f64, pow_f64, sin_f64 } from "./simd/math";

/** Writes the constants that kernels load from memory. Once for each memory, before any kernel. */
export function init(): void {
  v128.store(CONST_LOW_NIBBLES, i8x16.splat(15));
  v128.store(CONST_ONES_16, i16x8.splat(1));
  v128.store(CONST_TWO_112, f32x4.splat(reinterpret<f32>(0x77800000)));
  v128.store(CONST_F16_MASK, i32x4.splat(0x8fffffff));
  v128.store(CONST_EXP2_LOWEST, f32x4.splat(-127));
  v128.store(CONST_EXP2_ROUND, f32x4.splat(12582912));
  v128.store(CONST_SIXTEEN_16, i16x8.splat(16));
  v128.store(CONST_SHIFT_13, i16x8.splat(8192));
  v128.store(CONST_FLIP, i8x16.splat(-128));
  v128.store(CONST_EIGHT, i8x16.splat(8));
  v128.store(CONST_EVEN, i16x8.splat(255));
  v128.store(CONST_OFFSET_BOOKS, i8x16.add(iq4_values(), i8x16.splat(-128)));
  v128.store(CONST_OFFSET_BOOKS, i8x16.add(fp4_doubled(), i8x16.splat(16)), 16);
  v128.store(CONST_OFFSET_BOOKS, i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 32);
  v128.store(CONST_ONE, f32x4.splat(1));
  v128.store(CONST_BOOKS, iq4_values());
  v128.store(CONST_BOOKS, i8x16(-15, -13, -11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11, 13, 15), 16);
  v128.store(CONST_BOOKS, i8x16(-62, -52, -44, -36, -28, -20, -12, -4, 4, 12, 20, 28, 36, 44, 52, 62), 32);
  v128.store(CONST_BOOKS, i8x16(-43, -25, -8, 8, 25, 43, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 48);
  v128.store(CONST_BOOKS, i8x16(-9, -7, -1, 1, 7, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 64);
  v128.store(CONST_BOOKS, i8x16(-4, -3, -2, -1, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0), 80);
  // Masks of bytes: 31, 7, 24, 8, 63, 3, 12, 48.
  let to = CONST_FIELDS;
  for (let masks = ((<u64>0x300c033f) << 32) | 0x0818071f; masks; masks >>= 8, to += 16)
    v128.store(to, i8x16.splat(<i8>masks));
  // The polynomial of degree 5 with constant 1 that has the least relative error, 9.2e-8, on |r| <= 1/2.
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.6931470036506653));
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.24022242426872253), 16);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.05550733953714371), 32);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.009671512991189957), 48);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.0013264712179079652), 64);
}
