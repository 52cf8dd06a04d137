// Sole entry of the kernels: what the host may call.
import { CONST_F16_MASK, CONST_LOW_NIBBLES, CONST_ONES_16, CONST_TWO_112 } from "./layout/control";

export { embed_row } from "./embed";
export { matmul_f32, matvec_f32 } from "./matmul/f32";
export { matmul_q4, matvec_q4 } from "./matmul/q4";
export { matmul_q8, matvec_q8 } from "./matmul/q8";
export { pack, unpack } from "./pack";
export { quantize_q4w, quantize_q8w } from "./quantize";

/** Writes the constants that kernels load from memory. Once for each memory, before any kernel. */
export function init(): void {
  v128.store(CONST_LOW_NIBBLES, i8x16.splat(15));
  v128.store(CONST_ONES_16, i16x8.splat(1));
  v128.store(CONST_TWO_112, f32x4.splat(reinterpret<f32>(0x77800000)));
  v128.store(CONST_F16_MASK, i32x4.splat(0x8fffffff));
}
