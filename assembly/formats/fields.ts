// How the formats of superblocks take weights out of their tiles: sums over a tile for one token. Constants of fields come
// from memory, because V8 makes a constant anew at every use in a loop.
import { CONST_BOOKS, CONST_FIELDS, CONST_LOW_NIBBLES } from "../layout/control";
import { dot_add, dot_pairs, look_up, RELAXED } from "../simd/dot";
import { high } from "../simd/nibbles";

/** Whether a form is that of bytes that are added to i32. */
export function is_bytes<T>(): bool {
  return sizeof<T>() === 1 && !isSigned<T>();
}

/** Whether a form is that of pairs of i16. */
export function is_pairs<T>(): bool {
  return sizeof<T>() === 1 && isSigned<T>();
}

/** Codes of the formats: u8 q4k, i8 q5k, u16 q6k, i16 x4k, u32 x3k, i32 q2k. */
export function is_q4k<F>(): bool {
  return sizeof<F>() === 1 && !isSigned<F>();
}
export function is_q5k<F>(): bool {
  return sizeof<F>() === 1 && isSigned<F>();
}
export function is_q6k<F>(): bool {
  return sizeof<F>() === 2 && !isSigned<F>();
}

export function is_x4k<F>(): bool {
  return sizeof<F>() === 2 && isSigned<F>();
}
export function is_x3k<F>(): bool {
  return sizeof<F>() === 4 && !isSigned<F>();
}
export function is_q2k<F>(): bool {
  return sizeof<F>() === 4 && isSigned<F>();
}
/** Formats with a book. */
export function has_book<F>(): bool {
  return is_x4k<F>() || is_x3k<F>();
}

/**
 * Constant i of a format for the form T. Those with a book have it in 1, plus 128 if the instruction takes unsigned bytes; 2
 * and 3 take that off again: -128, or 0. Pairs take its lower nibbles in 1 and the upper ones in 2, plus 128 as well.
 */
export function super_constants<T, F>(i: i32, book: i32, isUnsigned: bool): v128 {
  if (is_x4k<F>() && is_pairs<T>()) {
    const nibbles = v128.load(CONST_LOW_NIBBLES);
    if (i === 0) return nibbles;
    const bytes = book_bytes(book, true);
    return i === 1 ? v128.and(bytes, nibbles) : high(bytes, nibbles);
  }
  if (has_book<F>()) {
    if (i === 0) return is_x4k<F>() ? v128.load(CONST_LOW_NIBBLES) : v128.load(CONST_FIELDS, 16);
    if (i === 1) return book_bytes(book, isUnsigned);
    const less = isUnsigned ? -128 : 0;
    if (is_x4k<F>()) return i16x8.splat(<i16>less);
    return i32x4.splat(i === 2 ? less & 0xffff : less << 16);
  }
  if (is_q2k<F>()) return v128.load(CONST_FIELDS, 80);
  if (is_q4k<F>()) return v128.load(CONST_LOW_NIBBLES);
  if (is_q5k<F>()) return v128.load(CONST_FIELDS + ((<usize>i) << 4));
  return v128.load(CONST_FIELDS + 64 + ((<usize>i) << 4));
}

/** A book's bytes; plus 128 for DOT_UNSIGNED. */
export function book_bytes(book: i32, isUnsigned: bool): v128 {
  const bytes = v128.load(CONST_BOOKS + ((<usize>book) << 4));
  return isUnsigned ? v128.xor(bytes, i8x16.splat(-128)) : bytes;
}

/** i16 [4 rows][2]: each row's scale twice, of i16 [4 rows] in the lower half. */
export function twice(scales: v128): v128 {
  return v128.shuffle<i16>(scales, scales, 0, 8, 1, 9, 2, 10, 3, 11);
}

function wide_low(n: v128, x: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(n), x);
}

function wide_high(n: v128, x: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(n), x);
}

/** Sums of rows 0 and 1, and of rows 2 and 3, in pairs of lanes, as the four rows' sums. */
function join(lo: v128, hi: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(lo, hi, 0, 2, 4, 6), v128.shuffle<i32>(lo, hi, 1, 3, 5, 7));
}

