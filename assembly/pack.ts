import {
  BLOCK_COLS,
  F32_TILE_BYTES,
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  FILE_Q8_G,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_PAIR,
  Q8_TILE_SCALE,
  Q8_TILE_VALUES,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "./layout/blocks";
import { load_f16, to_f16 } from "./simd/f16";

const COLS: usize = BLOCK_COLS;

// Largest value accepted for q8 and q4: q4 divides it by 8, which must be a finite f16 (at most 65504).
const LARGEST: f32 = 500000;

// Exponent bits all set: NaN or infinity, which load_f16 would quietly make finite.
function f16_finite(bits: u32): bool {
  return (bits & 0x7c00) !== 0x7c00;
}

function value(file: i32, src: usize, i: i32): f32 {
  const at = <usize>i;
  if (file === FILE_F32) return load<f32>(src + (at << 2));
  if (file === FILE_F16) {
    const bits = <u32>load<u16>(src + (at << 1));
    return f16_finite(bits) ? load_f16(src + (at << 1)) : NaN;
  }
  if (file === FILE_BF16) return reinterpret<f32>((<u32>load<u16>(src + (at << 1))) << 16);
  const block = <usize>(i >> 5);
  const col = <usize>(i & 31);
  if (file === FILE_Q8_0) {
    const p = src + block * FILE_Q8_0_BYTES;
    if (!f16_finite(load<u16>(p))) return NaN;
    return load_f16(p) * <f32>load<i8>(p + 2 + col);
  }
  const p = src + block * FILE_Q4_0_BYTES;
  if (!f16_finite(load<u16>(p))) return NaN;
  const byte = <i32>load<u8>(p + 2 + (col & 15));
  return load_f16(p) * <f32>((col < 16 ? byte & 15 : byte >> 4) - 8);
}

/**
 * out[i] = value i of a file row, as f32
 * src    FILE_* data, n values from `first` on; the block types need first % 32 == 0
 * scales FILE_Q8_G only: f32, one for each `group` values counted from src
 * out    f32 [n]
 * Returns 0, or 1 where a value is NaN or infinite
 * Align: src 1 B                Reads past the end: none
 * Source: GGUF specification (block layouts); llama2.c export format, version 2
 */
export function unpack(
  file: i32,
  src: usize,
  scales: usize,
  group: i32,
  first: i32,
  n: i32,
  out: usize,
): i32 {
  let bad = 0;
  for (let i = 0; i < n; i++) {
    const at = first + i;
    const v =
      file === FILE_Q8_G
        ? load<f32>(scales + ((<usize>(at / group)) << 2)) * <f32>load<i8>(src + <usize>at)
        : value(file, src, at);
    if (!(abs(v) <= f32.MAX_VALUE)) bad = 1;
    store<f32>(out + ((<usize>i) << 2), v);
  }
  return bad;
}

function abs_max(row: usize): f32 {
  let m: f32 = 0;
  for (let c: usize = 0; c < COLS; c++) m = max(m, abs(load<f32>(row + (c << 2))));
  return m;
}

// Row r of a q8 tile from f32: d = max|x| / 127 as f16, q = round(x / d).
function quantize_q8(row: usize, tile: usize, r: usize): void {
  const pair = tile + r * Q8_TILE_PAIR;
  store<u16>(pair, to_f16(abs_max(row) / 127), Q8_TILE_SCALE);
  const d = load_f16(pair + Q8_TILE_SCALE);
  const inverse: f32 = d > 0 ? 1 / d : 0;
  let sum = 0;
  for (let c: usize = 0; c < COLS; c++) {
    const q = <i32>max<f32>(-127, min<f32>(127, nearest(load<f32>(row + (c << 2)) * inverse)));
    store<i8>(tile + Q8_TILE_VALUES + ((c >> 2) << 4) + (r << 2) + (c & 3), <i8>q);
    sum += q;
  }
  store<i16>(pair, <i16>-sum);
}

function q4_byte(tile: usize, r: usize, c: usize): usize {
  return tile + Q4_TILE_VALUES + ((c >> 2) << 4) + (r << 2) + (c & 3);
}

// Row r of a q4 tile from f32: the value of largest magnitude becomes exactly -8, as Q4_0 has it.
function quantize_q4(row: usize, tile: usize, r: usize): void {
  let m: f32 = 0;
  for (let c: usize = 0; c < COLS; c++) {
    const v = load<f32>(row + (c << 2));
    if (abs(v) > abs(m)) m = v;
  }
  store<u16>(tile + (r << 1), to_f16(m / -8));
  const d = load_f16(tile + (r << 1));
  const inverse: f32 = d !== 0 ? 1 / d : 0;
  for (let c: usize = 0; c < 16; c++) {
    const low = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + (c << 2)) * inverse + 8.5)));
    const high = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + ((c + 16) << 2)) * inverse + 8.5)));
    store<u8>(q4_byte(tile, r, c), <u8>(low | (high << 4)));
  }
}

