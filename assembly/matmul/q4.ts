import { ACT_BLOCK_BYTES, ACT_SCALE, ACT_SUMS, Q4_TILE_BYTES, Q4_TILE_VALUES } from "../layout/blocks";
import { CONST_LOW_NIBBLES, CONST_ONES_16 } from "../layout/control";
import { activation, dot_hi, dot4_join, dot4_lo, q4_start } from "../simd/dot";
import { f16_mask, load_f16x4, two112 } from "../simd/f16";
import { accumulate, STREAMS, start_rows } from "./rows";

// Tokens that share a walk over the strips: their activations stay in the first cache.
const GROUP = 8;

// High nibbles. There is no byte shift on x86: engines make i8x16.shr_u of several instructions.
function high(w: v128, nibbles: v128): v128 {
  return v128.and(i16x8.shr_u(w, 4), nibbles);
}

/**
 * out[r] = add[r] + sum_c W[r,c] * x[c]        rows of strips [begin, end), one token
 * W    q4 tiles [strips * 4, blocks * 32]      see layout/blocks.ts
 * x    activation blocks [blocks]              from quantize_q4w(), finite
 * out  f32 [strips * 4]
 * add  f32 [strips * 4] or 0                   may be out
 * Align: W, x 4 B; out, add 16 B               Reads past the end: none
 * Numerics: i32 exact per block, the nibbles' offset of 8 paid by the block's own sum;
 *           f32 across blocks in ascending order, beginning with add, mul and add apart
 *
 * A block's eight activation vectors stay in registers while a strip of each stream passes. The f32 sums live in `out`:
 * a store for each strip keeps compilers from carrying loads across strips, which made JavaScriptCore spill
 * the integer sums and halved its speed, and leaves registers for the activations.
 */
export function matvec_q4(
  w: usize,
  x: usize,
  out: usize,
  add: usize,
  begin: i32,
  end: i32,
  blocks: i32,
): void {
  start_rows(out, 0, add, 0, begin, end, 1);
  const ones = v128.load(CONST_ONES_16);
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const scale = two112();
  const mask = f16_mask();
  const stripBytes = <usize>blocks * Q4_TILE_BYTES;
  const stop = x + <usize>blocks * ACT_BLOCK_BYTES;
  const length = (end - begin) / STREAMS;
  for (let i = 0; i <= length; i++) {
    // The next strip of each stream; at last those that are left over, each a stream of its own.
    const isRest = i === length;
    const strip = begin + (isRest ? length * STREAMS : i);
    const count = isRest ? end - strip : STREAMS;
    const gap = <usize>(isRest ? 1 : length);
    const rowStep = gap << 4;
    const tileStep = gap * stripBytes;
    const first = out + ((<usize>strip) << 4);
    const last = first + <usize>count * rowStep;
    let column = w + <usize>strip * stripBytes;
    for (let xp = x; xp < stop; xp += ACT_BLOCK_BYTES, column += Q4_TILE_BYTES) {
      const xs = v128.load32_splat(xp, ACT_SCALE);
      const start = q4_start(v128.load32_splat(xp, ACT_SUMS));
      const x0 = activation(v128.load32_splat(xp));
      const x1 = activation(v128.load32_splat(xp, 4));
      const x2 = activation(v128.load32_splat(xp, 8));
      const x3 = activation(v128.load32_splat(xp, 12));
      const x4 = activation(v128.load32_splat(xp, 16));
      const x5 = activation(v128.load32_splat(xp, 20));
      const x6 = activation(v128.load32_splat(xp, 24));
      const x7 = activation(v128.load32_splat(xp, 28));
      let tile = column;
      for (let row = first; row < last; row += rowStep, tile += tileStep) {
        let hi = start;
        let lo = start;
        let v = v128.load(tile, Q4_TILE_VALUES);
        let n = v128.and(v, nibbles);
        lo = dot4_lo(lo, n, x0);
        hi = dot_hi(hi, n, x0);
        n = high(v, nibbles);
        lo = dot4_lo(lo, n, x4);
        hi = dot_hi(hi, n, x4);
        v = v128.load(tile, Q4_TILE_VALUES + 16);
        n = v128.and(v, nibbles);
        lo = dot4_lo(lo, n, x1);
        hi = dot_hi(hi, n, x1);
        n = high(v, nibbles);
        lo = dot4_lo(lo, n, x5);
        hi = dot_hi(hi, n, x5);
        v = v128.load(tile, Q4_TILE_VALUES + 32);
        n = v128.and(v, nibbles);
        lo = dot4_lo(lo, n, x2);
        hi = dot_hi(hi, n, x2);
        n = high(v, nibbles);
        lo = dot4_lo(lo, n, x6);
        hi = dot_hi(hi, n, x6);
        v = v128.load(tile, Q4_TILE_VALUES + 48);
        n = v128.and(v, nibbles);
        lo = dot4_lo(lo, n, x3);
        hi = dot_hi(hi, n, x3);
        n = high(v, nibbles);
        lo = dot4_lo(lo, n, x7);
        hi = dot_hi(hi, n, x7);
        accumulate(row, dot4_join(lo, hi, ones), load_f16x4(tile, scale, mask), xs);
      }
    }
  }
}

