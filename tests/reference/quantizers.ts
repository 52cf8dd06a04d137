// What quantizers must write, one value at a time in plain TypeScript: every sum and product is rounded to f32 in the order
// in which llama.cpp's quantizer rounds. Written from ggml-quants.c, independently of assembly/quantize/.
import { f16FromF32, f32FromF16 } from "../support/gguf_writer.ts";

const f = Math.fround;

/** A quantizer of blocks. */
export interface BlockQuantizer {
  readonly values: number;
  readonly bytes: number;
  /** Writes the block of `x` to the beginning of `out`. */
  encode(x: Float32Array, out: DataView): void;
}

const at = (x: ArrayLike<number>, i: number) => x[i] as number;

/** Quantizers by tensor type. */
export const quantizers: Readonly<Record<string, BlockQuantizer>> = {
  Q8_0: { values: 32, bytes: 34, encode: q8_0 },
  Q4_0: { values: 32, bytes: 18, encode: (x, out) => symmetric(x, out, 4) },
  Q5_0: { values: 32, bytes: 22, encode: (x, out) => symmetric(x, out, 5) },
  Q4_1: { values: 32, bytes: 20, encode: (x, out) => shifted(x, out, 4) },
  Q5_1: { values: 32, bytes: 24, encode: (x, out) => shifted(x, out, 5) },
  Q4_K: { values: 256, bytes: 144, encode: (x, out) => kWithOffsets(x, out, 4) },
  Q5_K: { values: 256, bytes: 176, encode: (x, out) => kWithOffsets(x, out, 5) },
  Q6_K: { values: 256, bytes: 210, encode: q6k },
  IQ4_NL: { values: 32, bytes: 18, encode: iq4nl },
};

/** All blocks of a row. */
export function quantized(type: string, x: Float32Array): Uint8Array {
  const { values, bytes, encode } = quantizers[type] as BlockQuantizer;
  const out = new Uint8Array((x.length / values) * bytes);
  for (let b = 0; b < x.length / values; b++) {
    encode(x.subarray(b * values, (b + 1) * values), new DataView(out.buffer, b * bytes, bytes));
  }
  return out;
}

const inverse = (d: number) => (d === 0 ? 0 : f(1 / d));

/** An integer in the low byte, as x86 converts: 0 for what no i32 holds. */
function lowByte(v: number): number {
  return Math.abs(v) < 2 ** 31 ? Math.trunc(v) & 255 : 0;
}

function roundAway(v: number): number {
  const whole = Math.trunc(v);
  return Math.abs(f(v - whole)) >= 0.5 ? whole + Math.sign(v) : whole;
}

function q8_0(x: Float32Array, out: DataView): void {
  let most = 0;
  for (const v of x) most = Math.max(most, Math.abs(v));
  const d = f(most / 127);
  out.setUint16(0, f16FromF32(d), true);
  for (let i = 0; i < 32; i++) out.setUint8(2 + i, lowByte(roundAway(f(at(x, i) * inverse(d)))));
}

function symmetric(x: Float32Array, out: DataView, bits: number): void {
  let most = 0;
  let extreme = 0;
  for (const v of x) {
    if (most < Math.abs(v)) {
      most = Math.abs(v);
      extreme = v;
    }
  }
  const half = 2 ** (bits - 1);
  const d = f(extreme / -half);
  out.setUint16(0, f16FromF32(d), true);
  const integer = (v: number) => {
    const byte = lowByte(f(f(v * inverse(d)) + (half + 0.5)));
    return Math.min(2 * half - 1, byte > 127 ? 0 : byte);
  };
  putFives(Array.from(x, integer), out, 2, bits);
}

function shifted(x: Float32Array, out: DataView, bits: number): void {
  let low = at(x, 0);
  let high = at(x, 0);
  for (const v of x) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const d = f(f(high - low) / (2 ** bits - 1));
  out.setUint16(0, f16FromF32(d), true);
  out.setUint16(2, f16FromF32(low), true);
  const integer = (v: number) => {
    const byte = lowByte(f(f(f(v - low) * inverse(d)) + 0.5));
    return Math.min(2 ** bits - 1, byte);
  };
  putFives(Array.from(x, integer), out, 4, bits);
}

// Fifth bits, if there are any, then nibbles: low ones are values 0 to 15, high ones 16 to 31.
function putFives(integers: readonly number[], out: DataView, begin: number, bits: number): void {
  if (bits === 5) {
    let fifth = 0;
    for (let i = 0; i < 32; i++) fifth |= (at(integers, i) >> 4) << i;
    out.setUint32(begin, fifth >>> 0, true);
    begin += 4;
  }
  for (let i = 0; i < 16; i++) {
    out.setUint8(begin + i, (at(integers, i) & 15) | ((at(integers, 16 + i) & 15) << 4));
  }
}

const bits = new DataView(new ArrayBuffer(4));