// The sums of four vectors of bytes times four activations, for each row: n0 . x0 + ... Unsigned bytes.
function wide4(n0: v128, n1: v128, n2: v128, n3: v128, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const lo = i32x4.add(
    i32x4.add(wide_low(n0, x0), wide_low(n1, x1)),
    i32x4.add(wide_low(n2, x2), wide_low(n3, x3)),
  );
  const hi = i32x4.add(
    i32x4.add(wide_high(n0, x0), wide_high(n1, x1)),
    i32x4.add(wide_high(n2, x2), wide_high(n3, x3)),
  );
  return join(lo, hi);
}

// The same of signed bytes.
function signed4(n0: v128, n1: v128, n2: v128, n3: v128, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const lo = i32x4.add(
    i32x4.add(signed_low(n0, x0), signed_low(n1, x1)),
    i32x4.add(signed_low(n2, x2), signed_low(n3, x3)),
  );
  const hi = i32x4.add(
    i32x4.add(signed_high(n0, x0), signed_high(n1, x1)),
    i32x4.add(signed_high(n2, x2), signed_high(n3, x3)),
  );
  return join(lo, hi);
}

function signed_low(n: v128, x: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(n), x);
}

function signed_high(n: v128, x: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(n), x);
}

// Sums of four vectors from `start` on, as the form T computes: bytes as the instruction takes them, or signed ones.
function sum4<T>(
  start: v128,
  n0: v128,
  n1: v128,
  n2: v128,
  n3: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
): v128 {
  if (RELAXED && is_bytes<T>())
    return dot_add(x3, n3, dot_add(x2, n2, dot_add(x1, n1, dot_add(x0, n0, start))));
  return signed4(n0, n1, n2, n3, x0, x1, x2, x3);
}

function bytes4(n0: v128, n1: v128, n2: v128, n3: v128, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  return dot_add(x3, n3, dot_add(x2, n2, dot_add(x1, n1, dot_add(x0, n0, i32x4.splat(0)))));
}

/**
 * The sums of eight vectors of bytes times eight activations, for each row: n0 . x0 + ... T u8: bytes under 128, or what the
 * engine takes; i16: unsigned bytes, activations widened.
 */
export function sum8<T>(
  n0: v128,
  n1: v128,
  n2: v128,
  n3: v128,
  n4: v128,
  n5: v128,
  n6: v128,
  n7: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
): v128 {
  if (RELAXED && is_bytes<T>()) {
    return i32x4.add(bytes4(n0, n1, n2, n3, x0, x1, x2, x3), bytes4(n4, n5, n6, n7, x4, x5, x6, x7));
  }
  return i32x4.add(wide4(n0, n1, n2, n3, x0, x1, x2, x3), wide4(n4, n5, n6, n7, x4, x5, x6, x7));
}

function pairs2(n0: v128, n1: v128, x0: v128, x1: v128): v128 {
  return i16x8.add(dot_pairs(x0, n0), dot_pairs(x1, n1));
}

