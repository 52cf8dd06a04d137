import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { chart } from "../../bench/peers/chart.ts";
import { type Group, groups, type Row, type Targets } from "../../bench/peers/groups.ts";
import {
  page,
  peersPart,
  type Result,
  readResults,
  resultsFolder,
  withPeers,
} from "../../bench/peers/performance_page.ts";
import { answer, type Peer, promptIds } from "../../bench/peers/protocol.ts";
import {
  chooseGroups,
  medianOf,
  medians,
  medianTable,
  qualityRows,
  ratioTable,
  rowResults,
} from "../../bench/peers/results.ts";
import type { GroupTimes, SeatTimes } from "../../bench/peers/run.ts";
import { merged, type Stored } from "../../bench/peers/stored.ts";
import { processorSlug } from "../../bench/processor.ts";

const first = groups[0] as Group;

function seat(peer: SeatTimes["peer"], threads: number, decode: number[], more: Partial<SeatTimes> = {}) {
  const times = { decode, prefill: [], load: [] };
  const unknown = { peakBytes: undefined, emptyBytes: undefined, linearBytes: undefined, failure: undefined };
  return { peer, threads, version: "1", times, ...unknown, ...more };
}

function timesOf(rows: readonly Row[], seats: readonly SeatTimes[], fileBytes = 0): GroupTimes {
  const group = { ...first, threads: 2, kvBytes: 50, rows };
  return { group, fileBytes, weightBytes: fileBytes / 2, seats, otherCores: [] };
}

