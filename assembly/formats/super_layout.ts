// Formats of superblocks as values: what packing, looking up and unpacking ask. The kernels of one token have the same as
// type arguments (super.ts).
import {
  Q2K_HEAD_BYTES,
  Q2K_TILE_BYTES,
  Q4K_HEAD_BYTES,
  Q4K_TILE_BYTES,
  Q5K_TILE_BYTES,
  Q6K_HEAD_BYTES,
  Q6K_SCALES,
  Q6K_TILE_BYTES,
  SUPER_BLOCKS,
  SUPER_SCALES,
  WEIGHT_BOOK,
  WEIGHT_Q2K,
  WEIGHT_Q4K,
  WEIGHT_Q5K,
  WEIGHT_Q6K,
  WEIGHT_X3K,
  WEIGHT_X4K,
  X3K_TILE_BYTES,
  X4K_HEAD_BYTES,
} from "../layout/blocks";

/** Whether a format has superblocks, whose columns share scales of two levels. */
export function is_super(weight: i32): bool {
  return weight >= WEIGHT_Q4K;
}

/** The layout of a format with superblocks: WEIGHT_* without a book. */
export function layout_of(weight: i32): i32 {
  return weight & (WEIGHT_BOOK - 1);
}

/** BOOK_* of a format. */
export function book_of(weight: i32): i32 {
  return weight / WEIGHT_BOOK;
}

/** Bytes of a tile. */
export function tile_size(layout: i32): usize {
  switch (layout) {
    case WEIGHT_Q5K:
      return Q5K_TILE_BYTES;
    case WEIGHT_Q6K:
      return Q6K_TILE_BYTES;
    case WEIGHT_X3K:
      return X3K_TILE_BYTES;
    case WEIGHT_Q2K:
      return Q2K_TILE_BYTES;
    default:
      return Q4K_TILE_BYTES;
  }
}

/** Bytes of a header. */
export function head_size(layout: i32): usize {
  if (layout === WEIGHT_Q2K) return Q2K_HEAD_BYTES;
  if (layout === WEIGHT_X4K) return X4K_HEAD_BYTES;
  return with_minima(layout) ? Q4K_HEAD_BYTES : Q6K_HEAD_BYTES;
}

/** Bytes of a superblock of a strip. */
export function super_size(layout: i32): usize {
  return head_size(layout) + SUPER_BLOCKS * tile_size(layout);
}

/** Whether blocks have minima. */
export function with_minima(layout: i32): bool {
  return layout === WEIGHT_Q4K || layout === WEIGHT_Q5K || layout === WEIGHT_Q2K;
}

/** Whether half blocks have scales of their own. */
export function with_halves(layout: i32): bool {
  return layout === WEIGHT_Q6K || layout === WEIGHT_X3K || layout === WEIGHT_Q2K;
}

/** Whether weights are those of a book. */
export function with_book(layout: i32): bool {
  return layout === WEIGHT_X4K || layout === WEIGHT_X3K;
}

/** Where a header's integer scales are. */
export function scales_of(layout: i32): usize {
  return with_minima(layout) ? SUPER_SCALES : Q6K_SCALES;
}

/** Bytes of a block's integer scales. */
export function scales_size(layout: i32): usize {
  return with_halves(layout) ? 8 : 4;
}

/** A block's integer scales as i16. */
export function scale_integers(layout: i32, scales: usize): v128 {
  return with_minima(layout) ? v128.load8x8_u(scales) : v128.load8x8_s(scales);
}
