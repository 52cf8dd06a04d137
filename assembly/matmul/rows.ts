/**
 * Streams that a matrix x vector kernel reads at once: eight draw more from memory than one. They divide the strips
 * of a call between them, so that each is as long as can be; prefetchers begin anew with each stream.
 * An even number of strips would often put streams a multiple of 4 KiB apart, where they share a place in the
 * first cache: see share() in sync.ts.
 */
export const STREAMS: i32 = 8;

/** Sums at `out` += integers * (weight scales * activation scale), each f32x4 or i32x4 of four rows. */
export function accumulate(out: usize, integers: v128, scales: v128, xs: v128): void {
  const product = f32x4.mul(f32x4.convert_i32x4_s(integers), f32x4.mul(scales, xs));
  v128.store(out, f32x4.add(v128.load(out), product));
}

/**
 * What products are added to: rows of strips [begin, end) of each token become those of `add`, or zero where
 * that is 0. Nothing is to be done where add is out.
 */
export function start_rows(
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  tokens: i32,
): void {
  if (add === out) return;
  const first = (<usize>begin) << 4;
  const bytes = ((<usize>end) << 4) - first;
  for (let t: usize = 0; t < <usize>tokens; t++) {
    const row = out + t * outStride + first;
    if (add) memory.copy(row, add + t * addStride + first, bytes);
    else memory.fill(row, 0, bytes);
  }
}

/** Stores four rows' sums, with what is at `add` added unless that is 0. */
export function store_rows(out: usize, add: usize, sum: v128): void {
  v128.store(out, add ? f32x4.add(sum, v128.load(add)) : sum);
}
