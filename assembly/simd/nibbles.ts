// The two nibbles of every byte.

/** High nibbles. There is no byte shift on x86: engines make i8x16.shr_u of several instructions. */
export function high(w: v128, nibbles: v128): v128 {
  return v128.and(i16x8.shr_u(w, 4), nibbles);
}
