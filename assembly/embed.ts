import {
  BLOCK_COLS,
  F32_TILE_BYTES,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_PAIR,
  Q8_TILE_SCALE,
  Q8_TILE_VALUES,
  WEIGHT_F32,
  WEIGHT_Q8,
} from "./layout/blocks";
import { load_f16 } from "./simd/f16";

// Four int8 at ptr times d.
function scale4(bytes: v128, d: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes))), d);
}

/**
 * out[c] = W[row, c] * factor
 * W    weight tiles of type `weight` [rows, blocks * 32], the same that matmul reads
 * out  f32 [blocks * 32]
 * Align: W 4 B, out 16 B        Reads past the end: none
 */
export function embed_row(w: usize, weight: i32, row: i32, blocks: i32, factor: f32, out: usize): void {
  const lane = <usize>row & 3;
  const strip = <usize>(row >> 2) * <usize>blocks;
  const stop = out + <usize>blocks * (4 * BLOCK_COLS);
  const f = f32x4.splat(factor);
  if (weight === WEIGHT_F32) {
    for (let p = w + strip * F32_TILE_BYTES + (lane << 2); out < stop; out += 4, p += 16) {
      store<f32>(out, load<f32>(p) * factor);
    }
    return;
  }
  if (weight === WEIGHT_Q8) {
    for (let tile = w + strip * Q8_TILE_BYTES; out < stop; out += 4 * BLOCK_COLS, tile += Q8_TILE_BYTES) {
      const d = f32x4.splat(load_f16(tile + lane * Q8_TILE_PAIR + Q8_TILE_SCALE));
      for (let v: usize = 0; v < 8; v++) {
        const q = v128.load32_zero(tile + Q8_TILE_VALUES + (v << 4) + (lane << 2));
        v128.store(out + (v << 4), f32x4.mul(scale4(q, d), f));
      }
    }
    return;
  }
  for (let tile = w + strip * Q4_TILE_BYTES; out < stop; out += 4 * BLOCK_COLS, tile += Q4_TILE_BYTES) {
    const d = f32x4.splat(load_f16(tile + (lane << 1)));
    for (let v: usize = 0; v < 4; v++) {
      const q = v128.load32_zero(tile + Q4_TILE_VALUES + (v << 4) + (lane << 2));
      const low = i8x16.sub(v128.and(q, i8x16.splat(15)), i8x16.splat(8));
      const high = i8x16.sub(i8x16.shr_u(q, 4), i8x16.splat(8));
      v128.store(out + (v << 4), f32x4.mul(scale4(low, d), f));
      v128.store(out + (v << 4) + 64, f32x4.mul(scale4(high, d), f));
    }
  }
}