/**
 * As matvec_q4 for one strip and up to GROUP tokens, whose rows hold what is added: a tile's eight vectors
 * stay in registers while tokens pass. Activations come in whole vectors that are spread by shuffles: see ADR 7.
 * x, out: of the first token; the strides (bytes) lead to the next ones
 */
export function strip_q4(
  strip: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  blocks: i32,
  tokens: i32,
): void {
  const ones = v128.load(CONST_ONES_16);
  const nibbles = v128.load(CONST_LOW_NIBBLES);
  const scale = two112();
  const mask = f16_mask();
  const end = strip + <usize>blocks * Q4_TILE_BYTES;
  const last = out + <usize>tokens * outStride;
  for (let tile = strip; tile < end; tile += Q4_TILE_BYTES, x += ACT_BLOCK_BYTES) {
    const scales = load_f16x4(tile, scale, mask);
    const v0 = v128.load(tile, Q4_TILE_VALUES);
    const v1 = v128.load(tile, Q4_TILE_VALUES + 16);
    const v2 = v128.load(tile, Q4_TILE_VALUES + 32);
    const v3 = v128.load(tile, Q4_TILE_VALUES + 48);
    const w0 = v128.and(v0, nibbles);
    const w1 = v128.and(v1, nibbles);
    const w2 = v128.and(v2, nibbles);
    const w3 = v128.and(v3, nibbles);
    const w4 = high(v0, nibbles);
    const w5 = high(v1, nibbles);
    const w6 = high(v2, nibbles);
    const w7 = high(v3, nibbles);
    let xp = x;
    for (let row = out; row < last; row += outStride, xp += xStride) {
      const xa = v128.load(xp);
      const xb = v128.load(xp, 16);
      const xs = v128.load64_zero(xp, ACT_SCALE);
      let hi = q4_start(v128.shuffle<i32>(xs, xs, 1, 1, 1, 1));
      let v = activation(v128.shuffle<i32>(xa, xa, 0, 0, 0, 0));
      let lo = dot4_lo(hi, w0, v);
      hi = dot_hi(hi, w0, v);
      v = activation(v128.shuffle<i32>(xa, xa, 1, 1, 1, 1));
      lo = dot4_lo(lo, w1, v);
      hi = dot_hi(hi, w1, v);
      v = activation(v128.shuffle<i32>(xa, xa, 2, 2, 2, 2));
      lo = dot4_lo(lo, w2, v);
      hi = dot_hi(hi, w2, v);
      v = activation(v128.shuffle<i32>(xa, xa, 3, 3, 3, 3));
      lo = dot4_lo(lo, w3, v);
      hi = dot_hi(hi, w3, v);
      v = activation(v128.shuffle<i32>(xb, xb, 0, 0, 0, 0));
      lo = dot4_lo(lo, w4, v);
      hi = dot_hi(hi, w4, v);
      v = activation(v128.shuffle<i32>(xb, xb, 1, 1, 1, 1));
      lo = dot4_lo(lo, w5, v);
      hi = dot_hi(hi, w5, v);
      v = activation(v128.shuffle<i32>(xb, xb, 2, 2, 2, 2));
      lo = dot4_lo(lo, w6, v);
      hi = dot_hi(hi, w6, v);
      v = activation(v128.shuffle<i32>(xb, xb, 3, 3, 3, 3));
      lo = dot4_lo(lo, w7, v);
      hi = dot_hi(hi, w7, v);
      accumulate(row, dot4_join(lo, hi, ones), scales, v128.shuffle<i32>(xs, xs, 0, 0, 0, 0));
    }
  }
}

/**
 * out[t, r] = add[t, r] + sum_c W[r,c] * x[t, c]      rows of strips [begin, end), any number of tokens
 * xStride, outStride, addStride: bytes between tokens; addStride 0: the same row (a bias) for all
 * The rest as matvec_q4, whose bits each token has, however many share the call.
 */
export function matmul_q4(
  w: usize,
  x: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
  add: usize,
  addStride: usize,
  begin: i32,
  end: i32,
  blocks: i32,
  tokens: i32,
): void {
  if (tokens === 1) {
    matvec_q4(w, x, out, add, begin, end, blocks);
    return;
  }
  start_rows(out, outStride, add, addStride, begin, end, tokens);
  const stripBytes = <usize>blocks * Q4_TILE_BYTES;
  for (let t = 0; t < tokens; t += GROUP) {
    const xGroup = x + <usize>t * xStride;
    const outGroup = out + <usize>t * outStride;
    const group = min(GROUP, tokens - t);
    for (let strip = begin; strip < end; strip++) {
      const at = <usize>strip;
      strip_q4(w + at * stripBytes, xGroup, xStride, outGroup + (at << 4), outStride, blocks, group);
    }
  }
}
