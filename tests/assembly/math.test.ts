// Elementary functions against those of the standard, and conversions of halves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KernelExports } from "../../src/kernels/exports.gen.ts";
import { halfValue, nearestHalf } from "../reference/math.ts";
import { randomF32, uniform } from "../support/kernels.ts";
import { onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(1 << 20);

/** f(x) of a kernel for every x, the same bits in every variant. */
function results(
  xs: ArrayLike<number>,
  apply: (kernels: KernelExports, x: number) => number,
): Float64Array<ArrayBuffer> {
  const bytes = onEveryVariant(
    benches,
    ({ kernels }) => new Uint8Array(Float64Array.from(xs, (x) => apply(kernels, x)).buffer),
  );
  return new Float64Array(bytes.buffer);
}

function assertRelative(
  xs: ArrayLike<number>,
  actual: ArrayLike<number>,
  expected: (x: number) => number,
  limit: number,
): void {
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] as number;
    const e = expected(x);
    const error = Math.abs((actual[i] as number) - e);
    // Not `error > limit`: NaN must fail.
    if (!(error <= limit * Math.abs(e))) assert.fail(`x = ${x}: expected ${e}, got ${actual[i]}`);
  }
}

function assertAbsolute(
  xs: ArrayLike<number>,
  actual: ArrayLike<number>,
  expected: (x: number) => number,
  limit: number,
): void {
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] as number;
    const error = Math.abs((actual[i] as number) - expected(x));
    if (!(error <= limit)) assert.fail(`x = ${x}: expected ${expected(x)}, got ${actual[i]}`);
  }
}

/** `n` values from low to high, evenly spaced, both included. */
function steps(low: number, high: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));
}

/** `n` positive values spread evenly over the exponents. */
function spread(n: number, seed: number, low: number, high: number): number[] {
  const next = uniform(seed);
  return Array.from({ length: n }, () => 2 ** next(low, high));
}

describe("f64 functions", () => {
  it("exp_f64() is e^x within 1e-15", () => {
    const xs = [0, -0, 1e-300, -1e-17, ...steps(-708, 709, 5001), ...steps(-1, 1, 2001)];
    assertRelative(
      xs,
      results(xs, (k, x) => k.exp_f64(x)),
      Math.exp,
      1e-15,
    );
  });

  it("exp_f64() is exact at 0, zero far below, infinite far above, NaN of NaN", () => {
    const xs = [0, -708.001, -1e30, Number.NEGATIVE_INFINITY, 709.8, 1e30, Number.POSITIVE_INFINITY];
    const inf = Number.POSITIVE_INFINITY;
    assert.deepEqual([...results(xs, (k, x) => k.exp_f64(x))], [1, 0, 0, 0, inf, inf, inf]);
    for (const { bench } of benches) assert.ok(Number.isNaN(bench.kernels.exp_f64(Number.NaN)));
  });

  it("log_f64() is ln x within 1e-15", () => {
    const xs = [2.2250738585072014e-308, 1.7976931348623157e308, ...spread(4000, 1, -1022, 1023)];
    xs.push(...spread(1000, 2, -1, 1), 1 + 2 ** -52, 1 - 2 ** -53, Math.SQRT2, Math.SQRT1_2, 0.5, 2, 10);
    assertRelative(
      xs,
      results(xs, (k, x) => k.log_f64(x)),
      Math.log,
      1e-15,
    );
    assert.deepEqual([...results([1], (k, x) => k.log_f64(x))], [0]);
  });

  it("pow_f64() is x^y within 1e-14 where rope needs it", () => {
    for (const theta of [1, 2, 10000, 500000, 1e6]) {
      const ys = [0, -1, ...steps(-1, 1, 501)];
      assertRelative(
        ys,
        results(ys, (k, y) => k.pow_f64(theta, y)),
        (y) => theta ** y,
        1e-14,
      );
    }
    const xs = spread(1000, 3, -3, 3);
    assertRelative(
      xs,
      results(xs, (k, x) => k.pow_f64(x, 1.5)),
      (x) => x ** 1.5,
      1e-14,
    );
  });

  for (const name of ["sin", "cos"] as const) {
    it(`${name}_f64() is within 1e-15 up to a million`, () => {
      const next = uniform(4);
      const xs = [0, -0, 1e-8, 131071, -131071, 1e6, -1e6];
      // Multiples of pi/4 are where the quadrant and the series change.
      for (let k = -16; k <= 16; k++) {
        for (const d of [-1e-9, 0, 1e-9]) xs.push((k * Math.PI) / 4 + d);
      }
      xs.push(...steps(-7, 7, 1001), ...Array.from({ length: 4000 }, () => next(-1e6, 1e6)));
      assertAbsolute(
        xs,
        results(xs, (k, x) => k[`${name}_f64`](x)),
        Math[name],
        1e-15,
      );
    });
  }
});

