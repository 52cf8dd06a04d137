// Values as error messages show them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeValue } from "../../src/util/describe.ts";

describe("describeValue()", () => {
  it("shows values of every type on one line", () => {
    const values: [unknown, string][] = [
      [undefined, "undefined"],
      [null, "null"],
      [true, "true"],
      [-0.5, "-0.5"],
      [Number.NaN, "NaN"],
      [2n ** 64n, "18446744073709551616n"],
      ["", '""'],
      ["a\n\u001b[31m", '"a\\n\\u001b[31m"'],
      [[1, 2], "an array"],
      [{ toString: 1 }, "an object"],
      [Object.create(null), "an object"],
      [new Uint8Array(1e6), "an object"],
      [() => {}, "a function"],
      [class {}, "a function"],
      [Symbol("secret"), "a symbol"],
    ];
    for (const [value, text] of values) assert.equal(describeValue(value), text);
  });

  it("cuts long texts", () => {
    assert.ok(describeValue("x".repeat(1e6)).length < 100);
  });
});
