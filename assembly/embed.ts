// Rows of the embedding table, out of the weight tiles that matmul reads.
import {
  BLOCK_COLS,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  WEIGHT_F32,
  WEIGHT_Q8,
} from "./layout/blocks";
import { group_bytes_before, group_size } from "./matmul/rows";

// Four int8 times d.
function scale4(bytes: v128, d: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes))), d);
}

// A scale of a tile, which is f16 shifted by 13 bits, times a power of two that makes it what it stands for.
function tile_scale(ptr: usize, factor: f32): v128 {
  const bits = <u32>((<i32>load<i16>(ptr)) << 13) & 0x8fffffff;
  return f32x4.splat(reinterpret<f32>(bits) * factor);
}

/**
 * out[c] = W[row, c] * scale
 * W      weight tiles of type `weight` [strips * 4, blocks * 32], the same that matmul reads
 * out    f32 [blocks * 32]
 * factor what scales of tiles are multiplied by: see MATMUL_FACTOR
 * Align: W 4 B, out 16 B        Reads past the end: none
 */
export function embed_row(
  w: usize,
  weight: i32,
  row: i32,
  strips: i32,
  blocks: i32,
  factor: f32,
  scale: f32,
  out: usize,
): void {
  const lane = <usize>row & 3;
  const strip = row >> 2;
  const stop = out + <usize>blocks * (4 * BLOCK_COLS);
  const f = f32x4.splat(scale);
  if (weight === WEIGHT_F32) {
    const size = group_size(strip, strips, F32_GROUP_STRIPS);
    // Four columns of a strip are 64 bytes.
    let p = w + group_bytes_before(strip, blocks, F32_GROUP_STRIPS, F32_TILE_BYTES);
    p += ((<usize>(strip % F32_GROUP_STRIPS)) << 6) + (lane << 2);
    for (; out < stop; out += 16, p += (<usize>size) << 6) {
      for (let c: usize = 0; c < 4; c++) store<f32>(out + (c << 2), load<f32>(p + (c << 4)) * scale);
    }
    return;
  }
  const tileBytes: usize = weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
  const step = <usize>group_size(strip, strips, GROUP_STRIPS) * tileBytes;
  let tile = w + group_bytes_before(strip, blocks, GROUP_STRIPS, tileBytes);
  tile += <usize>(strip % GROUP_STRIPS) * tileBytes;
  if (weight === WEIGHT_Q8) {
    for (; out < stop; out += 4 * BLOCK_COLS, tile += step) {
      const d = tile_scale(tile + (lane << 1), factor);
      for (let v: usize = 0; v < 8; v++) {
        const q = v128.load32_zero(tile + Q8_TILE_VALUES + (v << 4) + (lane << 2));
        v128.store(out + (v << 4), f32x4.mul(scale4(v128.xor(q, i8x16.splat(-128)), d), f));
      }
    }
    return;
  }
  for (; out < stop; out += 4 * BLOCK_COLS, tile += step) {
    const d = tile_scale(tile + (lane << 1), factor);
    for (let v: usize = 0; v < 4; v++) {
      const q = v128.load32_zero(tile + Q4_TILE_VALUES + (v << 4) + (lane << 2));
      const low = i8x16.sub(v128.and(q, i8x16.splat(15)), i8x16.splat(8));
      const high = i8x16.sub(i8x16.shr_u(q, 4), i8x16.splat(8));
      v128.store(out + (v << 4), f32x4.mul(scale4(low, d), f));
      v128.store(out + (v << 4) + 64, f32x4.mul(scale4(high, d), f));
    }
  }
}