// Four rows of 16 bytes become four vectors of 4 bytes of each row.
function store_transposed(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i32>(ab, cd, 0, 1, 4, 5));
  v128.store(out, v128.shuffle<i32>(ab, cd, 2, 3, 6, 7), 16);
  v128.store(out, v128.shuffle<i32>(ef, gh, 0, 1, 4, 5), 32);
  v128.store(out, v128.shuffle<i32>(ef, gh, 2, 3, 6, 7), 48);
}

// Copies the scales of four blocks to `out`, `step` bytes apart; returns 0, or 1 + the first row whose scale is NaN or
// infinite.
function copy_scales(p0: usize, p1: usize, p2: usize, p3: usize, out: usize, step: usize): i32 {
  const s0 = load<u16>(p0);
  const s1 = load<u16>(p1);
  const s2 = load<u16>(p2);
  const s3 = load<u16>(p3);
  if (!f16_finite(s0)) return 1;
  if (!f16_finite(s1)) return 2;
  if (!f16_finite(s2)) return 3;
  if (!f16_finite(s3)) return 4;
  store<u16>(out, s0);
  store<u16>(out + step, s1);
  store<u16>(out + 2 * step, s2);
  store<u16>(out + 3 * step, s3);
  return 0;
}

// Sums of pairs of 32 int8, as i16.
function pair_sums(row: usize): v128 {
  const low = i16x8.extadd_pairwise_i8x16_s(v128.load(row));
  return i32x4.extadd_pairwise_i16x8_s(i16x8.add(low, i16x8.extadd_pairwise_i8x16_s(v128.load(row, 16))));
}

// A q8 tile from the Q8_0 blocks of four rows: nothing is rounded. Returns as copy_scales.
function copy_tile_q8(p0: usize, p1: usize, p2: usize, p3: usize, tile: usize): i32 {
  const values = tile + Q8_TILE_VALUES;
  store_transposed(v128.load(p0, 2), v128.load(p1, 2), v128.load(p2, 2), v128.load(p3, 2), values);
  store_transposed(v128.load(p0, 18), v128.load(p1, 18), v128.load(p2, 18), v128.load(p3, 18), values + 64);
  const s0 = pair_sums(p0 + 2);
  const s1 = pair_sums(p1 + 2);
  const s2 = pair_sums(p2 + 2);
  const s3 = pair_sums(p3 + 2);
  const a = i32x4.add(v128.shuffle<i32>(s0, s1, 0, 4, 1, 5), v128.shuffle<i32>(s0, s1, 2, 6, 3, 7));
  const b = i32x4.add(v128.shuffle<i32>(s2, s3, 0, 4, 1, 5), v128.shuffle<i32>(s2, s3, 2, 6, 3, 7));
  const sums = i32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  // The upper halves make room for the scales.
  v128.store(tile, i32x4.neg(sums));
  return copy_scales(p0, p1, p2, p3, tile + Q8_TILE_SCALE, Q8_TILE_PAIR);
}

// A q4 tile from the Q4_0 blocks of four rows, whose nibble order it shares. Returns as copy_scales.
function copy_tile_q4(p0: usize, p1: usize, p2: usize, p3: usize, tile: usize): i32 {
  const values = tile + Q4_TILE_VALUES;
  store_transposed(v128.load(p0, 2), v128.load(p1, 2), v128.load(p2, 2), v128.load(p3, 2), values);
  return copy_scales(p0, p1, p2, p3, tile, 2);
}

// A strip from up to four rows of blocks that tiles take as they are; blocks of zeros stand for missing rows.
// Returns 0, or 1 + the row with a bad scale.
function copy_strip(
  q8: bool,
  src: usize,
  rowBytes: usize,
  rows: i32,
  blocks: i32,
  out: usize,
  zeros: usize,
): i32 {
  memory.fill(zeros, q8 ? 0 : 0x88, FILE_Q8_0_BYTES);
  store<u16>(zeros, 0);
  const step: usize = q8 ? FILE_Q8_0_BYTES : FILE_Q4_0_BYTES;
  const tileBytes: usize = q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
  let p1 = rows > 1 ? src + rowBytes : zeros;
  let p2 = rows > 2 ? src + 2 * rowBytes : zeros;
  let p3 = rows > 3 ? src + 3 * rowBytes : zeros;
  for (let b = 0; b < blocks; b++) {
    const bad = q8 ? copy_tile_q8(src, p1, p2, p3, out) : copy_tile_q4(src, p1, p2, p3, out);
    if (bad) return bad;
    src += step;
    if (rows > 1) p1 += step;
    if (rows > 2) p2 += step;
    if (rows > 3) p3 += step;
    out += tileBytes;
  }
  return 0;
}

