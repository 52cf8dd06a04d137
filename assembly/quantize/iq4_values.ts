// The 16 values of IQ4_NL, and which of them is nearest.

const COUNT = 16;
/** Ascending. Source: kvalues_iq4nl of ggml-common.h. */
const values = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);

// Middles of neighbours are multiples of one half, and so is what decides: the largest half below a number.
const HALVES = 512;
/** The nearest value by the number of halves above -128. */
const table = memory.data(4 * HALVES, 16);
let isFilled: bool = false;

/** The index of the value nearest to `v`; of two that are as near, the larger one. */
export function iq4_value(v: f32): i32 {
  let i = 0;
  // What is not a number is near none: ggml's search ends at the last but one.
  while (i < COUNT - 1 && <f32>2 * v >= <f32>(<i32>value(i) + <i32>value(i + 1))) i++;
  return i;
}

/** The values nearest to four numbers. */
export function nearest_iq4(v: v128): v128 {
  if (!isFilled) fill();
  const halves = f32x4.add(f32x4.floor(f32x4.add(v, v)), f32x4.splat(<f32>HALVES / 2));
  const inside = f32x4.min(f32x4.max(halves, f32x4.splat(0)), f32x4.splat(<f32>HALVES - 1));
  const at = i32x4.shl(i32x4.trunc_sat_f32x4_s(inside), 2);
  let found = v128.load32_zero(table + <usize>i32x4.extract_lane(at, 0));
  found = v128.load_lane<u32>(table + <usize>i32x4.extract_lane(at, 1), found, 1);
  found = v128.load_lane<u32>(table + <usize>i32x4.extract_lane(at, 2), found, 2);
  return v128.load_lane<u32>(table + <usize>i32x4.extract_lane(at, 3), found, 3);
}

function fill(): void {
  for (let i = 0; i < HALVES; i++) {
    const nearest = iq4_value(<f32>(i - HALVES / 2) / 2);
    store<f32>(table + ((<usize>i) << 2), <f32>value(nearest));
  }
  isFilled = true;
}

function value(i: i32): i8 {
  return load<i8>(values + <usize>i);
}
