// Sole entry of the kernels: what the host may call.
import {
  CONST_EIGHT,
  CONST_EXP2_COEFFICIENTS,
  CONST_EXP2_LOWEST,
  CONST_EXP2_ROUND,
  CONST_F16_MASK,
  CONST_FLIP,
  CONST_LOW_NIBBLES,
  CONST_ONE,
  CONST_ONES_16,
  CONST_SHIFT_13,
  CONST_SIXTEEN_16,
  CONST_TWO_112,
} from "./layout/control";

export { attention_f16, attention_f32, attention_q8, attention_scratch_bytes } from "./attention";
export { embed_row } from "./embed";
export { glu_f32 } from "./glu";
export { kv_head_bytes, kv_store_f16, kv_store_f32, kv_store_q8 } from "./kv_store";
export { matmul_f32, matvec_f32, tile_f32 } from "./matmul/f32";
export {
  matmul_q4,
  matvec_q4,
  walk_q4_pairs,
  walk_q4_signed,
  walk_q4_unsigned,
  walk_q4_wide,
} from "./matmul/q4";
export {
  matmul_q8,
  matvec_q8,
  walk_q8_moved,
  walk_q8_signed,
  walk_q8_unsigned,
  walk_q8_wide,
} from "./matmul/q8";
export {
  tile_nibbles_add,
  tile_nibbles_pairs,
  tile_pairs,
  tile_signed,
  tile_unsigned,
  tile_wide,
  unpack_q4_bytes,
  unpack_q4_wide,
  unpack_q8_wide,
} from "./matmul/tiles";
export { pack, unpack, unshift_scales } from "./pack";
export { open_step, run_step, work } from "./plan";
export { quantize_q8, quantize_q8x4 } from "./quantize";
export { layernorm_f32, rmsnorm_f32 } from "./rmsnorm";
export { rope_adjacent_f32, rope_angles, rope_freqs, rope_halves_f32 } from "./rope";
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
  v128.store(CONST_ONE, f32x4.splat(1));
  // The polynomial of degree 5 with constant 1 that has the least relative error, 9.2e-8, on |r| <= 1/2.
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.6931470036506653));
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.24022242426872253), 16);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.05550733953714371), 32);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.009671512991189957), 48);
  v128.store(CONST_EXP2_COEFFICIENTS, f32x4.splat(0.0013264712179079652), 64);
}