// A row of zeros: what pads the last strip.
function zero_row(weight: i32, tile: usize, r: usize): void {
  if (weight === WEIGHT_F32) {
    for (let c: usize = 0; c < COLS; c++) store<f32>(tile + (c << 4) + (r << 2), 0);
  } else if (weight === WEIGHT_Q8) {
    store<i32>(tile + r * Q8_TILE_PAIR, 0);
    for (let v: usize = 0; v < 8; v++) store<i32>(tile + Q8_TILE_VALUES + (v << 4) + (r << 2), 0);
  } else {
    store<u16>(tile + (r << 1), 0);
    for (let c: usize = 0; c < 16; c++) store<u8>(q4_byte(tile, r, c), 0x88);
  }
}

function tile_bytes(weight: i32): usize {
  return weight === WEIGHT_F32 ? F32_TILE_BYTES : weight === WEIGHT_Q8 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

/**
 * Packs file rows into weight tiles.
 * src     FILE_* rows [rows, cols], one after the other, rowBytes apart
 * scales  FILE_Q8_G only: f32, one for each `group` values; value 0 of src is value `phase` of its group
 * out     WEIGHT_* strips [ceil(rows / 4)], missing rows and columns zero
 * scratch PACK_SCRATCH_BYTES, 16 B aligned
 * Returns 0; or 1 + the row that holds a NaN, an infinity or a value too large to quantize
 * Units: bytes; rows, cols, group, phase elements; block types need cols % 32 == 0
 * Align: src 1 B, out 8 B       Reads past the end: none
 * Numerics: Q8_0 to q8 and Q4_0 to q4 keep every bit of the file
 */
export function pack(
  file: i32,
  weight: i32,
  src: usize,
  rowBytes: usize,
  scales: usize,
  group: i32,
  phase: i32,
  rows: i32,
  cols: i32,
  out: usize,
  scratch: usize,
): i32 {
  const blocks = (cols + BLOCK_COLS - 1) / BLOCK_COLS;
  const tileBytes = tile_bytes(weight);
  const padded = (rows + TILE_ROWS - 1) & -TILE_ROWS;
  const q8 = file === FILE_Q8_0 && weight === WEIGHT_Q8;
  if (q8 || (file === FILE_Q4_0 && weight === WEIGHT_Q4)) {
    for (let row = 0; row < rows; row += TILE_ROWS) {
      const strip = out + <usize>(row >> 2) * <usize>blocks * tileBytes;
      const bad = copy_strip(q8, src + <usize>row * rowBytes, rowBytes, rows - row, blocks, strip, scratch);
      if (bad) return row + bad;
    }
    return 0;
  }
  for (let row = 0; row < padded; row++) {
    const r = <usize>row & 3;
    let tile = out + <usize>(row >> 2) * <usize>blocks * tileBytes;
    for (let b = 0; b < blocks; b++, tile += tileBytes) {
      if (row >= rows) {
        zero_row(weight, tile, r);
        continue;
      }
      const first = b * BLOCK_COLS;
      const rowSrc = src + <usize>row * rowBytes;
      const live = min(BLOCK_COLS, cols - first);
      // unpack() counts groups from src: the row's own are counted from the beginning of the first group.
      const skip = file === FILE_Q8_G ? phase + row * cols : 0;
      const bad = unpack(file, rowSrc - <usize>skip, scales, group, skip + first, live, scratch);
      for (let c = live; c < BLOCK_COLS; c++) store<f32>(scratch + ((<usize>c) << 2), 0);
      if (bad) return 1 + row;
      if (weight === WEIGHT_F32) {
        for (let c: usize = 0; c < COLS; c++) {
          store<f32>(tile + (c << 4) + (r << 2), load<f32>(scratch + (c << 2)));
        }
        continue;
      }
      if (abs_max(scratch) > LARGEST) return 1 + row;
      if (weight === WEIGHT_Q8) quantize_q8(scratch, tile, r);
      else quantize_q4(scratch, tile, r);
    }
  }
  return 0;
}
