// The scales and offsets of Q4_K and Q5_K: eight of 6 bits each in 12 bytes.

/** Scale g: of groups 0 to 3 the low bits of a byte; of the others a low nibble, and the upper bits of a byte before. */
export function k_scale(scales: usize, g: i32): f32 {
  const at = scales + <usize>g;
  if (g < 4) return <f32>(load<u8>(at) & 63);
  return <f32>((load<u8>(at, 4) & 15) | ((load<u8>(at - 4) >> 6) << 4));
}

/** Offset g: of groups 0 to 3 the low bits of a byte; of the others a high nibble, and the upper bits of a byte before. */
export function k_offset(scales: usize, g: i32): f32 {
  const at = scales + <usize>g;
  if (g < 4) return <f32>(load<u8>(at, 4) & 63);
  return <f32>((load<u8>(at, 4) >> 4) | ((load<u8>(at) >> 6) << 4));
}
