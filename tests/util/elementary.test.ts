// Elementary functions of the host: the bits of the kernels' logarithm, and powers.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ln, power } from "../../src/util/elementary.ts";
import { uniform } from "../support/kernels.ts";
import { variantBenches } from "../support/variants.ts";

const benches = await variantBenches(1 << 16);

describe("elementary functions", () => {
  it("ln() is the natural logarithm, in the bits of the kernels'", () => {
    const random = uniform(1);
    const values = [1, Math.SQRT2, 2, 10, 10000, 2 ** -1022, 2 ** 1000, 0.1];
    for (let i = 0; i < 2000; i++) values.push(2 ** random(-300, 300));
    for (const x of values) {
      const result = ln(x);
      assert.ok(Math.abs(result - Math.log(x)) <= 4e-16 * Math.max(1, Math.abs(Math.log(x))), `ln ${x}`);
      for (const { bench } of benches) assert.equal(result, bench.kernels.log_f64(x), `ln ${x}`);
    }
    assert.equal(ln(1), 0);
  });

  it("power() is base ^ exponent", () => {
    assert.deepEqual(
      [power(3, 0), power(3, 1), power(3, 2), power(2, 0.5), power(1, 1.3)],
      [1, 3, 9, Math.SQRT2, 1],
    );
    const random = uniform(2);
    for (let i = 0; i < 500; i++) {
      const [base, exponent] = [2 ** random(0, 20), random(0, 3)];
      assert.ok(Math.abs(power(base, exponent) / base ** exponent - 1) < 1e-13, `${base} ^ ${exponent}`);
    }
  });
});
