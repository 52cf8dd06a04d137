// The 16 values that IQ4_NL and IQ4_XS choose from.

/** The values as int8. Source: kvalues_iq4nl of ggml-common.h. */
export function iq4_values(): v128 {
  return i8x16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}
