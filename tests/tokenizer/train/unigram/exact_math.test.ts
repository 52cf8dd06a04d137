// Logarithm, exponential and digamma against known values.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digamma, exp, log } from "../../../../src/tokenizer/train/unigram/exact_math.ts";

/** Distance in units in the last place of `b`. */
function ulps(a: number, b: number): number {
  const unit = Math.max(2 ** (Math.floor(Math.log2(Math.abs(b))) - 52), Number.MIN_VALUE);
  return a === b ? 0 : Math.abs(a - b) / unit;
}

describe("log()", () => {
  it("is the natural logarithm to 2 units in the last place", () => {
    for (let i = -3000; i <= 3000; i++) {
      const x = 1.2345 ** (i / 10) * (1 + Math.abs(i % 7) / 100);
      assert.ok(ulps(log(x), Math.log(x)) <= 2, `log(${x}) = ${log(x)}`);
    }
  });

  it("is right at the ends of what a double holds", () => {
    assert.equal(log(1), 0);
    for (const x of [Number.MIN_VALUE, 2 ** -1022, 1 - 2 ** -53, 1 + 2 ** -52, 2, Number.MAX_VALUE]) {
      assert.ok(ulps(log(x), Math.log(x)) <= 2, `log(${x}) = ${log(x)}`);
    }
  });

  it("is as Math.log() is where there is no logarithm", () => {
    for (const x of [0, -0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      assert.equal(log(x), Math.log(x), `${x}`);
    }
  });

  it("gives these bits everywhere", () => {
    assert.equal(log(2), Math.LN2);
    assert.equal(log(10), Math.LN10);
    assert.equal(log(274252), 12.521802670727112);
  });
});

describe("exp()", () => {
  it("is the exponential to 2 units in the last place", () => {
    for (let i = -7000; i <= 7000; i++) {
      const x = i / 10 + 0.0123;
      assert.ok(ulps(exp(x), Math.exp(x)) <= 2, `exp(${x}) = ${exp(x)}`);
    }
  });

  it("ends in 0 and in infinity", () => {
    assert.equal(exp(0), 1);
    assert.equal(exp(-1e9), 0);
    assert.equal(exp(-746), 0);
    assert.equal(exp(-745.1), Number.MIN_VALUE);
    assert.equal(exp(Number.NEGATIVE_INFINITY), 0);
    assert.ok(ulps(exp(709.7), Math.exp(709.7)) <= 2);
    assert.equal(exp(710), Number.POSITIVE_INFINITY);
  });
});

describe("digamma()", () => {
  it("knows its values", () => {
    const gamma = 0.5772156649015329;
    assert.ok(Math.abs(digamma(1) + gamma) < 1e-9);
    assert.ok(Math.abs(digamma(0.5) + gamma + 2 * Math.LN2) < 1e-9);
    assert.ok(Math.abs(digamma(10) - 2.251752589066721) < 1e-9);
    assert.ok(Math.abs(digamma(1e6) - (Math.log(1e6) - 0.5e-6)) < 1e-11);
  });

  it("grows by 1/x from x to x + 1", () => {
    for (let x = 0.25; x < 40; x += 0.75)
      assert.ok(Math.abs(digamma(x + 1) - digamma(x) - 1 / x) < 1e-8, `${x}`);
  });
});
