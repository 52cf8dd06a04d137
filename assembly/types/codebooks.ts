// The 16 values that 4-bit types without a grid choose from.

/** Those of IQ4_NL and IQ4_XS, as int8. Source: kvalues_iq4nl of ggml-common.h. */
export function iq4_values(): v128 {
  return i8x16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

/** Twice the values of a float of one sign, two exponent and one mantissa bit, as int8. Source: OCP MX specification, E2M1. */
export function fp4_values(): v128 {
  return i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
}
