// Reads memory and does nothing else, in eight streams: the speed that kernels are compared with.

// One cache line.
function line(x: usize): v128 {
  const front = v128.xor(v128.load(x), v128.load(x, 16));
  return v128.xor(front, v128.xor(v128.load(x, 32), v128.load(x, 48)));
}

/**
 * Returns the exclusive or of all 32-bit words of x. A compiler can therefore drop no load.
 * Units: n bytes, n % 512 == 0
 * Align: 16 B                  Reads past the end: none
 *
 * Eight streams, a cache line of each in turn: eight sums and eight addresses fit the registers.
 */
export function sweep(x: usize, n: usize): i32 {
  const part = n >> 3;
  const stop = x + part;
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  for (; x < stop; x += 64) {
    let at = x;
    a = v128.xor(a, line(at));
    at += part;
    b = v128.xor(b, line(at));
    at += part;
    c = v128.xor(c, line(at));
    at += part;
    d = v128.xor(d, line(at));
    at += part;
    e = v128.xor(e, line(at));
    at += part;
    f = v128.xor(f, line(at));
    at += part;
    g = v128.xor(g, line(at));
    at += part;
    h = v128.xor(h, line(at));
  }
  const even = v128.xor(v128.xor(a, c), v128.xor(e, g));
  const all = v128.xor(even, v128.xor(v128.xor(b, d), v128.xor(f, h)));
  const half = v128.xor(all, v128.shuffle<i32>(all, all, 2, 3, 0, 1));
  return i32x4.extract_lane(half, 0) ^ i32x4.extract_lane(half, 1);
}