/** sum_tile() of super.ts for q4k. */
export function sum_q4k<T>(
  tile: usize,
  scales: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  nibbles: v128,
): v128 {
  const u = v128.load(tile);
  const v = v128.load(tile, 16);
  const w = v128.load(tile, 32);
  const z = v128.load(tile, 48);
  const s = v128.load8x8_u(scales);
  if (RELAXED) {
    if (is_bytes<T>()) {
      let lo = dot_add(x0, v128.and(u, nibbles), i32x4.splat(0));
      let hi = dot_add(x4, v128.andnot(u, nibbles), i32x4.splat(0));
      lo = dot_add(x1, v128.and(v, nibbles), lo);
      hi = dot_add(x5, v128.andnot(v, nibbles), hi);
      lo = dot_add(x2, v128.and(w, nibbles), lo);
      hi = dot_add(x6, v128.andnot(w, nibbles), hi);
      lo = dot_add(x3, v128.and(z, nibbles), lo);
      hi = dot_add(x7, v128.andnot(z, nibbles), hi);
      // Sums of 16 nibbles fit i16. The upper ones count 16 times: shifted by 12 more, they are in the upper half.
      hi = i32x4.shl(hi, 12);
      return i32x4.dot_i16x8_s(v128.shuffle<i16>(lo, hi, 0, 9, 2, 11, 4, 13, 6, 15), twice(s));
    }
    if (is_pairs<T>()) {
      let a = pairs2(v128.and(u, nibbles), high(u, nibbles), x0, x4);
      a = i16x8.add(a, pairs2(v128.and(v, nibbles), high(v, nibbles), x1, x5));
      a = i16x8.add(a, pairs2(v128.and(w, nibbles), high(w, nibbles), x2, x6));
      a = i16x8.add(a, pairs2(v128.and(z, nibbles), high(z, nibbles), x3, x7));
      return i32x4.dot_i16x8_s(a, twice(s));
    }
  }
  const low = wide4(
    v128.and(u, nibbles),
    v128.and(v, nibbles),
    v128.and(w, nibbles),
    v128.and(z, nibbles),
    x0,
    x1,
    x2,
    x3,
  );
  const top = wide4(high(u, nibbles), high(v, nibbles), high(w, nibbles), high(z, nibbles), x4, x5, x6, x7);
  return i32x4.mul(i32x4.add(low, top), i32x4.extend_low_i16x8_s(s));
}

/** sum_tile() of super.ts for q5k. */
export function sum_q5k<T>(
  tile: usize,
  scales: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  low5: v128,
  low3: v128,
  bits34: v128,
  bit3: v128,
): v128 {
  const v0 = v128.load(tile);
  const v1 = v128.load(tile, 16);
  const v2 = v128.load(tile, 32);
  const v3 = v128.load(tile, 48);
  const v4 = v128.load(tile, 64);
  const n5 = v128.or(v128.and(i16x8.shr_u(v0, 5), low3), v128.and(i16x8.shr_u(v1, 2), bits34));
  const n6 = v128.or(v128.and(i16x8.shr_u(v2, 5), low3), v128.and(i16x8.shr_u(v3, 2), bits34));
  const bit4 = v128.xor(bits34, bit3);
  const n7 = v128.or(
    v128.and(i16x8.shr_u(v4, 5), low3),
    v128.or(v128.and(i16x8.shr_u(v1, 4), bit3), v128.and(i16x8.shr_u(v3, 3), bit4)),
  );
  const n0 = v128.and(v0, low5);
  const n1 = v128.and(v1, low5);
  const n2 = v128.and(v2, low5);
  const n3 = v128.and(v3, low5);
  const n4 = v128.and(v4, low5);
  const s = v128.load8x8_u(scales);
  if (RELAXED) {
    if (is_bytes<T>()) {
      const a = i32x4.add(bytes4(n0, n1, n2, n3, x0, x1, x2, x3), bytes4(n4, n5, n6, n7, x4, x5, x6, x7));
      return i32x4.mul(a, i32x4.extend_low_i16x8_s(s));
    }
    if (is_pairs<T>()) {
      // Eight products of 31 * 127 fit i16.
      const a = i16x8.add(pairs2(n0, n1, x0, x1), pairs2(n2, n3, x2, x3));
      const b = i16x8.add(pairs2(n4, n5, x4, x5), pairs2(n6, n7, x6, x7));
      const t = twice(s);
      return i32x4.add(i32x4.dot_i16x8_s(a, t), i32x4.dot_i16x8_s(b, t));
    }
  }
  const a = i32x4.add(wide4(n0, n1, n2, n3, x0, x1, x2, x3), wide4(n4, n5, n6, n7, x4, x5, x6, x7));
  return i32x4.mul(a, i32x4.extend_low_i16x8_s(s));
}