describe("rowResults()", () => {
  const always = (targets: Targets) => ({ vnni: targets, plain: targets });
  const row = (to: Row["to"], targets: Targets): Row => {
    return { title: "decode", metric: "decode", to, bound: "≥", targets: always(targets) };
  };

  it("divides speeds round by round, in which the machine is as fast for both", () => {
    const seats = [seat("native", 2, [10, 100, 12]), seat("deno", 2, [8, 50, 12])];
    const [result] = rowResults(timesOf([row("native", { deno: 1.25, bun: 1 })], seats), "plain");
    assert.deepEqual(result?.ratios, { deno: { value: 1.25, target: 1.25, met: true } });
  });

  it("divides only rounds that both have", () => {
    const seats = [seat("wllama", 2, [30]), seat("chromium", 2, [10, 90, 90])];
    const [result] = rowResults(timesOf([row("wllama", { chromium: 3.5 })], seats), "plain");
    assert.deepEqual(result?.ratios.chromium, { value: 3, target: 3.5, met: false });
  });

  it("divides times of loading, at most the target", () => {
    const load = (ms: number[]) => ({ times: { decode: [], prefill: [], load: ms } });
    const seats = [seat("native", 2, [], load([1, 10])), seat("bun", 2, [], load([2, 30]))];
    const row: Row = { title: "load", metric: "load", to: "native", bound: "≤", targets: always({ bun: 3 }) };
    assert.deepEqual(rowResults(timesOf([row], seats), "plain")[0]?.ratios.bun, {
      value: 2,
      target: 3,
      met: true,
    });
  });

  it("compares threads that only read with cria's one", () => {
    const seats = [seat("memory", 2, [5, 6]), seat("deno", 2, [9, 9]), seat("deno", 1, [10, 9])];
    const [result] = rowResults(timesOf([{ ...row("one thread", {}), of: "memory" }], seats), "plain");
    assert.deepEqual(result?.ratios, { deno: { value: 1.5, target: undefined, met: undefined } });
  });

  it("compares with the same peer of one thread", () => {
    const seats = [seat("bun", 2, [10]), seat("bun", 1, [17])];
    const [result] = rowResults(timesOf([row("one thread", { bun: 1.8 })], seats), "plain");
    assert.deepEqual(result?.ratios.bun, { value: 1.7, target: 1.8, met: false });
  });

  it("compares with a recorded rate", () => {
    const [result] = rowResults(
      timesOf([row({ tokensPerS: 500 }, { deno: 1 })], [seat("deno", 2, [4])]),
      "plain",
    );
    assert.equal(result?.ratios.deno?.value, 0.5);
  });

  it("compares memory with the file and the KV cache, at most the target", () => {
    const memory: Row = { ...row("file + KV cache", { bun: 1.1 }), metric: "memory", bound: "≤" };
    const seats = [seat("bun", 2, [1], { peakBytes: 165 })];
    const [result] = rowResults(timesOf([memory], seats, 100), "plain");
    assert.deepEqual(result?.ratios.bun, { value: 1.1, target: 1.1, met: true });
  });

  it("compares linear memory, and resident memory without the empty runtime's, with weights and KV cache", () => {
    const memory = { ...row("weights + KV cache", { bun: 1.1 }), bound: "≤" } as const;
    const sizes = { peakBytes: 165, emptyBytes: 45, linearBytes: 90 };
    const of = (metric: "resident" | "linear") =>
      rowResults(timesOf([{ ...memory, metric }], [seat("bun", 2, [1], sizes)], 100), "plain")[0]?.ratios.bun;
    assert.deepEqual(of("resident"), { value: 1.2, target: 1.1, met: false });
    assert.deepEqual(of("linear"), { value: 0.9, target: 1.1, met: true });
    const unknown = [seat("bun", 2, [1], { peakBytes: 165 })];
    assert.deepEqual(rowResults(timesOf([{ ...memory, metric: "resident" }], unknown, 100), "plain"), []);
  });

  it("leaves out what was not measured", () => {
    assert.deepEqual(rowResults(timesOf([row("native", { deno: 1 })], [seat("deno", 2, [4])]), "plain"), []);
    assert.deepEqual(
      rowResults(timesOf([row("native", { deno: 1 })], [seat("native", 2, [4])]), "plain"),
      [],
    );
  });

  it("holds a processor to the targets of its kind", () => {
    const seats = [seat("native", 2, [10]), seat("deno", 2, [10])];
    const ofKinds = { ...row("native", {}), targets: { vnni: { deno: 1.1 }, plain: { deno: 0.9 } } };
    const met = (kind: "vnni" | "plain") => rowResults(timesOf([ofKinds], seats), kind)[0]?.ratios.deno?.met;
    assert.deepEqual([met("vnni"), met("plain")], [false, true]);
  });

  it("compares peers of one thread with each other", () => {
    const seats = [seat("native", 2, [5]), seat("native", 1, [9]), seat("bun", 2, [4]), seat("bun", 1, [6])];
    const [result] = rowResults(timesOf([{ ...row("native", {}), threads: 1 }], seats), "plain");
    assert.equal(result?.ratios.bun?.value, 1.5);
  });
});

describe("medianOf()", () => {
  it("takes the median of a metric's times, and bytes for memory", () => {
    const one = seat("deno", 2, [3, 1, 2], { peakBytes: 7 });
    assert.equal(medianOf(one, "decode"), 2);
    assert.equal(medianOf(one, "memory"), 7);
    assert.equal(medianOf(one, "prefill"), undefined);
  });
});

describe("qualityRows()", () => {
  it("is met within half a percent, to either side", () => {
    const nll = { deno: { f32: 2, q8: 2.009 }, bun: { f32: 2, q8: 2.02 }, chromium: { f32: 2, q8: 1.98 } };
    const [row] = qualityRows([{ model: "m", nll }]);
    assert.deepEqual(
      [row?.ratios.deno?.met, row?.ratios.bun?.met, row?.ratios.chromium?.met],
      [true, false, false],
    );
    assert.match(row?.title ?? "", /2\.0090 ÷ 2\.0000/);
  });

  it("leaves out models that nobody scored", () => {
    assert.deepEqual(qualityRows([{ model: "m", nll: {} }]), []);
  });
});