/** The nearest integer, as the low mantissa bits of a sum with 1.5 * 2^23. */
function nearest(v: number): number {
  bits.setFloat32(0, f(v + 12582912));
  return (bits.getInt32(0) & 0x7fffff) - 0x400000;
}

const clamp = (v: number, low: number, high: number) => Math.min(high, Math.max(low, v));

interface Fit {
  readonly scale: number;
  readonly offset: number;
  readonly integers: number[];
}

function fitOffset(x: Float32Array, most: number, first: number, tries: number): Fit {
  let squares = 0;
  for (const v of x) squares = f(squares + f(v * v));
  const mean = f(Math.sqrt(f(squares / 32)));
  const weights = Array.from(x, (v) => f(mean + Math.abs(v)));
  let low = at(x, 0);
  let high = at(x, 0);
  let sumW = at(weights, 0);
  let sumX = f(sumW * at(x, 0));
  for (let i = 1; i < 32; i++) {
    low = Math.min(low, at(x, i));
    high = Math.max(high, at(x, i));
    sumW = f(sumW + at(weights, i));
    sumX = f(sumX + f(at(weights, i) * at(x, i)));
  }
  if (low > 0) low = 0;
  if (high === low) return { scale: 0, offset: f(-low), integers: Array(32).fill(0) };
  const round = (by: number) => Array.from(x, (v) => clamp(nearest(f(by * f(v - low))), 0, most));
  const misfit = (integers: readonly number[], scale: number, offset: number) => {
    let error = 0;
    for (let i = 0; i < 32; i++) {
      const miss = f(f(f(scale * at(integers, i)) + offset) - at(x, i));
      error = f(error + f(at(weights, i) * f(miss * miss)));
    }
    return error;
  };
  let by = f(most / f(high - low));
  let scale = f(1 / by);
  let integers = round(by);
  let best = misfit(integers, scale, low);
  for (let t = 0; t < tries; t++) {
    by = f(f(f(first + f(f(0.1) * t)) + most) / f(high - low));
    const tried = round(by);
    let sumL = 0;
    let sumL2 = 0;
    let sumXL = 0;
    for (let i = 0; i < 32; i++) {
      const wl = f(at(weights, i) * at(tried, i));
      sumL = f(sumL + wl);
      sumL2 = f(sumL2 + f(wl * at(tried, i)));
      sumXL = f(sumXL + f(wl * at(x, i)));
    }
    const d = f(f(sumW * sumL2) - f(sumL * sumL));
    if (!(d > 0)) continue;
    let newScale = f(f(f(sumW * sumXL) - f(sumX * sumL)) / d);
    let newLow = f(f(f(sumL2 * sumX) - f(sumL * sumXL)) / d);
    if (newLow > 0) {
      newLow = 0;
      newScale = f(sumXL / sumL2);
    }
    const error = misfit(tried, newScale, newLow);
    if (error < best) {
      integers = tried;
      best = error;
      scale = newScale;
      low = newLow;
    }
  }
  return { scale, offset: f(-low), integers };
}

function kWithOffsets(x: Float32Array, out: DataView, width: 4 | 5): void {
  const most = 2 ** width - 1;
  const fits = Array.from({ length: 8 }, (_, g) =>
    width === 4
      ? fitOffset(x.subarray(32 * g, 32 * g + 32), most, -1, 21)
      : fitOffset(x.subarray(32 * g, 32 * g + 32), most, -0.5, 16),
  );
  const maxScale = Math.max(0, ...fits.map(({ scale }) => scale));
  const maxOffset = Math.max(0, ...fits.map(({ offset }) => offset));
  const d = f16FromF32(f(maxScale / 63));
  const dOffset = f16FromF32(f(maxOffset / 63));
  out.setUint16(0, d, true);
  out.setUint16(2, dOffset, true);
  const sixBits = (v: number, max: number) => Math.min(63, nearest(f((max > 0 ? f(63 / max) : 0) * v)) & 255);
  const integers: number[] = [];
  for (const [g, fit] of fits.entries()) {
    const scale = sixBits(fit.scale, maxScale);
    const offset = sixBits(fit.offset, maxOffset);
    if (g < 4) {
      out.setUint8(4 + g, scale);
      out.setUint8(8 + g, offset);
    } else {
      out.setUint8(8 + g, (scale & 15) | ((offset & 15) << 4));
      out.setUint8(g, out.getUint8(g) | ((scale >> 4) << 6));
      out.setUint8(4 + g, out.getUint8(4 + g) | ((offset >> 4) << 6));
    }
    const own = f(f32FromF16(d) * scale);
    const low = f(f32FromF16(dOffset) * offset);
    const again = (v: number) => clamp(nearest(f(f(v + low) / own)), 0, most);
    integers.push(...(own === 0 ? fit.integers : Array.from(x.subarray(32 * g, 32 * g + 32), again)));
  }
  if (width === 5) {
    for (let i = 0; i < 32; i++) {
      let fifth = 0;
      for (let g = 0; g < 8; g++) fifth |= (at(integers, 32 * g + i) >> 4) << g;
      out.setUint8(16 + i, fifth);
    }
  }
  for (let i = 0; i < 128; i++) {
    const low = 64 * Math.floor(i / 32) + (i % 32);
    out.setUint8(
      (width === 5 ? 48 : 16) + i,
      (at(integers, low) & 15) | ((at(integers, low + 32) & 15) << 4),
    );
  }
}

