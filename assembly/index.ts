// Sole entry of the kernels: what the host may call.
import {
  CONST_F16_MASK,
  CONST_LOW_NIBBLES,
  CONST_MINUS_OFFSET,
  CONST_ONES_8,
  CONST_ONES_16,
  CONST_TWO_112,
} from "./layout/control";
import { ACT_OFFSET } from "./simd/dot";

export { matvec_q8, strip_offsets_q8 } from "./matmul/q8";
export { quantize_q4w, quantize_q8w } from "./quantize";

/** Writes the constants that kernels load from memory. Once for each memory, before any kernel. */
export function init(): void {
  v128.store(CONST_LOW_NIBBLES, i8x16.splat(15));
  v128.store(CONST_ONES_16, i16x8.splat(1));
  v128.store(CONST_ONES_8, i8x16.splat(1));
  v128.store(CONST_TWO_112, f32x4.splat(reinterpret<f32>(0x77800000)));
  v128.store(CONST_F16_MASK, i32x4.splat(0x8fffffff));
  v128.store(CONST_MINUS_OFFSET, i16x8.splat(<i16>-ACT_OFFSET));
}
