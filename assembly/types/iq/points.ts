// Points of a grid, which the host has put into memory: see src/quant/grids.ts.

/** Two points of 8 int8. */
export function two_points(grid: usize, a: i32, b: i32): v128 {
  return v128.load64_lane(grid + ((<usize>b) << 3), v128.load64_zero(grid + ((<usize>a) << 3)), 1);
}

/** Four points of 4 int8, whose low 8 bits of index lie at `ptr`, and bit 8 of each in `high`. */
export function four_points(grid: usize, ptr: usize, high: i32): v128 {
  let q = v128.load32_zero(grid + ((<usize>load<u8>(ptr) | ((<usize>(high & 1)) << 8)) << 2));
  q = v128.load32_lane(grid + ((<usize>load<u8>(ptr, 1) | ((<usize>(high & 2)) << 7)) << 2), q, 1);
  q = v128.load32_lane(grid + ((<usize>load<u8>(ptr, 2) | ((<usize>(high & 4)) << 6)) << 2), q, 2);
  return v128.load32_lane(grid + ((<usize>load<u8>(ptr, 3) | ((<usize>(high & 8)) << 5)) << 2), q, 3);
}

/** Signs of 8 values, of which 7 bits are stored: an even number of them is negative. */
export function eight_signs(seven: i32): i32 {
  return (seven & 127) | ((popcnt(seven & 127) & 1) << 7);
}

/** Signs of 16 values: two times 7 bits, from bit `shift` on. */
export function sixteen_signs(bits: u32, shift: i32): i32 {
  const both = <i32>(bits >> shift);
  return eight_signs(both) | (eight_signs(both >> 7) << 8);
}
