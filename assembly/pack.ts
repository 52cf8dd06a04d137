// Packs file rows into weight tiles.
import {
  BLOCK_COLS,
  F32_GROUP_STRIPS,
  F32_TILE_BYTES,
  FILE_BF16,
  FILE_F16,
  FILE_F32,
  FILE_Q4_0,
  FILE_Q4_0_BYTES,
  FILE_Q8_0,
  FILE_Q8_0_BYTES,
  FILE_Q8_G,
  GROUP_STRIPS,
  Q4_TILE_BYTES,
  Q4_TILE_VALUES,
  Q8_TILE_BYTES,
  Q8_TILE_VALUES,
  SCALE_SHIFT,
  TILE_ROWS,
  WEIGHT_F32,
  WEIGHT_Q4,
  WEIGHT_Q8,
} from "./layout/blocks";
import { CONTROL_PACKED, PACKED_LARGE_SCALE, PACKED_LOWEST } from "./layout/control";
import { group_bytes_before, group_size } from "./matmul/rows";
import { load_f16, to_f16 } from "./simd/f16";
import { set_bits } from "./sync";

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

// A scale's f16 bits at `from` as a tile has them: times 2^SCALE_SHIFT. One that is too large is noted, and what is stored
// is of no use: the host then packs the matrix anew, with shift 0.
function store_scale(from: u16, ptr: usize, shift: i32): void {
  if (!shift) {
    store<u16>(ptr, from);
    return;
  }
  const exponent = (from >> 10) & 31;
  if (exponent > <u16>(30 - SCALE_SHIFT)) set_bits(CONTROL_PACKED, PACKED_LARGE_SCALE);
  if (exponent) {
    store<u16>(ptr, from + <u16>(SCALE_SHIFT << 10));
    return;
  }
  store<u16>(ptr, from);
  store<u16>(ptr, to_f16(load_f16(ptr) * <f32>(1 << SCALE_SHIFT)));
}

// Row r of a q8 tile from f32: d = max|x| / 127 as f16, q = round(x / d).
function quantize_q8(row: usize, tile: usize, r: usize, shift: i32): void {
  const scale = to_f16(abs_max(row) / 127);
  const ptr = tile + (r << 1);
  store<u16>(ptr, scale);
  const d = load_f16(ptr);
  const inverse: f32 = d > 0 ? 1 / d : 0;
  for (let c: usize = 0; c < COLS; c++) {
    const q = <i32>max<f32>(-127, min<f32>(127, nearest(load<f32>(row + (c << 2)) * inverse)));
    store<u8>(tile + Q8_TILE_VALUES + ((c >> 2) << 4) + (r << 2) + (c & 3), <u8>(q + 128));
  }
  store_scale(scale, ptr, shift);
}

function q4_byte(tile: usize, r: usize, c: usize): usize {
  return tile + Q4_TILE_VALUES + ((c >> 2) << 4) + (r << 2) + (c & 3);
}

// Row r of a q4 tile from f32: the value of largest magnitude becomes exactly -8, as Q4_0 has it.
function quantize_q4(row: usize, tile: usize, r: usize, shift: i32): void {
  let m: f32 = 0;
  for (let c: usize = 0; c < COLS; c++) {
    const v = load<f32>(row + (c << 2));
    if (abs(v) > abs(m)) m = v;
  }
  const scale = to_f16(m / -8);
  const ptr = tile + (r << 1);
  store<u16>(ptr, scale);
  const d = load_f16(ptr);
  const inverse: f32 = d !== 0 ? 1 / d : 0;
  for (let c: usize = 0; c < 16; c++) {
    const low = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + (c << 2)) * inverse + 8.5)));
    const high = <i32>max<f32>(0, min<f32>(15, floor(load<f32>(row + ((c + 16) << 2)) * inverse + 8.5)));
    store<u8>(q4_byte(tile, r, c), <u8>(low | (high << 4)));
  }
  store_scale(scale, ptr, shift);
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

// Copies the scales of four blocks to `out`; returns 0, or 1 + the first row whose scale is NaN or infinite.
function copy_scales(p0: usize, p1: usize, p2: usize, p3: usize, out: usize, shift: i32): i32 {
  const s0 = load<u16>(p0);
  const s1 = load<u16>(p1);
  const s2 = load<u16>(p2);
  const s3 = load<u16>(p3);
  if (!f16_finite(s0)) return 1;
  if (!f16_finite(s1)) return 2;
  if (!f16_finite(s2)) return 3;
  if (!f16_finite(s3)) return 4;
  store_scale(s0, out, shift);
  store_scale(s1, out + 2, shift);
  store_scale(s2, out + 4, shift);
  store_scale(s3, out + 6, shift);
  return 0;
}

