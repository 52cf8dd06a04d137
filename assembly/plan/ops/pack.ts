// OP_PACK: packs file rows into weight tiles, at load.
import {
  begin_super,
  cell_bytes,
  cell_step,
  copy_tile,
  is_copied,
  is_super,
  pack_row,
  pack_super_row,
  strip_at,
  tile_bytes,
  unshift_super,
  zero_row,
} from "../../formats/formats";
import { has_tile_minima } from "../../formats/offsets";
import { unshift_tile } from "../../formats/scales";
import { BLOCK_COLS, TILE_MINIMA, TILE_ROWS } from "../../layout/blocks";
import { CONTROL_BAD_ROW } from "../../layout/control";
import * as op from "../../layout/ops";
import { counter, int, ptr } from "../../record";
import { lower, take } from "../../sync";
import { block_bytes, decode } from "../../types/types.gen";

/** Runs the record: strips of file rows, in chunks. The lowest row that cannot be packed goes to CONTROL_BAD_ROW. */
export function run_pack(record: usize, scratch: usize): void {
  const rows = int(record, op.PACK_ROWS);
  const cols = int(record, op.PACK_COLS);
  const rowBytes = ptr(record, op.PACK_ROW_BYTES);
  const step = int(record, op.PACK_CHUNK);
  for (;;) {
    const first = take(counter(record), step) * TILE_ROWS;
    if (first >= rows) return;
    const n = min(step * TILE_ROWS, rows - first);
    // Groups of scales count through the rows: a chunk begins in the middle of one.
    const group = int(record, op.PACK_GROUP);
    const skipped = group ? int(record, op.PACK_PHASE) + first * cols : 0;
    const bad = pack(
      int(record, op.PACK_FILE),
      int(record, op.PACK_WEIGHT),
      ptr(record, op.PACK_SRC) + <usize>first * rowBytes,
      rowBytes,
      ptr(record, op.PACK_TABLE) + (group ? (<usize>(skipped / group)) << 2 : 0),
      group,
      group ? skipped % group : 0,
      n,
      cols,
      ptr(record, op.PACK_OUT),
      int(record, op.PACK_FIRST_STRIP) + first / TILE_ROWS,
      int(record, op.PACK_STRIPS),
      int(record, op.PACK_SHIFT),
      scratch,
    );
    if (bad) lower(CONTROL_BAD_ROW, first + bad);
  }
}

