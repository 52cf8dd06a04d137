// Formats of superblocks: what their kernels share. A format is a type argument F: see fields.ts.
import {
  ACT_SUPER_HALVES,
  ACT_SUPER_SCALE,
  ACT_SUPER_SUMS,
  Q2K_HEAD_BYTES,
  Q2K_MINIMA,
  Q2K_TILE_BYTES,
  Q4K_HEAD_BYTES,
  Q4K_TILE_BYTES,
  Q5K_TILE_BYTES,
  Q6K_HEAD_BYTES,
  Q6K_SCALES,
  Q6K_TILE_BYTES,
  SUPER_MINIMA,
  SUPER_SCALES,
  X3K_TILE_BYTES,
  X4K_HEAD_BYTES,
} from "../layout/blocks";
import { f16_mask, load_scales } from "../simd/f16";
import {
  is_q2k,
  is_q4k,
  is_q5k,
  is_q6k,
  is_x3k,
  is_x4k,
  sum_q2k,
  sum_q4k,
  sum_q5k,
  sum_q6k,
  sum_x3k,
  sum_x4k,
} from "./fields";

/** Bytes of a tile. */
export function tile_of<F>(): usize {
  if (is_q4k<F>() || is_x4k<F>()) return Q4K_TILE_BYTES;
  if (is_q5k<F>()) return Q5K_TILE_BYTES;
  if (is_q6k<F>()) return Q6K_TILE_BYTES;
  return is_x3k<F>() ? X3K_TILE_BYTES : Q2K_TILE_BYTES;
}

/** Bytes of a header. */
export function head_bytes<F>(): usize {
  if (is_q2k<F>()) return Q2K_HEAD_BYTES;
  if (is_x4k<F>()) return X4K_HEAD_BYTES;
  return has_halves<F>() ? Q6K_HEAD_BYTES : Q4K_HEAD_BYTES;
}

/** Whether blocks have minima. */
export function has_minima<F>(): bool {
  return sizeof<F>() === 1 || is_q2k<F>();
}

/** Whether half blocks have scales (and minima) of their own, i8 [4 rows][2]; else blocks have them, i8 [4 rows]. */
export function has_halves<F>(): bool {
  return is_q6k<F>() || is_x3k<F>() || is_q2k<F>();
}

/** Where a header's integer scales are. */
export function scales_at<F>(): usize {
  return has_minima<F>() ? SUPER_SCALES : Q6K_SCALES;
}

/** Bytes of a block's integer scales. */
export function scale_step<F>(): usize {
  return has_halves<F>() ? 8 : 4;
}

/** Sums of a tile's rows times 32 activations and the scales of its block, i32. */
export function sum_tile<T, F>(
  tile: usize,
  scales: usize,
  halves: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  c0: v128,
  c1: v128,
  c2: v128,
  c3: v128,
): v128 {
  if (is_q4k<F>()) return sum_q4k<T>(tile, scales, x0, x1, x2, x3, x4, x5, x6, x7, c0);
  if (is_q5k<F>()) return sum_q5k<T>(tile, scales, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2, c3);
  if (is_x4k<F>()) return sum_x4k<T>(tile, scales, halves, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2);
  if (is_x3k<F>()) return sum_x3k<T>(tile, scales, halves, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2, c3);
  if (is_q2k<F>()) return sum_q2k<T>(tile, scales, x0, x1, x2, x3, x4, x5, x6, x7, c0);
  return sum_q6k<T>(tile, scales, halves, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2, c3);
}

/**
 * Adds what a superblock's sums stand for to the four rows at `row`: d * scale of x * sum, less dmin * scale of x * sum of
 * minima times activations.
 */
export function finish_super<F>(head: usize, x: usize, sum: v128, factor: f32, row: usize): void {
  const mask = f16_mask();
  const xs = f32x4.mul(v128.load32_splat(x, ACT_SUPER_SCALE), f32x4.splat(factor));
  let value = f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(load_scales(head, mask), xs));
  if (has_minima<F>()) {
    let m = i32x4.splat(0);
    if (is_q2k<F>()) {
      for (let j: usize = 0; j < 8; j++) {
        const minima = v128.load8x8_u(head + (j << 3), Q2K_MINIMA);
        m = i32x4.add(m, i32x4.dot_i16x8_s(minima, v128.load32_splat(x + (j << 2), ACT_SUPER_HALVES)));
      }
    } else {
      for (let j: usize = 0; j < 4; j++) {
        const minima = v128.load8x8_u(head + (j << 3), SUPER_MINIMA);
        m = i32x4.add(m, i32x4.dot_i16x8_s(minima, v128.load32_splat(x + (j << 2), ACT_SUPER_SUMS)));
      }
    }
    value = f32x4.sub(value, f32x4.mul(f32x4.convert_i32x4_s(m), f32x4.mul(load_scales(head + 8, mask), xs)));
  }
  v128.store(row, f32x4.add(value, v128.load(row)));
}