// 16 values of four rows to a q8 tile: bytes w + 128.
function copy_values_q8(p0: usize, p1: usize, p2: usize, p3: usize, out: usize): void {
  const flip = i8x16.splat(-128);
  const a = v128.xor(v128.load(p0), flip);
  const b = v128.xor(v128.load(p1), flip);
  const c = v128.xor(v128.load(p2), flip);
  const d = v128.xor(v128.load(p3), flip);
  if (!i8x16.all_true(i8x16.min_u(i8x16.min_u(a, b), i8x16.min_u(c, d)))) {
    set_bits(CONTROL_PACKED, PACKED_LOWEST);
  }
  store_transposed(a, b, c, d, out);
}

// A q8 tile from the Q8_0 blocks of four rows: nothing is rounded. Returns as copy_scales.
function copy_tile_q8(p0: usize, p1: usize, p2: usize, p3: usize, tile: usize, shift: i32): i32 {
  copy_values_q8(p0 + 2, p1 + 2, p2 + 2, p3 + 2, tile + Q8_TILE_VALUES);
  copy_values_q8(p0 + 18, p1 + 18, p2 + 18, p3 + 18, tile + Q8_TILE_VALUES + 64);
  return copy_scales(p0, p1, p2, p3, tile, shift);
}

// A q4 tile from the Q4_0 blocks of four rows, whose nibble order it shares. Returns as copy_scales.
function copy_tile_q4(p0: usize, p1: usize, p2: usize, p3: usize, tile: usize, shift: i32): i32 {
  const values = tile + Q4_TILE_VALUES;
  store_transposed(v128.load(p0, 2), v128.load(p1, 2), v128.load(p2, 2), v128.load(p3, 2), values);
  return copy_scales(p0, p1, p2, p3, tile, shift);
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
  outStep: usize,
  shift: i32,
  zeros: usize,
): i32 {
  memory.fill(zeros, q8 ? 0 : 0x88, FILE_Q8_0_BYTES);
  store<u16>(zeros, 0);
  const step: usize = q8 ? FILE_Q8_0_BYTES : FILE_Q4_0_BYTES;
  let p1 = rows > 1 ? src + rowBytes : zeros;
  let p2 = rows > 2 ? src + 2 * rowBytes : zeros;
  let p3 = rows > 3 ? src + 3 * rowBytes : zeros;
  for (let b = 0; b < blocks; b++) {
    const bad = q8 ? copy_tile_q8(src, p1, p2, p3, out, shift) : copy_tile_q4(src, p1, p2, p3, out, shift);
    if (bad) return bad;
    src += step;
    if (rows > 1) p1 += step;
    if (rows > 2) p2 += step;
    if (rows > 3) p3 += step;
    out += outStep;
  }
  return 0;
}