/**
 * Packs file rows into weight tiles.
 * src     FILE_* rows [rows, cols], one after the other, rowBytes apart
 * table   types whose scales lie apart: f32, one for each `group` values; value 0 of src is value `phase` of its group.
 *         Types that have a grid: its points. For all others 0, and group and phase are 0 for all but the first
 * out     the matrix: WEIGHT_* tiles of `strips` strips. Those from `firstStrip` (even) on are written. Missing columns
 *         become zero, and so do rows behind the last ones, up to a multiple of PADDED_ROWS
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
  table: usize,
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
  if (is_super(weight)) {
    begin_super(weight, scratch);
    return pack_supers(
      file,
      weight,
      src,
      rowBytes,
      table,
      rows,
      blocks,
      out,
      firstStrip,
      strips,
      shift,
      scratch,
    );
  }
  const cells = <usize>(tile_bytes(weight) / cell_bytes(weight));
  const copies = is_copied(weight, file);
  // Only the last rows of a matrix end at an odd strip: the one behind it is padding.
  const here = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const end = here + (here & 1);
  for (let s = 0; s < end; s++) {
    const strip = firstStrip + s;
    const step = cell_step(weight, strip, strips);
    const cell = strip_at(out, weight, strip, blocks);
    const row = s * TILE_ROWS;
    const live = min(rows - row, TILE_ROWS);
    if (copies && live > 0) {
      const from = src + <usize>row * rowBytes;
      const bad = copy_strip(file, weight, from, rowBytes, live, blocks, cell, step, shift);
      if (bad) return row + bad;
    }
    for (let r = 0; r < TILE_ROWS; r++) {
      if (copies && r < live) continue;
      const at = row + r;
      const rowSrc = src + <usize>at * rowBytes;
      // Groups of scales are counted from the beginning of the first group.
      const skipped = group ? phase + at * cols : 0;
      for (let b = 0; b < blocks; b++) {
        const block = cell + <usize>b * step * cells;
        if (r >= live) {
          zero_row(weight, block, step, <usize>r);
          continue;
        }
        const first = b * BLOCK_COLS;
        const n = min(BLOCK_COLS, cols - first);
        if (unpack(file, rowSrc - <usize>skipped, table, group, skipped + first, n, scratch)) return 1 + at;
        for (let c = n; c < BLOCK_COLS; c++) store<f32>(scratch + ((<usize>c) << 2), 0);
        if (pack_row(file, weight, scratch, block, step, <usize>r, shift)) return 1 + at;
      }
    }
  }
  return 0;
}

// Rows of the type whose superblocks the format keeps: see pack().
function pack_supers(
  file: i32,
  weight: i32,
  src: usize,
  rowBytes: usize,
  table: usize,
  rows: i32,
  blocks: i32,
  out: usize,
  firstStrip: i32,
  strips: i32,
  shift: i32,
  scratch: usize,
): i32 {
  const here = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const end = (here + (here & 1)) * TILE_ROWS;
  for (let row = 0; row < end; row++) {
    const strip = firstStrip + row / TILE_ROWS;
    const from = row < rows ? src + <usize>row * rowBytes : 0;
    const r = <usize>(row % TILE_ROWS);
    if (pack_super_row(file, weight, from, table, out, strip, strips, blocks, r, shift, scratch))
      return 1 + row;
  }
  return 0;
}

// A strip from 1 to 4 rows of blocks that tiles take as they are. The first row stands in for those that are missing,
// which are zeroed afterwards. Returns 0, or 1 + the row with a bad scale.
function copy_strip(
  file: i32,
  weight: i32,
  src: usize,
  rowBytes: usize,
  live: i32,
  blocks: i32,
  tile: usize,
  step: usize,
  shift: i32,
): i32 {
  const next = <usize>block_bytes(file);
  let p1 = live > 1 ? src + rowBytes : src;
  let p2 = live > 2 ? src + 2 * rowBytes : src;
  let p3 = live > 3 ? src + 3 * rowBytes : src;
  for (let b = 0; b < blocks; b++) {
    const bad = copy_tile(weight, file, src, p1, p2, p3, tile, shift);
    if (bad) return bad;
    src += next;
    p1 += next;
    p2 += next;
    p3 += next;
    tile += step;
  }
  return 0;
}

/**
 * out[i] = value i of a file row, as f32
 * src    FILE_* data, n values from `first` on; types with blocks of several values need first and n % 32 == 0
 * table  types whose scales lie apart: f32, one for each `group` values counted from src; types that have a grid: it
 * out    f32 [n]
 * Returns 0, or 1 if a value is NaN or infinite
 * Align: src 1 B                Reads past the end: none
 * Source: GGUF specification (block layouts); llama2.c export format, version 2
 */
export function unpack(file: i32, src: usize, table: usize, group: i32, first: i32, n: i32, out: usize): i32 {
  decode(file, src, table, group, first, n, out);
  const end = out + ((<usize>n) << 2);
  let good = i32x4.splat(-1);
  for (; out + 16 <= end; out += 16) {
    good = v128.and(good, f32x4.le(f32x4.abs(v128.load(out)), f32x4.splat(f32.MAX_VALUE)));
  }
  let bad = i32x4.all_true(good) ? 0 : 1;
  for (; out < end; out += 4) {
    if (!(abs(load<f32>(out)) <= f32.MAX_VALUE)) bad = 1;
  }
  return bad;
}

/**
 * Takes 2^SCALE_SHIFT off the scales of a matrix's first `count` strips again: exactly what pack() was given, subnormals
 * included.
 */
export function unshift_scales(w: usize, weight: i32, count: i32, strips: i32, blocks: i32): void {
  for (let strip = 0; strip < count; strip++) {
    if (is_super(weight)) {
      unshift_super(weight, w, strip, strips, blocks);
      continue;
    }
    const step = cell_step(weight, strip, strips);
    let tile = strip_at(w, weight, strip, blocks);
    for (let b = 0; b < blocks; b++, tile += step) {
      unshift_tile(tile);
      if (has_tile_minima(weight)) unshift_tile(tile + TILE_MINIMA);
    }
  }
}
