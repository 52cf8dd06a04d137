import {
  ACT_BLOCK_BYTES,
  ACT_SCALE,
  Q8_GROUP_BYTES,
  Q8_TILE_BYTES,
  TILE_SCALE_BYTES,
} from "../layout/blocks";
import { CONST_MINUS_OFFSET, CONST_ONES_8, CONST_ONES_16 } from "../layout/control";
import { dot_hi, dot_join, dot_lo, load_act, offset_add, offset_total } from "../simd/dot";
import { f16_mask, load_f16x4, two112 } from "../simd/f16";

// Half a block of one group, rows 0 and 1 (plain) or all four (relaxed). Small enough that -O3 inlines it.
function half_lo(acc: v128, w: usize, x: usize, ones: v128): v128 {
  acc = dot_lo(acc, v128.load(w), load_act(x), ones);
  acc = dot_lo(acc, v128.load(w, 16), load_act(x + 4), ones);
  acc = dot_lo(acc, v128.load(w, 32), load_act(x + 8), ones);
  return dot_lo(acc, v128.load(w, 48), load_act(x + 12), ones);
}

function half_hi(acc: v128, w: usize, x: usize): v128 {
  acc = dot_hi(acc, v128.load(w), load_act(x));
  acc = dot_hi(acc, v128.load(w, 16), load_act(x + 4));
  acc = dot_hi(acc, v128.load(w, 32), load_act(x + 8));
  return dot_hi(acc, v128.load(w, 48), load_act(x + 12));
}

function half_offset(sum: v128, w: usize, ones: v128): v128 {
  sum = offset_add(sum, v128.load(w), ones);
  sum = offset_add(sum, v128.load(w, 16), ones);
  sum = offset_add(sum, v128.load(w, 32), ones);
  return offset_add(sum, v128.load(w, 48), ones);
}

// -ACT_OFFSET * sum(w) of one group.
function group_offset(w: usize, ones8: v128, minus: v128): v128 {
  return offset_total(half_offset(half_offset(i32x4.splat(0), w, ones8), w + 64, ones8), minus);
}

/**
 * out[r] = sum_c W[r,c] * x[c] (+ add[r])      rows of strips [begin, end), one token
 * W    q8 tiles [strips * 16, blocks * 32]     see layout/blocks.ts
 * x    blocks activation blocks                from quantize_q8w()
 * out  f32 [strips * 16]
 * add  f32 [strips * 16] or 0                  may be out
 * Units: pointers bytes
 * Align: W 16 B, the rest 4 B                  Reads past the end: none
 * Numerics: i32 exact per block; f32 across blocks in ascending order, mul and add apart
 */
export function matvec_q8(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  blocks: i32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const ones8 = v128.load(CONST_ONES_8);
  const minus = v128.load(CONST_MINUS_OFFSET);
  const scale = two112();
  const mask = f16_mask();
  let tile = w + <usize>begin * <usize>blocks * Q8_TILE_BYTES;
  for (let strip = begin; strip < end; strip++) {
    let f0 = f32x4.splat(0);
    let f1 = f0;
    let f2 = f0;
    let f3 = f0;
    let xp = x;
    for (let b = 0; b < blocks; b++) {
      const w0 = tile + TILE_SCALE_BYTES;
      const w1 = w0 + Q8_GROUP_BYTES;
      const w2 = w1 + Q8_GROUP_BYTES;
      const w3 = w2 + Q8_GROUP_BYTES;
      const zero = i32x4.splat(0);
      const xs = v128.load32_splat(xp, ACT_SCALE);
      let lo = half_lo(half_lo(group_offset(w0, ones8, minus), w0, xp, ones), w0 + 64, xp + 16, ones);
      let hi = half_hi(half_hi(zero, w0, xp), w0 + 64, xp + 16);
      f0 = f32x4.add(
        f0,
        f32x4.mul(f32x4.convert_i32x4_s(dot_join(lo, hi)), f32x4.mul(load_f16x4(tile, scale, mask), xs)),
      );
      lo = half_lo(half_lo(group_offset(w1, ones8, minus), w1, xp, ones), w1 + 64, xp + 16, ones);
      hi = half_hi(half_hi(zero, w1, xp), w1 + 64, xp + 16);
      f1 = f32x4.add(
        f1,
        f32x4.mul(f32x4.convert_i32x4_s(dot_join(lo, hi)), f32x4.mul(load_f16x4(tile + 8, scale, mask), xs)),
      );
      lo = half_lo(half_lo(group_offset(w2, ones8, minus), w2, xp, ones), w2 + 64, xp + 16, ones);
      hi = half_hi(half_hi(zero, w2, xp), w2 + 64, xp + 16);
      f2 = f32x4.add(
        f2,
        f32x4.mul(f32x4.convert_i32x4_s(dot_join(lo, hi)), f32x4.mul(load_f16x4(tile + 16, scale, mask), xs)),
      );
      lo = half_lo(half_lo(group_offset(w3, ones8, minus), w3, xp, ones), w3 + 64, xp + 16, ones);
      hi = half_hi(half_hi(zero, w3, xp), w3 + 64, xp + 16);
      f3 = f32x4.add(
        f3,
        f32x4.mul(f32x4.convert_i32x4_s(dot_join(lo, hi)), f32x4.mul(load_f16x4(tile + 24, scale, mask), xs)),
      );
      tile += Q8_TILE_BYTES;
      xp += ACT_BLOCK_BYTES;
    }
    const at = (<usize>strip) << 6;
    if (add) {
      f0 = f32x4.add(f0, v128.load(add + at));
      f1 = f32x4.add(f1, v128.load(add + at, 16));
      f2 = f32x4.add(f2, v128.load(add + at, 32));
      f3 = f32x4.add(f3, v128.load(add + at, 48));
    }
    v128.store(out + at, f0);
    v128.store(out + at, f1, 16);
    v128.store(out + at, f2, 32);
    v128.store(out + at, f3, 48);
  }
}

/** Offsets of one strip for matmat_q8: sums[b * 4 + group] = -ACT_OFFSET * sum(w), i32x4. Nothing in plain builds. */
export function strip_offsets_q8(strip: usize, blocks: i32, sums: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  const ones8 = v128.load(CONST_ONES_8);
  const minus = v128.load(CONST_MINUS_OFFSET);
  for (let b = 0; b < blocks; b++) {
    const w0 = strip + TILE_SCALE_BYTES;
    v128.store(sums, group_offset(w0, ones8, minus));
    v128.store(sums, group_offset(w0 + 128, ones8, minus), 16);
    v128.store(sums, group_offset(w0 + 256, ones8, minus), 32);
    v128.store(sums, group_offset(w0 + 384, ones8, minus), 48);
    strip += Q8_TILE_BYTES;
    sums += 64;
  }
}