/** sum_tile() of super.ts for q6k; `halves` are the sums of both halves of the activations, i16 in every lane. */
export function sum_q6k<T>(
  tile: usize,
  scales: usize,
  halves: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  low6: v128,
  low2: v128,
  bits23: v128,
  bits45: v128,
): v128 {
  const v0 = v128.load(tile);
  const v1 = v128.load(tile, 16);
  const v2 = v128.load(tile, 32);
  const v3 = v128.load(tile, 48);
  const v4 = v128.load(tile, 64);
  const v5 = v128.load(tile, 80);
  const n0 = v128.and(v0, low6);
  const n1 = v128.and(v1, low6);
  const n2 = v128.and(v2, low6);
  const n3 = v128.and(v3, low6);
  const n4 = v128.and(v4, low6);
  const n5 = v128.and(v5, low6);
  const n6 = v128.or(
    v128.and(i16x8.shr_u(v0, 6), low2),
    v128.or(v128.and(i16x8.shr_u(v1, 4), bits23), v128.and(i16x8.shr_u(v2, 2), bits45)),
  );
  const n7 = v128.or(
    v128.and(i16x8.shr_u(v3, 6), low2),
    v128.or(v128.and(i16x8.shr_u(v4, 4), bits23), v128.and(i16x8.shr_u(v5, 2), bits45)),
  );
  const s = v128.load8x8_s(scales);
  const offset = i32x4.shl(i32x4.dot_i16x8_s(s, halves), 5);
  if (RELAXED) {
    if (is_pairs<T>()) {
      // Four products of 63 * 127 fit i16.
      const first = v128.shuffle<i16>(s, s, 0, 0, 2, 2, 4, 4, 6, 6);
      const second = v128.shuffle<i16>(s, s, 1, 1, 3, 3, 5, 5, 7, 7);
      const a = i32x4.add(
        i32x4.dot_i16x8_s(pairs2(n0, n1, x0, x1), first),
        i32x4.dot_i16x8_s(pairs2(n2, n3, x2, x3), first),
      );
      const b = i32x4.add(
        i32x4.dot_i16x8_s(pairs2(n4, n5, x4, x5), second),
        i32x4.dot_i16x8_s(pairs2(n6, n7, x6, x7), second),
      );
      return i32x4.sub(i32x4.add(a, b), offset);
    }
  }
  const s0 = i32x4.shr_s(i32x4.shl(s, 16), 16);
  const s1 = i32x4.shr_s(s, 16);
  let a: v128;
  let b: v128;
  if (RELAXED && is_bytes<T>()) {
    a = bytes4(n0, n1, n2, n3, x0, x1, x2, x3);
    b = bytes4(n4, n5, n6, n7, x4, x5, x6, x7);
  } else {
    a = wide4(n0, n1, n2, n3, x0, x1, x2, x3);
    b = wide4(n4, n5, n6, n7, x4, x5, x6, x7);
  }
  return i32x4.sub(i32x4.add(i32x4.mul(a, s0), i32x4.mul(b, s1)), offset);
}

// acc + n . x of the low nibbles of v and of its high ones, as a book has them, i16.
function add_looked_up(acc: v128, v: v128, book: v128, nibbles: v128, x: v128, y: v128): v128 {
  acc = i16x8.add(acc, dot_pairs(x, look_up(book, v128.and(v, nibbles))));
  return i16x8.add(acc, dot_pairs(y, look_up(book, high(v, nibbles))));
}

