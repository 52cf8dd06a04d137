// The kernel of one token for formats of superblocks.
//
// One function has the frame of all of them. Its type arguments choose what differs, so that each kernel has code of its own:
//   T  the form of the dot product: u8 where the instruction adds to i32 (DOT_UNSIGNED and DOT_SIGNED agree on bytes up to
//      127), i8 for pairs of i16 (DOT_MOVED), i16 for DOT_WIDE
//   F  the format: see super.ts
import { ACT_SUPER_BYTES, ACT_SUPER_HALVES, DOT_SIGNED, DOT_UNSIGNED, SUPER_BLOCKS } from "../layout/blocks";
import { activation, RELAXED } from "../simd/dot";
import { is_q2k, is_q4k, is_x3k, super_constants } from "./fields";
import { finish_super, head_bytes, scale_step, scales_at, sum_tile, tile_of } from "./super";

/**
 * As walk() in q8.ts, for a format F of superblocks.
 * sums  i32 [strips][streams][4 rows], 16 B aligned: what the superblock adds up to so far
 * Numerics: i32 exact over a superblock; f32 across superblocks in ascending order, mul, sub and add apart
 */
function walk_super<T, F>(
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
  sums: usize,
  book: i32,
  isUnsigned: bool,
): void {
  const tiles = <usize>strips * tile_of<F>();
  const heads = <usize>strips * head_bytes<F>();
  const step = heads + SUPER_BLOCKS * tiles;
  const supers = <usize>(blocks / SUPER_BLOCKS);
  const rowGap = (gap / (step * supers)) * ((<usize>strips) << 4);
  const sumBytes = (<usize>streams) << 4;
  const sumStop = sums + <usize>strips * sumBytes;
  const stop = x + supers * ACT_SUPER_BYTES;
  const c0 = super_constants<T, F>(0, book, isUnsigned);
  const c1 = super_constants<T, F>(1, book, isUnsigned);
  const c2 = super_constants<T, F>(2, book, isUnsigned);
  const c3 = super_constants<T, F>(3, book, isUnsigned);
  for (; x < stop; x += ACT_SUPER_BYTES, column += step) {
    memory.fill(sums, 0, sumStop - sums);
    let scales = column + scales_at<F>();
    let tileRow = column + heads;
    const end = tileRow + SUPER_BLOCKS * tiles;
    let xh = x + ACT_SUPER_HALVES;
    for (let xp = x; tileRow < end; tileRow += tiles, xp += 32, xh += 4, scales += scale_step<F>()) {
      const halves = v128.load32_splat(xh);
      const x0 = activation<T>(v128.load32_splat(xp));
      const x1 = activation<T>(v128.load32_splat(xp, 4));
      const x2 = activation<T>(v128.load32_splat(xp, 8));
      const x3 = activation<T>(v128.load32_splat(xp, 12));
      const x4 = activation<T>(v128.load32_splat(xp, 16));
      const x5 = activation<T>(v128.load32_splat(xp, 20));
      const x6 = activation<T>(v128.load32_splat(xp, 24));
      const x7 = activation<T>(v128.load32_splat(xp, 28));
      let from = tileRow;
      let first = scales;
      for (let at = sums; at < sumStop; from += tile_of<F>(), first += head_bytes<F>()) {
        const last = at + sumBytes;
        let tile = from;
        let s = first;
        for (; at < last; at += 16, tile += gap, s += gap) {
          const sum = sum_tile<T, F>(tile, s, halves, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2, c3);
          v128.store(at, i32x4.add(sum, v128.load(at)));
        }
      }
    }
    let head = column;
    let at = sums;
    for (let s = 0; s < strips; s++, head += head_bytes<F>()) {
      let h = head;
      let row = out + ((<usize>s) << 4);
      for (let k = 0; k < streams; k++, at += 16, h += gap, row += rowGap) {
        finish_super<F>(h, x, v128.load(at), factor, row);
      }
    }
  }
}

/** walk() of formats.ts for a format F of superblocks; `book` is its BOOK_*, if it has one. */
export function walk_super_form<F>(
  dot: i32,
  column: usize,
  x: usize,
  out: usize,
  streams: i32,
  gap: usize,
  strips: i32,
  blocks: i32,
  factor: f32,
  sums: usize,
  book: i32,
): void {
  const hasPairs = !is_x3k<F>() && !is_q2k<F>();
  if (RELAXED) {
    // High nibbles that are not shifted are bytes above 127: only DOT_UNSIGNED takes them.
    if (dot === DOT_UNSIGNED || (dot === DOT_SIGNED && !is_q4k<F>())) {
      const isUnsigned = dot === DOT_UNSIGNED;
      walk_super<u8, F>(column, x, out, streams, gap, strips, blocks, factor, sums, book, isUnsigned);
      return;
    }
    // In these builds pairs do for DOT_WIDE: the same integers, and no third kernel.
    if (hasPairs) {
      walk_super<i8, F>(column, x, out, streams, gap, strips, blocks, factor, sums, book, false);
      return;
    }
  }
  walk_super<i16, F>(column, x, out, streams, gap, strips, blocks, factor, sums, book, false);
}
