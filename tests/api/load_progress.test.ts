// Reports of loading: numbers that are right, or absent; by a clock of the test's own.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { LoadProgress } from "../../src/api/load_options.ts";
import { progressReport, Rate } from "../../src/api/load_progress.ts";
import { Llama } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";

const MB = 1 << 20;

/** Reports that are collected, by a clock that `at` sets. */
function collected() {
  const reports: LoadProgress[] = [];
  let ms = 1000;
  const report = progressReport(
    (progress) => reports.push(progress),
    () => ms,
  );
  return {
    reports,
    report,
    at(next: number) {
      ms = 1000 + next;
    },
    get last() {
      return reports.at(-1) as LoadProgress;
    },
  };
}

function check(reports: readonly LoadProgress[]): void {
  let before = 0;
  for (const { fraction, bytesPerSecond, remainingMs } of reports) {
    for (const value of [fraction, bytesPerSecond, remainingMs]) {
      assert.ok(value === undefined || (Number.isFinite(value) && value >= 0), `${value}`);
    }
    if (fraction === undefined) continue;
    assert.ok(fraction >= before && fraction <= 1, `${fraction} after ${before}`);
    before = fraction;
    if (fraction === 1) assert.equal(remainingMs, 0);
  }
}

describe("progressReport()", () => {
  it("progressReport() knows a local file's rate after a while, and the time that is left", () => {
    const { report, reports, at } = collected();
    for (let i = 1; i <= 10; i++) {
      at(i * 100);
      report.onWeights({ loadedBytes: i * MB, totalBytes: 20 * MB });
    }
    check(reports);
    const [first, second] = reports;
    assert.deepEqual(first, {
      loadedBytes: MB,
      totalBytes: 20 * MB,
      fraction: 0.05,
      bytesPerSecond: undefined,
      remainingMs: undefined,
    });
    assert.equal(second?.bytesPerSecond, undefined, "100 ms say nothing");
    const last = reports.at(-1);
    assert.equal(last?.fraction, 0.5);
    assert.equal(Math.round(last?.bytesPerSecond ?? 0), 10 * MB);
    assert.equal(Math.round(last?.remainingMs ?? 0), 1000);
  });

  it("progressReport() counts a download, and not what an earlier one has left", () => {
    const { report, reports, at } = collected();
    report.onWeights({ loadedBytes: 0, totalBytes: 90 * MB });
    // Half of it comes from the disk at once; then 1 MB each second.
    for (let i = 0; i <= 4; i++) {
      at(i * 1000);
      report.onBytes((50 + i) * MB, 100 * MB);
    }
    check(reports);
    const last = reports.at(-1);
    assert.deepEqual(last?.download, { receivedBytes: 54 * MB, totalBytes: 100 * MB });
    assert.equal(last?.fraction, 0.54);
    assert.equal(Math.round(last?.bytesPerSecond ?? 0), MB);
    assert.equal(Math.round(last?.remainingMs ?? 0), 46_000);
  });

  it("progressReport() takes the weights' word where the download says no size", () => {
    const { report, reports, at } = collected();
    report.onBytes(MB, undefined);
    assert.equal(reports.at(-1)?.fraction, undefined);
    for (let i = 2; i <= 5; i++) {
      at(i * 500);
      report.onBytes(i * MB, undefined);
      report.onWeights({ loadedBytes: i * MB, totalBytes: 10 * MB });
    }
    check(reports);
    const last = reports.at(-1);
    assert.equal(last?.fraction, 0.5);
    assert.ok((last?.bytesPerSecond ?? 0) > MB && (last?.remainingMs ?? 0) > 0);
    report.onEnd();
    assert.equal(reports.at(-1)?.fraction, 1);
    assert.equal(reports.at(-1)?.remainingMs, 0);
  });

  it("progressReport() forgets what was long ago, and survives a stall", () => {
    const { report, reports, at } = collected();
    let received = 0;
    const run = (from: number, to: number, perStep: number) => {
      for (let ms = from; ms < to; ms += 100) {
        at(ms);
        received += perStep;
        report.onBytes(received, 1000 * MB);
      }
    };
    run(0, 10_000, 2 * MB);
    run(60_000, 70_000, MB);
    check(reports);
    assert.equal(Math.round((reports.at(-1)?.bytesPerSecond ?? 0) / MB), 10);
  });

  it("progressReport() gives no number that is none, whatever the clock and the counts do", () => {
    const step = fc.record({
      ms: fc.oneof(fc.constant(0), fc.integer({ min: -50, max: 3000 })),
      bytes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50 * MB })),
      kind: fc.constantFrom("bytes", "weights", "unsized"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { report, reports, at } = collected();
        let ms = 0;
        let [received, loaded] = [0, 0];
        for (const { ms: more, bytes, kind } of steps) {
          ms += more;
          at(ms);
          if (kind === "weights") {
            loaded = Math.min(100 * MB, loaded + bytes);
            report.onWeights({ loadedBytes: loaded, totalBytes: 100 * MB });
          } else {
            received = Math.min(120 * MB, received + bytes);
            report.onBytes(received, kind === "bytes" ? 120 * MB : undefined);
          }
        }
        report.onEnd();
        check(reports);
        assert.equal(reports.at(-1)?.fraction ?? 1, 1);
      }),
    );
  });

  it("Llama.load() reports up to the whole, for bytes in memory too", async () => {
    const reports: LoadProgress[] = [];
    const onProgress = (report: LoadProgress) => reports.push(report);
    (await Llama.load(tinyLlamaGguf().bytes, { threads: 1, onProgress })).dispose();
    check(reports);
    const last = reports.at(-1);
    assert.deepEqual([last?.fraction, last?.remainingMs, last?.loadedBytes], [1, 0, last?.totalBytes]);
  });
});

describe("Rate", () => {
  it("Rate is undefined before there is enough, also where the clock stands still or goes back", () => {
    const rate = new Rate();
    assert.equal(rate.perSecond(), undefined);
    for (const ms of [0, 0, -10, 249]) {
      rate.add(ms, 10);
      assert.equal(rate.perSecond(), undefined);
    }
    rate.add(500, 110);
    assert.equal(rate.perSecond(), 200);
  });

  it("Rate follows many samples in little room", () => {
    const rate = new Rate();
    for (let ms = 0; ms <= 100_000; ms++) rate.add(ms, ms * 3);
    assert.equal(Math.round(rate.perSecond() ?? 0), 3000);
  });
});