/** sum_tile() of super.ts for x4k, whose weights are those of a book; of pairs, those of two books of nibbles. */
export function sum_x4k<T>(
  tile: usize,
  scales: usize,
  halves: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  nibbles: v128,
  book: v128,
  less: v128,
): v128 {
  const u = v128.load(tile);
  const v = v128.load(tile, 16);
  const w = v128.load(tile, 32);
  const z = v128.load(tile, 48);
  if (RELAXED && is_pairs<T>()) {
    // Sums of 32 nibbles fit i16, as those of q4k do.
    const zero = i32x4.splat(0);
    let a = add_looked_up(zero, u, book, nibbles, x0, x4);
    a = add_looked_up(a, v, book, nibbles, x1, x5);
    a = add_looked_up(a, w, book, nibbles, x2, x6);
    a = add_looked_up(a, z, book, nibbles, x3, x7);
    let b = add_looked_up(zero, u, less, nibbles, x0, x4);
    b = add_looked_up(b, v, less, nibbles, x1, x5);
    b = add_looked_up(b, w, less, nibbles, x2, x6);
    b = add_looked_up(b, z, less, nibbles, x3, x7);
    const t = twice(v128.load8x8_s(scales));
    const upper = i32x4.sub(i32x4.dot_i16x8_s(b, t), i32x4.shl(i32x4.dot_i16x8_s(halves, t), 3));
    return i32x4.add(i32x4.dot_i16x8_s(a, t), i32x4.shl(upper, 4));
  }
  const low = sum4<T>(
    i32x4.dot_i16x8_s(halves, less),
    look_up(book, v128.and(u, nibbles)),
    look_up(book, v128.and(v, nibbles)),
    look_up(book, v128.and(w, nibbles)),
    look_up(book, v128.and(z, nibbles)),
    x0,
    x1,
    x2,
    x3,
  );
  const top = sum4<T>(
    i32x4.splat(0),
    look_up(book, high(u, nibbles)),
    look_up(book, high(v, nibbles)),
    look_up(book, high(w, nibbles)),
    look_up(book, high(z, nibbles)),
    x4,
    x5,
    x6,
    x7,
  );
  return i32x4.mul(i32x4.add(low, top), i32x4.extend_low_i16x8_s(v128.load8x8_s(scales)));
}

/** The same for x3k: books of 8, scales of halves. */
export function sum_x3k<T>(
  tile: usize,
  scales: usize,
  halves: v128,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  low3: v128,
  book: v128,
  less0: v128,
  less1: v128,
): v128 {
  const v0 = v128.load(tile);
  const v1 = v128.load(tile, 16);
  const v2 = v128.load(tile, 32);
  const two = i8x16.splat(3);
  const bit2 = i8x16.splat(4);
  const n6 = v128.or(v128.and(i16x8.shr_u(v0, 6), two), v128.and(i16x8.shr_u(v2, 4), bit2));
  const n7 = v128.or(v128.and(i16x8.shr_u(v1, 6), two), v128.and(i16x8.shr_u(v2, 5), bit2));
  const first = sum4<T>(
    i32x4.dot_i16x8_s(halves, less0),
    look_up(book, v128.and(v0, low3)),
    look_up(book, v128.and(v1, low3)),
    look_up(book, v128.and(v2, low3)),
    look_up(book, v128.and(i16x8.shr_u(v0, 3), low3)),
    x0,
    x1,
    x2,
    x3,
  );
  const second = sum4<T>(
    i32x4.dot_i16x8_s(halves, less1),
    look_up(book, v128.and(i16x8.shr_u(v1, 3), low3)),
    look_up(book, v128.and(i16x8.shr_u(v2, 3), low3)),
    look_up(book, n6),
    look_up(book, n7),
    x4,
    x5,
    x6,
    x7,
  );
  return by_halves(first, second, v128.load8x8_s(scales));
}

// Sums of both halves times their scales, i16 [4 rows][2 halves].
function by_halves(first: v128, second: v128, scales: v128): v128 {
  const s0 = i32x4.shr_s(i32x4.shl(scales, 16), 16);
  return i32x4.add(i32x4.mul(first, s0), i32x4.mul(second, i32x4.shr_s(scales, 16)));
}

/** The same for q2k: two bits, scales of halves. */
export function sum_q2k<T>(
  tile: usize,
  scales: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  x4: v128,
  x5: v128,
  x6: v128,
  x7: v128,
  two: v128,
): v128 {
  const u = v128.load(tile);
  const v = v128.load(tile, 16);
  const zero = i32x4.splat(0);
  const first = sum4<T>(
    zero,
    v128.and(u, two),
    v128.and(i16x8.shr_u(u, 2), two),
    v128.and(i16x8.shr_u(u, 4), two),
    v128.and(i16x8.shr_u(u, 6), two),
    x0,
    x1,
    x2,
    x3,
  );
  const second = sum4<T>(
    zero,
    v128.and(v, two),
    v128.and(i16x8.shr_u(v, 2), two),
    v128.and(i16x8.shr_u(v, 4), two),
    v128.and(i16x8.shr_u(v, 6), two),
    x4,
    x5,
    x6,
    x7,
  );
  return by_halves(first, second, v128.load8x8_u(scales));
}
