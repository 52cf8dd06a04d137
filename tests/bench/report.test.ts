import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { duration, median, ratesOf, share, significant, table } from "../../bench/report.ts";

describe("significant()", () => {
  it("keeps leading digits", () => {
    assert.equal(significant(123456), 123500);
    assert.equal(significant(0.00123456, 2), 0.0012);
    assert.equal(significant(-9.8765, 3), -9.88);
    assert.equal(significant(0), 0);
  });

  it("makes what is no number zero, so that results stay valid JSON", () => {
    assert.equal(significant(Number.NaN), 0);
    assert.equal(significant(Number.POSITIVE_INFINITY), 0);
  });
});

describe("median()", () => {
  it("takes the middle in numeric order, the lower one of two", () => {
    assert.equal(median([7]), 7);
    assert.equal(median([100, 9]), 9);
    assert.equal(median([100, 9, 20]), 20);
    assert.equal(median([4, 3, 2, 1]), 2);
    assert.ok(Number.isNaN(median([])));
  });

  it("leaves its argument alone", () => {
    const values = [3, 1, 2];
    median(values);
    assert.deepEqual(values, [3, 1, 2]);
  });
});

describe("share()", () => {
  it("divides by the ceiling, and is 0 where there is none", () => {
    assert.equal(share(6, 8), 0.75);
    assert.equal(share(12, 8), 1.5);
    assert.equal(share(6, 0), 0);
  });
});

describe("ratesOf()", () => {
  it("gives only the rates whose work is known", () => {
    assert.deepEqual(ratesOf({}, 100, 10), {});
    assert.deepEqual(ratesOf({ elements: 50 }, 100, 10), { elementsPerS: 5e8 });
  });

  it("is in the units that the names say", () => {
    // A millisecond: 8 MB are 8 GB/s, 3 million multiplications 3 GMAC/s.
    const work = { bytes: 8e6, macs: 3e6, elements: 2e6, tokens: 2, textBytes: 5000 };
    assert.deepEqual(ratesOf(work, 1e6, 10), {
      tokensPerS: 2000,
      gbPerS: 8,
      shareOfBandwidth: 0.8,
      gmacPerS: 3,
      elementsPerS: 2e9,
      textMbPerS: 5,
    });
  });
});

describe("duration()", () => {
  it("chooses the unit", () => {
    assert.equal(duration(0.12345), "0.123 us");
    assert.equal(duration(999), "999 us");
    assert.equal(duration(1000), "1 ms");
    assert.equal(duration(2_345_678), "2.35 s");
  });
});

describe("table()", () => {
  it("has a column for every key of any row, text to the left, numbers to the right", () => {
    const rows = [
      { name: "a", gbPerS: 12.5, shareOfBandwidth: 0.756 },
      { name: "longer", gbPerS: 3 },
      { name: "b", note: "x", gbPerS: undefined },
    ];
    assert.equal(
      table(rows),
      [
        "name    GB/s  share  note",
        "------  ----  -----  ----",
        "a       12.5    76%",
        "longer     3",
        "b                    x",
      ].join("\n"),
    );
  });

  it("is a head without rows", () => {
    assert.equal(table([]), "\n");
  });

  it("shows times with their unit and elements in billions", () => {
    const [, , line] = table([{ medianUs: 1500, minUs: 900, elementsPerS: 2.5e9 }]).split("\n");
    assert.equal(line?.trim().replace(/ +/g, " "), "1.5 ms 900 us 2.5");
  });
});