describe("ratioTable()", () => {
  it("says what was met and what was missed", () => {
    const met = { value: 1, target: 1, met: true };
    const missed = { value: 0.5, target: 1, met: false };
    const table = ratioTable([{ title: "decode", bound: "≥", ratios: { deno: met, bun: missed } }]);
    assert.match(table, /\| decode \| 1 \(≥ 1: met\) \| 0\.5 \(≥ 1: \*\*missed\*\*\) \| – \|$/);
  });
});

describe("medians(), medianTable() and chart()", () => {
  const times = timesOf([], [seat("deno", 2, [4]), seat("native", 2, [], { failure: "no\nmore" })]);

  it("give rates, and the reason where a peer failed", () => {
    const [deno, native] = medians(times);
    assert.equal(deno?.decodeTokensPerS, 250);
    assert.equal(native?.decodeTokensPerS, undefined);
    const table = medianTable(medians(times));
    assert.match(table, /cria in Deno \| 2 \| 250 \|/);
    assert.match(table, /failed: no\) \| 2 \| – \|/);
  });

  it("draw a bar for each rate", () => {
    const svg = chart(medians(times));
    assert.equal(svg.match(/<rect[^>]*class="deno"/g)?.length, 1);
    assert.doesNotMatch(svg, /NaN|undefined|class="native"/);
  });
});

describe("chooseGroups()", () => {
  it("finds groups by name, all without names, and refuses unknown ones", () => {
    assert.deepEqual(
      chooseGroups(groups, "15m,q8").map(({ name }) => name),
      ["15m", "q8"],
    );
    assert.equal(chooseGroups(groups, undefined).length, groups.length);
    assert.throws(() => chooseGroups(groups, "q9"), /Cannot measure rows q9: Expected q8/);
  });
});

describe("the results", () => {
  it("lie in a file for each processor, beside its chart", () => {
    const results = readResults();
    assert.ok(results.length > 0);
    for (const { file, machine } of results) {
      assert.equal(file, processorSlug(machine));
      assert.ok(existsSync(new URL(`${file}.svg`, resultsFolder)), `${file}.svg is missing`);
    }
  });

  it("are those of docs/performance.md, every ratio of every processor", () => {
    const text = readFileSync(page, "utf8");
    assert.ok(
      text === withPeers(text, readResults()),
      "docs/performance.md: run bun bench/peers/performance_page.ts",
    );
  });
});

describe("merged()", () => {
  const run = (groups: string[], date: string, value: number): Stored => ({
    suite: "peers",
    method: date,
    machine: { date } as Stored["machine"],
    versions: {},
    inRealTime: true,
    bandwidth: {} as Stored["bandwidth"],
    otherCores: { mean: 0, samples: 1 },
    medians: groups.map((group) => ({
      group,
      model: group,
      peer: "bun",
      threads: 2,
      version: "",
      samples: value,
    })),
    ratios: groups.map((title) => ({
      title,
      bound: "≥",
      ratios: { bun: { value, target: 1, met: undefined } },
    })),
    nll: [],
    samples: groups.map((group) => ({ group, seats: [] })),
    skipped: groups.map((group) => `${group}, fugood: ${date}`),
  });

  it("replaces the groups of a run, keeps the others, and says when each was measured", () => {
    const first = merged(run(["a", "b", "c"], "old", 1), run(["b", "c"], "new", 2));
    const all = merged(first, run(["c", "d"], "newest", 3));
    const values = all.ratios.map(({ title, ratios }) => [title, ratios.bun?.value]);
    assert.deepEqual(values, [
      ["a", 1],
      ["b", 2],
      ["c", 3],
      ["d", 3],
    ]);
    assert.deepEqual(
      all.medians.map(({ group, samples }) => [group, samples]),
      values,
    );
    assert.deepEqual(all.skipped, [
      "a, fugood: old",
      "b, fugood: new",
      "c, fugood: newest",
      "d, fugood: newest",
    ]);
    assert.equal(all.machine.date, "old");
    const parts = all.parts?.map(({ groups, machine }) => [groups, machine.date]);
    assert.deepEqual(parts, [
      [["b"], "new"],
      [["c", "d"], "newest"],
    ]);
  });
});

