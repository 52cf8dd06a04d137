// int8 dot products, four rows in lanes: the only file that knows whether the build has relaxed SIMD. Every form gives the
// same integers.
//
// A weight vector holds 4 rows x 4 columns, an activation vector the same 4 columns of int8 for every row. Weights of q8
// are stored as w + 128, an unsigned byte; weights of q4 are nibbles, n - 8.
//
// i8x16.relaxed_dot_i8x16_i7x16 multiplies and adds in one instruction. The specification fixes its result only if the
// second operand lies in 0..127. dot_form() asks once what the engine does with the whole byte. A form is a type argument,
// so each kernel has code of its own for it:
//   u8   DOT_UNSIGNED: the second operand is an unsigned byte: w + 128 itself, and -128 * sum(x) at the start
//   i32  DOT_SIGNED: it is a signed byte: w
//   i8   DOT_MOVED: its magnitude |w|, the sign being moved to the activation: pairs stay inside i16, 2 * 127 * 127
//   i16  DOT_WIDE: no relaxed instruction: both widened to i16, weights as unsigned bytes, which saves a step; rows 0, 1 and
//        rows 2, 3 in two accumulators, joined at the end
import { DOT_MOVED, DOT_SIGNED, DOT_UNSIGNED, DOT_WIDE } from "../layout/blocks";
import { CONST_PROBE } from "../layout/control";
import { high } from "./nibbles";

/** Whether this build has relaxed SIMD, for kernels that exist in such builds only. */
export const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

/** The best DOT_* of the engine that runs this module. */
export function dot_form(): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    // The sum of four products is 127 * 255 each, 127 * -1 each, or one of pairs that saturate at 32767: then only 0..127
    // can be used. The operands come from memory, so that no compiler computes the product by rules of its own.
    v128.store(CONST_PROBE, i8x16.splat(127));
    v128.store(CONST_PROBE, i8x16.splat(-1), 16);
    const product = i32x4.relaxed_dot_i8x16_i7x16_add_s(
      v128.load(CONST_PROBE),
      v128.load(CONST_PROBE, 16),
      i32x4.splat(0),
    );
    const sum = i32x4.extract_lane(product, 0);
    if (sum === 129540) return DOT_UNSIGNED;
    return sum === -508 ? DOT_SIGNED : DOT_MOVED;
  }
  return DOT_WIDE;
}

/** acc + w . x, four products in each lane, w as the engine takes its second operand. */
export function dot_add(x: v128, w: v128, acc: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, acc);
  return unreachable();
}

/** Sums of pairs of w . x, i16, for w in 0..127. */
export function dot_pairs(x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_dot_i8x16_i7x16_s(x, w);
  return unreachable();
}

/** book[i] for indexes 0..15 in every byte. */
export function look_up(book: v128, indexes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(book, indexes);
  return i8x16.swizzle(book, indexes);
}

/** Where sums of q8 weights start. `sums` are the two i16 of an activation block in every lane, -8 * sum(x). */
export function q8_start<T>(sums: v128, sixteen: v128): v128 {
  if (sizeof<T>() === 2) return i32x4.shl(i32x4.extend_low_i16x8_s(sums), 4);
  if (sizeof<T>() === 1 && !isSigned<T>()) return i32x4.dot_i16x8_s(sums, sixteen);
  return i32x4.splat(0);
}

/** The same for the second accumulator, rows 2 and 3 of DOT_WIDE. */
export function q8_start_second<T>(start: v128): v128 {
  return sizeof<T>() === 2 ? start : i32x4.splat(0);
}

/** Four activations, splatted to every row, as the dot products below want them. */
export function activation<T>(x: v128): v128 {
  if (sizeof<T>() === 2) return i16x8.extend_low_i8x16_s(x);
  return x;
}