function fitScale(x: Float32Array): { scale: number; integers: number[] } {
  let most = 0;
  let extreme = 0;
  for (const v of x) {
    if (Math.abs(v) > most) {
      most = Math.abs(v);
      extreme = v;
    }
  }
  if (most < f(1e-15)) return { scale: 0, integers: Array(16).fill(0) };
  const round = (by: number) => Array.from(x, (v) => clamp(nearest(f(by * v)), -32, 31));
  const sums = (integers: readonly number[]) => {
    let xl = 0;
    let l2 = 0;
    for (let i = 0; i < 16; i++) {
      const w = f(at(x, i) * at(x, i));
      xl = f(xl + f(f(w * at(x, i)) * at(integers, i)));
      l2 = f(l2 + f(f(w * at(integers, i)) * at(integers, i)));
    }
    return { xl, l2 };
  };
  let integers = round(f(-32 / extreme));
  const { xl, l2 } = sums(integers);
  let scale = l2 === 0 ? 0 : f(xl / l2);
  let best = f(scale * xl);
  for (let t = -9; t <= 9; t++) {
    if (t === 0) continue;
    const tried = round(f(-f(32 + f(f(0.1) * t)) / extreme));
    const { xl, l2 } = sums(tried);
    if (l2 > 0 && f(xl * xl) > f(best * l2)) {
      integers = tried;
      scale = f(xl / l2);
      best = f(scale * xl);
    }
  }
  return { scale, integers: integers.map((l) => l + 32) };
}

function q6k(x: Float32Array, out: DataView): void {
  const groups = Array.from({ length: 16 }, (_, g) => x.subarray(16 * g, 16 * g + 16));
  const fits = groups.map(fitScale);
  let extreme = 0;
  for (const { scale } of fits) if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
  if (Math.abs(extreme) < f(1e-15)) return;
  const by = f(-128 / extreme);
  const d = f16FromF32(f(1 / by));
  out.setUint16(208, d, true);
  const integers = fits.flatMap((fit, g) => {
    const scale = (Math.min(127, nearest(f(by * fit.scale))) << 24) >> 24;
    out.setInt8(192 + g, scale);
    const own = f(f32FromF16(d) * scale);
    if (own === 0) return fit.integers;
    return Array.from(groups[g] as Float32Array, (v) => clamp(nearest(f(v / own)), -32, 31) + 32);
  });
  for (let i = 0; i < 256; i++) {
    const half = i >> 7;
    const quarter = (i >> 5) & 3;
    const l = i & 31;
    const low = 64 * half + 32 * (quarter & 1) + l;
    out.setUint8(low, out.getUint8(low) | ((at(integers, i) & 15) << (quarter >= 2 ? 4 : 0)));
    const high = 128 + 32 * half + l;
    out.setUint8(high, out.getUint8(high) | ((at(integers, i) >> 4) << (2 * quarter)));
  }
}

const iq4Values = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

function nearestIq4(v: number): number {
  if (v <= at(iq4Values, 0)) return 0;
  if (v >= at(iq4Values, 15)) return 15;
  const above = iq4Values.findIndex((value) => v < value);
  return f(v - at(iq4Values, above - 1)) < f(at(iq4Values, above) - v) ? above - 1 : above;
}

function iq4nl(x: Float32Array, out: DataView): void {
  let most = 0;
  let extreme = 0;
  for (const v of x) {
    if (Math.abs(v) > most) {
      most = Math.abs(v);
      extreme = v;
    }
  }
  const sums = (by: number) => {
    let qx = 0;
    let q2 = 0;
    for (const v of x) {
      const q = at(iq4Values, nearestIq4(f(by * v)));
      const wq = f(f(v * v) * q);
      qx = f(qx + f(wq * v));
      q2 = f(q2 + f(wq * q));
    }
    return { qx, q2 };
  };
  let scale = 0;
  if (most >= f(1e-15)) {
    const { qx, q2 } = sums(f(1 / f(-extreme / -127)));
    scale = q2 > 0 ? f(qx / q2) : 0;
    let best = f(scale * qx);
    for (let t = -7; t <= 7; t++) {
      const { qx, q2 } = sums(f((t - 127) / extreme));
      if (q2 > 0 && f(qx * qx) > f(best * q2)) {
        scale = f(qx / q2);
        best = f(scale * qx);
      }
    }
  }
  out.setUint16(0, f16FromF32(scale), true);
  const integer = (i: number) => nearestIq4(f(inverse(scale) * at(x, i)));
  for (let i = 0; i < 16; i++) out.setUint8(2 + i, integer(i) | (integer(16 + i) << 4));
}