describe("peersPart()", () => {
  const machine = { cpu: "AMD EPYC", date: "2026-01-02", commit: "abc" };
  const slow: Result = {
    file: "slow",
    machine: { ...machine, microarchitecture: "Zen 3", features: ["AVX2"] },
    ratios: [
      { title: "nll of m, q8 ÷ f32 (2.01 ÷ 2 nats)", bound: "≤", ratios: { bun: cell(1.00169, 1.005) } },
      { title: "decode, 1.1B Q8_0, ÷ native", bound: "≥", ratios: { deno: cell(1.06), chromium: cell(0.9) } },
    ],
  };
  const fast: Result = {
    file: "fast",
    machine: { ...machine, microarchitecture: undefined, features: ["AVX2", "AVX-VNNI"] },
    ratios: [{ title: "decode, 1.1B Q8_0, ÷ native", bound: "≥", ratios: { deno: cell(1.06) } }],
  };
  const lines = peersPart([slow, fast]).split("\n");

  it("has a column for each processor, with its instructions, date and commit", () => {
    assert.equal(lines[0], "| work: Deno / Bun / Chromium | AMD EPYC (Zen 3) | AMD EPYC |");
    assert.equal(lines[2], "| instructions | AVX2, no VNNI | AVX2, AVX-VNNI |");
    assert.match(lines[3] ?? "", /\[2026-01-02, abc\]\(..\/bench\/results\/peers\/slow\.json\)/);
    assert.equal(lines.filter((line) => line.startsWith("![")).length, 2);
  });

  it("says which groups were measured later", () => {
    const later = { date: "2026-02-03", commit: "def" };
    const parts = ["q4km", "gone"].map((name) => ({ groups: [name], machine: later }));
    const [, , , measured] = peersPart([{ ...slow, parts }]).split("\n");
    assert.match(measured ?? "", /slow\.json\); 1\.1B shape, Q4_K_M, gone: 2026-02-03, def \|$/);
  });

  it("says what was short of the targets of that kind, and what was not measured", () => {
    assert.equal(
      lines[4],
      "| decode, 1.1B Q8_0, ÷ native | 1.06 / – / 0.900 (target ≥ 1.05) | 1.06 (target ≥ 1.1) / – / – |",
    );
  });

  it("puts the rows of the groups first, and leaves out what differs from run to run", () => {
    assert.equal(lines[5], "| nll of m, q8 ÷ f32 | – / 1.0017 / – | – |");
  });

  it("is refused a text without a place for it", () => {
    assert.throws(() => withPeers("# README", [slow]), /docs\/performance\.md has no part/);
  });

  function cell(value: number, target?: number) {
    return { value, target, met: undefined };
  }
});

describe("answer()", () => {
  const peer = { about: async () => ({ version: "1" }), load: () => Promise.reject(new Error("no file")) };
  const call = (op: keyof Peer) => answer(peer as unknown as Peer, { op });

  it("gives the result, or the error of a call that fails or is missing", async () => {
    assert.deepEqual(await call("about"), { ok: { version: "1" } });
    assert.match(((await call("load")) as { error: string }).error, /no file/);
    assert.match(((await call("nll")) as { error: string }).error, /has no nll/);
  });
});

describe("promptIds()", () => {
  it("stays inside the vocabulary, behind control and byte tokens where there is room", () => {
    for (const vocabSize of [2, 512, 32_000]) {
      const ids = promptIds(1000, vocabSize);
      assert.equal(ids.length, 1000);
      assert.ok(ids.every((id) => id >= Math.min(300, vocabSize >> 1) && id < vocabSize));
    }
    assert.deepEqual(promptIds(0, 10), []);
  });
});