// Row r of a tile of q8 or q4 zeros: what pads the last strips.
function zero_row(weight: i32, tile: usize, r: usize): void {
  store<u16>(tile + (r << 1), 0);
  if (weight === WEIGHT_Q8) {
    for (let v: usize = 0; v < 8; v++) store<u32>(tile + Q8_TILE_VALUES + (v << 4) + (r << 2), 0x80808080);
  } else {
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
 * out     the matrix: WEIGHT_* tiles of `strips` strips. Those from `firstStrip` (even) on are written, missing columns
 *         zero, and behind rows that are no multiple of PADDED_ROWS, the last ones, zeros up to it
 * shift   what scales are multiplied by, as a power of two: SCALE_SHIFT or 0
 * scratch PACK_SCRATCH_BYTES, 16 B aligned
 * Returns 0; or 1 + the row that holds a NaN, an infinity or a value too large to quantize
 * Units: bytes; rows, cols, group, phase elements; block types need cols % 32 == 0
 * Align: src 1 B, out 8 B       Reads past the end: none
 * Numerics: Q8_0 to q8 and Q4_0 to q4 keep every bit of the file; sets PACKED_* of CONTROL_PACKED
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
  firstStrip: i32,
  strips: i32,
  shift: i32,
  scratch: usize,
): i32 {
  const blocks = (cols + BLOCK_COLS - 1) / BLOCK_COLS;
  const isF32 = weight === WEIGHT_F32;
  const tileBytes = tile_bytes(weight);
  const most = isF32 ? F32_GROUP_STRIPS : GROUP_STRIPS;
  const q8 = file === FILE_Q8_0 && weight === WEIGHT_Q8;
  const copies = q8 || (file === FILE_Q4_0 && weight === WEIGHT_Q4);
  // Only the last rows of a matrix end at an odd strip: the one behind it is padding.
  const here = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const end = here + (here & 1);
  for (let s = 0; s < end; s++) {
    const strip = firstStrip + s;
    const step = <usize>group_size(strip, strips, most) * (isF32 ? 64 : tileBytes);
    const first = <usize>(strip % most) * (isF32 ? 64 : tileBytes);
    const tile = out + group_bytes_before(strip, blocks, most, tileBytes) + first;
    const row = s * TILE_ROWS;
    if (copies && row < rows) {
      const from = src + <usize>row * rowBytes;
      const bad = copy_strip(q8, from, rowBytes, rows - row, blocks, tile, step, shift, scratch);
      if (bad) return row + bad;
      continue;
    }
    for (let r = 0; r < TILE_ROWS; r++) {
      const at = row + r;
      const rowSrc = src + <usize>at * rowBytes;
      for (let b = 0; b < blocks; b++) {
        const cell = tile + <usize>b * step * (isF32 ? 8 : 1);
        const bad =
          at < rows
            ? pack_row(
                file,
                weight,
                rowSrc,
                scales,
                group,
                phase + at * cols,
                b,
                cols,
                cell,
                step,
                r,
                shift,
                scratch,
              )
            : pad_row(weight, cell, step, r);
        if (bad) return 1 + at;
      }
    }
  }
  return 0;
}

/**
 * Takes 2^SCALE_SHIFT off the scales of a matrix's first `count` strips again: exactly what pack() was given, subnormals
 * included.
 */
export function unshift_scales(w: usize, weight: i32, count: i32, strips: i32, blocks: i32): void {
  const tileBytes = tile_bytes(weight);
  const back: f32 = 1 / <f32>(1 << SCALE_SHIFT);
  for (let strip = 0; strip < count; strip++) {
    const step = <usize>group_size(strip, strips, GROUP_STRIPS) * tileBytes;
    let tile = w + group_bytes_before(strip, blocks, GROUP_STRIPS, tileBytes);
    tile += <usize>(strip % GROUP_STRIPS) * tileBytes;
    for (let b = 0; b < blocks; b++, tile += step) {
      for (let r: usize = 0; r < 8; r += 2) store<u16>(tile + r, to_f16(load_f16(tile + r) * back));
    }
  }
}

function pad_row(weight: i32, tile: usize, step: usize, r: i32): i32 {
  if (weight === WEIGHT_F32) {
    for (let c: usize = 0; c < COLS; c++) {
      store<f32>(tile + (c >> 2) * step + ((c & 3) << 4) + ((<usize>r) << 2), 0);
    }
  } else {
    zero_row(weight, tile, <usize>r);
  }
  return 0;
}

// Block b of a row as row r of a tile. Returns 0, or 1 where a value cannot be packed.
function pack_row(
  file: i32,
  weight: i32,
  rowSrc: usize,
  scales: usize,
  group: i32,
  skipped: i32,
  b: i32,
  cols: i32,
  tile: usize,
  step: usize,
  r: i32,
  shift: i32,
  scratch: usize,
): i32 {
  const first = b * BLOCK_COLS;
  const live = min(BLOCK_COLS, cols - first);
  // unpack() counts groups from src: the row's own are counted from the beginning of the first group.
  const skip = file === FILE_Q8_G ? skipped : 0;
  if (unpack(file, rowSrc - <usize>skip, scales, group, skip + first, live, scratch)) return 1;
  for (let c = live; c < BLOCK_COLS; c++) store<f32>(scratch + ((<usize>c) << 2), 0);
  if (weight === WEIGHT_F32) {
    for (let c: usize = 0; c < COLS; c++) {
      store<f32>(tile + (c >> 2) * step + ((c & 3) << 4) + ((<usize>r) << 2), load<f32>(scratch + (c << 2)));
    }
    return 0;
  }
  if (abs_max(scratch) > LARGEST) return 1;
  if (weight === WEIGHT_Q8) quantize_q8(scratch, tile, <usize>r, shift);
  else quantize_q4(scratch, tile, <usize>r, shift);
  return 0;
}