describe("exp_f32()", () => {
  const exp = (xs: ArrayLike<number>) => results(xs, (k, x) => k.exp_f32(x));

  it("is e^x within 1.2e-7 over [-87, 88]", () => {
    const xs = Float32Array.from([0, -0, 1e-38, ...steps(-87, 88, 10001), ...steps(-1, 1, 2001)]);
    assertRelative(xs, exp(xs), Math.exp, 1.2e-7);
  });

  it("is exactly 1 at 0, exactly 0 under -87", () => {
    const below = [-87.00001, -88, -104, -1e10, -3e38, Number.NEGATIVE_INFINITY];
    assert.deepEqual([...exp(below)], [0, 0, 0, 0, 0, 0]);
    assert.deepEqual([...exp([0, -0])], [1, 1]);
  });

  it("stays at e^88 above 88 and keeps NaN", () => {
    const at88 = exp([88])[0] as number;
    assert.deepEqual([...exp([88.5, 1e30, Number.POSITIVE_INFINITY])], [at88, at88, at88]);
    for (const { bench } of benches) assert.ok(Number.isNaN(bench.kernels.exp_f32(Number.NaN)));
  });
});

describe("f16", () => {
  it("load_f16() reads every finite half exactly", () => {
    for (const { bench } of benches) {
      bench.reset();
      const ptr = bench.put(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
      for (let bits = 0; bits < 65536; bits++) {
        if ((bits & 0x7c00) === 0x7c00) continue;
        const actual = bench.kernels.load_f16(ptr + 2 * bits);
        if (!Object.is(actual, halfValue(bits))) assert.fail(`half ${bits}: got ${actual}`);
      }
    }
  });

  it("to_f16() gives every half back and rounds what lies between to the nearest, ties to even", () => {
    const xs: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const low = halfValue(bits);
      const high = halfValue(bits + 1);
      const middle = (low + high) / 2;
      for (const x of [
        low,
        middle,
        Math.fround(middle * (1 - 2 ** -23)),
        Math.fround(middle * (1 + 2 ** -22)),
      ]) {
        xs.push(x, -x);
      }
    }
    xs.push(...randomF32(4000, 5, -70000, 70000), ...randomF32(4000, 6, -1e-4, 1e-4));
    const actual = results(xs, (k, x) => k.to_f16(x));
    for (let i = 0; i < xs.length; i++) {
      const x = xs[i] as number;
      if (actual[i] !== nearestHalf(x)) assert.fail(`${x}: expected ${nearestHalf(x)}, got ${actual[i]}`);
    }
  });

  it("to_f16() saturates, and makes 0 of NaN and of what is too small", () => {
    const xs = [65504, 65519, 65520, 1e30, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -26];
    const expected = [0x7bff, 0x7bff, 0x7bff, 0x7bff, 0x7bff, 0xfbff, 0];
    assert.deepEqual([...results([...xs, Number.NaN], (k, x) => k.to_f16(x))], [...expected, 0]);
  });
});