/** acc + w . x for a vector u of a q8 tile; DOT_WIDE: rows 0 and 1 only. `flip` is i8x16 of -128, `ones` i16x8 of 1. */
export function dot8_lo<T>(acc: v128, u: v128, x: v128, flip: v128, ones: v128): v128 {
  if (sizeof<T>() === 2) {
    return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(u), x));
  }
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (sizeof<T>() === 4) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, v128.xor(u, flip), acc);
    if (!isSigned<T>()) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, u, acc);
    const w = v128.xor(u, flip);
    const negative = i8x16.lt_s(w, i8x16.splat(0));
    const moved = i8x16.sub(v128.xor(x, negative), negative);
    const pairs = i16x8.relaxed_dot_i8x16_i7x16_s(moved, i8x16.abs(w));
    return i32x4.add(acc, i32x4.dot_i16x8_s(pairs, ones));
  }
  return unreachable();
}

/** DOT_WIDE: acc + w . x of rows 2 and 3. */
export function dot8_hi<T>(acc: v128, u: v128, x: v128): v128 {
  if (sizeof<T>() !== 2) return acc;
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(u), x));
}

/** The four rows' sums from what dot8_lo and dot8_hi gathered. */
export function dot8_join<T>(lo: v128, hi: v128): v128 {
  return sizeof<T>() === 2 ? join_rows(lo, hi) : lo;
}

/**
 * Where accumulators of nibbles start: with what makes weights n - 8 of n. DOT_UNSIGNED and DOT_SIGNED take the instruction
 * that adds to i32, DOT_MOVED i16 pairs, whose partial sums stay inside i16: each column adds (n - 8) * x at last and -8 * x
 * before its turn, at most 16 * 8 * 127 = 16256 for the columns of a lane.
 */
export function q4_start<T>(sums: v128, ones: v128): v128 {
  if (sizeof<T>() === 2) return i32x4.extend_low_i16x8_s(sums);
  return sizeof<T>() === 1 && isSigned<T>() ? sums : i32x4.dot_i16x8_s(sums, ones);
}

/** The same for the second accumulator: rows 2 and 3 of DOT_WIDE, high nibbles of DOT_UNSIGNED. */
export function q4_start_second<T>(start: v128): v128 {
  return is_unsigned<T>() ? i32x4.splat(0) : start;
}

/** acc + x . n for weights n in 0..15, the low nibbles; DOT_WIDE: of rows 0 and 1. */
export function dot4_low<T>(acc: v128, n: v128, x: v128): v128 {
  if (sizeof<T>() === 2) return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(n), x));
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (sizeof<T>() === 1 && isSigned<T>()) return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, n));
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, n, acc);
  }
  return unreachable();
}

/** The same in the second accumulator: DOT_WIDE: of rows 2 and 3. */
export function dot4_low_second<T>(acc: v128, n: v128, x: v128): v128 {
  if (sizeof<T>() !== 2) return acc;
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(n), x));
}

/** High nibbles as the next two take them. DOT_UNSIGNED does not shift them: they count 16 times. */
export function high_nibbles<T>(w: v128, nibbles: v128): v128 {
  return is_unsigned<T>() ? v128.andnot(w, nibbles) : high(w, nibbles);
}

/** As dot4_low, for high_nibbles(). */
export function dot4_high<T>(acc: v128, n: v128, x: v128): v128 {
  return is_unsigned<T>() ? acc : dot4_low<T>(acc, n, x);
}

/** As dot4_low_second, for high_nibbles(). */
export function dot4_high_second<T>(acc: v128, n: v128, x: v128): v128 {
  return is_unsigned<T>() ? dot4_low<T>(acc, n, x) : dot4_low_second<T>(acc, n, x);
}

/** The four rows' sums from both accumulators. */
export function dot4_join<T>(first: v128, second: v128, ones: v128): v128 {
  if (sizeof<T>() === 2) return join_rows(first, second);
  if (is_unsigned<T>()) return i32x4.add(first, i32x4.shr_s(second, 4));
  return sizeof<T>() === 1 ? i32x4.dot_i16x8_s(first, ones) : first;
}

function is_unsigned<T>(): bool {
  return sizeof<T>() === 1 && !isSigned<T>();
}

function join_rows(lo: v128, hi: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(lo, hi, 0, 2, 4, 6), v128.shuffle<i32>(lo, hi, 1, 3, 5, 7));
}
