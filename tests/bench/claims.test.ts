import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as op from "../../assembly/layout/ops.ts";
import { barChart, decades, INK, lineChart, palette } from "../../bench/claims/chart.ts";
import { shapeModel } from "../../bench/claims/models.ts";
import { markdownTable, quietness, type Result, renderPage } from "../../bench/claims/page.ts";
import { recordRanges, timeKinds } from "../../bench/claims/records.ts";
import { claims } from "../../bench/claims/registry.ts";
import { quick, repeats, rounds, thorough } from "../../bench/claims/timing.ts";
import {
  against1,
  bytes,
  duration,
  list,
  number,
  percent,
  ratio,
  timesRange,
} from "../../bench/claims/words.ts";
import { engineOf } from "../support/models.ts";

describe("number()", () => {
  it("keeps three digits, or as many as asked for", () => {
    assert.deepEqual(
      [0, 0.04567, 2.5, 1234.5].map((x) => number(x)),
      ["0", "0.0457", "2.5", "1230"],
    );
    assert.equal(number(1234.5, 5), "1234.5");
  });
});

describe("ratio(), percent(), duration() and bytes()", () => {
  it("write units that read well", () => {
    assert.deepEqual([0.5, 1, 9.999, 31.62, 3160].map(ratio), ["0.50×", "1.00×", "10.00×", "31.6×", "3160×"]);
    assert.deepEqual([0.005, 1].map(percent), ["0.5%", "100%"]);
    assert.deepEqual([1, 1500, 2.5e6, 3e9].map(duration), ["1 ns", "1.5 µs", "2.5 ms", "3 s"]);
    assert.deepEqual([512, 2048, 3 << 20, 2 ** 31].map(bytes), ["512 B", "2 KiB", "3 MiB", "2 GiB"]);
  });
});

describe("against1()", () => {
  it("takes what differs by noise for equal", () => {
    const words = [0.5, 0.96, 0.98, 1, 1.02, 1.04, 2].map((x) => against1(x, "below", "equal", "above"));
    assert.deepEqual(words, ["below", "below", "equal", "equal", "equal", "above", "above"]);
  });
});

describe("timesRange() and list()", () => {
  it("name one value once and several as a range", () => {
    assert.equal(timesRange([2]), "2 times");
    assert.equal(timesRange([2, 1.5, 3]), "1.5 to 3 times");
    assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(list), ["", "a", "a and b", "a, b and c"]);
  });
});

describe("repeats() and rounds()", () => {
  it("make short samples a millisecond long", () => {
    assert.deepEqual([0, 1e-6, 0.1, 1, 500].map(repeats), [1e6, 1e6, 10, 1, 1]);
  });

  it("take as many samples as the time allows, between the least and the most", () => {
    assert.equal(rounds(2, 2, thorough), 400);
    assert.equal(rounds(80, 2, thorough), (2 * thorough.sampleMs) / 80);
    assert.equal(rounds(60_000, 2, thorough), thorough.samples);
    assert.equal(rounds(1, 1, quick), 1);
  });
});

// WCAG 2: relative luminance of "#rrggbb".
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const x = Number.parseInt(colour.slice(i, i + 2), 16) / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r as number) + 0.7152 * (g as number) + 0.0722 * (b as number);
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const backgrounds = ["#ffffff", "#0d1117"];

describe("palette", () => {
  it("can be told from a light and from a dark background", () => {
    assert.equal(contrast("#ffffff", "#000000"), 21);
    for (const background of backgrounds) {
      for (const colour of palette)
        assert.ok(contrast(colour, background) >= 3, `${colour} on ${background}`);
      assert.ok(contrast(INK, background) >= 4, `${INK} on ${background}`);
    }
  });
});

// Every number of these attributes.
function attributes(svg: string, ...names: string[]): number[] {
  const pattern = new RegExp(` (?:${names.join("|")})="([^"]*)"`, "g");
  return [...svg.matchAll(pattern)].map((match) => Number(match[1]));
}

describe("barChart()", () => {
  const chart = {
    title: "a < b & c",
    series: ["one", "two"],
    groups: [
      { label: "first", values: [1, 2] },
      { label: "second", values: [4, 0] },
      { label: "third", values: [3, Number.NaN] },
    ],
  };

  it("has a bar for each value, as long as its share of the largest", () => {
    const { svg } = barChart(chart);
    const bars = [...svg.matchAll(/<rect [^>]*width="([^"]*)" height="14"/g)].map((match) =>
      Number(match[1]),
    );
    const largest = Math.max(...bars);
    assert.deepEqual(
      bars.map((bar) => Math.round((100 * bar) / largest)),
      [25, 50, 100, 0, 75, 0],
    );
    assert.ok(!svg.includes('"NaN"'));
  });

  it("escapes text, gives the title as alternative and leaves the background out", () => {
    const { svg, alt } = barChart(chart);
    assert.equal(alt, chart.title);
    assert.ok(svg.includes("<title>a &lt; b &amp; c</title>"));
    assert.ok(!svg.includes('width="100%"'));
    assert.equal(barChart(chart).svg, svg);
  });

  it("is a title and a legend without groups", () => {
    const { svg } = barChart({ title: "t", series: ["one"], groups: [] });
    assert.ok(svg.includes("one") && !svg.includes("NaN") && !svg.includes("Infinity"));
  });
});

describe("lineChart()", () => {
  it("puts powers of ten at equal distances, larger ones higher, all inside", () => {
    const { svg } = lineChart({
      title: "t",
      xLabel: "x",
      xs: [1, 10, 100],
      series: [{ name: "s", values: [1, 10, 100] }],
    });
    const [x, y] = [attributes(svg, "cx"), attributes(svg, "cy")];
    assert.equal(x.length, 3);
    const steps = (values: number[]) =>
      values.slice(1).map((value, i) => Math.round(value - (values[i] as number)));
    assert.equal(new Set(steps(x)).size, 1);
    assert.equal(new Set(steps(y)).size, 1);
    assert.ok((steps(x)[0] as number) > 0 && (steps(y)[0] as number) < 0);
    const [, width = 0, height = 0] = /viewBox="0 0 (\S+) (\S+)"/.exec(svg)?.map(Number) ?? [];
    for (const value of attributes(svg, "x", "x1", "x2", "cx")) assert.ok(value >= 0 && value <= width);
    for (const value of attributes(svg, "y", "y1", "y2", "cy")) assert.ok(value >= 0 && value <= height);
  });

  it("stands a single point", () => {
    const { svg } = lineChart({ title: "t", xLabel: "x", xs: [5], series: [{ name: "s", values: [7] }] });
    assert.ok(!svg.includes("NaN") && !svg.includes("Infinity"));
  });
});

describe("decades()", () => {
  it("hold all values, two decades at least", () => {
    assert.deepEqual(decades([10]), [10, 100]);
    assert.deepEqual(decades([0.5, 200]), [0.1, 1, 10, 100, 1000]);
  });
});

describe("markdownTable()", () => {
  it("aligns columns and escapes bars", () => {
    const table = { left: 2, head: ["a", "b", "c"], rows: [["x|y", "", "1"]] };
    assert.equal(markdownTable(table), "| a | b | c |\n| --- | --- | ---: |\n| x\\|y |  | 1 |");
  });
});

// Records of a plan: operation, whether a barrier follows, further fields.
function planOf(records: readonly (readonly [number, boolean, Record<number, number>?])[]): Int32Array {
  const words = new Int32Array(records.length * op.RECORD_WORDS);
  for (const [i, [code, barrier, fields = {}]] of records.entries()) {
    const all = { [op.REC_OP]: code, [op.REC_FLAGS]: barrier ? op.REC_BARRIER : 0, ...fields };
    for (const [word, value] of Object.entries(all)) words[i * op.RECORD_WORDS + Number(word)] = value;
  }
  return words;
}

describe("recordRanges()", () => {
  it("end at barriers and are named by what they do", () => {
    const add = { [op.MATMUL_ADD]: 64 };
    const layer = [
      [op.OP_NORM, true],
      [op.OP_MATMUL, false],
      [op.OP_MATMUL, false],
      [op.OP_MATMUL, true],
      [op.OP_ROPE_STORE, true],
      [op.OP_ATTENTION, true],
      [op.OP_MATMUL, true, add],
      [op.OP_MATMUL, false],
      [op.OP_MATMUL, true],
      [op.OP_GLU, true],
      [op.OP_MATMUL, true, add],
    ] as const;
    const ranges = recordRanges(
      planOf([
        [op.OP_EMBED, false],
        [op.OP_ANGLES, true],
        ...layer,
        ...layer,
        [op.OP_MATMUL, true, { [op.REC_ROWS]: op.ROWS_OUTPUTS }],
      ]),
    );
    const kinds = [
      "norm",
      "q, k, v",
      "rope, store",
      "attention",
      "attention output",
      "gate, up",
      "gated unit",
      "down",
    ];
    assert.deepEqual(
      ranges.map(({ kind }) => kind),
      ["embedding, angles", ...kinds, ...kinds, "logits"],
    );
    assert.deepEqual(ranges.map(({ end }) => end).slice(0, 4), [2, 3, 6, 7]);
    for (const [i, range] of ranges.entries()) assert.equal(range.begin, i === 0 ? 0 : ranges[i - 1]?.end);
  });

  it("are none without records", () => {
    assert.deepEqual(recordRanges(new Int32Array()), []);
  });
});

describe("timeKinds()", () => {
  it("runs every range once in a pass, in order", () => {
    const ran: number[][] = [];
    const ranges = [
      { kind: "a", begin: 0, end: 2 },
      { kind: "b", begin: 2, end: 3 },
      { kind: "a", begin: 3, end: 4 },
    ];
    const times = timeKinds(ranges, (begin, end) => ran.push([begin, end]), 2);
    const pass = [
      [0, 2],
      [2, 3],
      [3, 4],
    ];
    assert.deepEqual(ran, [...pass, ...pass]);
    assert.deepEqual(
      times.map(({ kind }) => kind),
      ["a", "b"],
    );
  });
});

describe("shapeModel()", () => {
  it("is a model of the shape that runs and gives finite logits", async () => {
    const shape = {
      dim: 64,
      hiddenDim: 96,
      nLayers: 3,
      nHeads: 4,
      nKvHeads: 2,
      vocabSize: 40,
      contextLength: 64,
    };
    const engine = await engineOf(shapeModel(shape), { kernel: "simd" });
    const { dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, contextLength } = engine.layout.config;
    assert.deepEqual({ dim, hiddenDim, nLayers, nHeads, nKvHeads, vocabSize, contextLength }, shape);
    const logits = await engine.prefill(engine.sequence(), [1, 2, 3], () => engine.logits(0).slice());
    assert.ok(logits.every(Number.isFinite));
    assert.ok(new Set(logits).size > 1);
  });
});

// Data of every claim; `x` scales what each technique is compared with, so that it wins or loses.
function dataOf(x: number): Record<string, unknown> {
  const scores = [256, 4096].map((length) => ({
    length,
    blockedBytes: 20000,
    storedBytes: 100 * length,
    blockedNs: 1e6,
    storedNs: x * 1e6,
  }));
  const heads = ["f16", "q8"].flatMap((type) =>
    [32, 4, 1].map((nKvHeads, i) => ({
      name: ["MHA", "GQA, 4 groups", "MQA"][i],
      nKvHeads,
      type,
      bytesPerPosition: 256 * nKvHeads,
      attentionNs: i === 0 ? x * 1e6 : 1e6,
      stepNs: i === 0 ? x * 2e6 : 2e6,
    })),
  );
  const nlls = (times: number) =>
    Object.fromEntries(
      ["none", "linear", "ntk", "dynamic", "yarn"].map((kind) => [
        kind,
        3 + Math.min(x, 2) * Math.log(times),
      ]),
    );
  const pair = { simdNs: x * 1000, relaxedNs: 1000 };
  return {
    windows: [512, 8192].map((length) => ({
      length,
      fullNs: x * 1e6,
      windowsNs: 1e6,
      fullBytes: x * 1e6,
      windowsBytes: 1e6,
    })),
    kv_cache: [16, 500].map((position) => ({ position, cachedNs: 1e6, wholeNs: x * 1e6 })),
    heads,
    pooled: {
      text: "a text",
      rows: [3, 1].map((kvHeads) => ({ model: "tales", heads: 6, kvHeads, nll: kvHeads === 3 ? 3 : 3 * x })),
    },
    stored_scores: { prompt: scores, token: scores },
    norms: {
      bandwidth: 10,
      rows: ["cache", "memory"].map((place) => ({
        n: 2048,
        place,
        rmsNs: 1000,
        layerNs: x * 1000,
        batchNs: 500,
      })),
    },
    feed_forward: {
      bytes: [1000, 1000, 1000, 1000, 1000],
      rows: [1, 64].map((tokens) => ({ tokens, ns: [x * 1000, 1100, 1200, 1010, 1000] })),
    },
    experts: [
      {
        ...{ model: "a model", experts: 8, used: 2 },
        mixture: { weights: 1000, read: 300 },
        dense: { weights: 1000, read: 900 * x },
      },
    ],
    rope_share: [
      {
        model: "tales",
        stepNs: 1000,
        storeNs: 5 * x,
        kinds: [
          { kind: "rope, store", ns: 10 },
          { kind: "down", ns: 990 },
        ],
      },
    ],
    rope_scalings: {
      ...{ text: "a book", trained: 512, tokens: 8192 },
      rows: [1, 2, 4, 8].map((times) => ({ times, window: 512 * times, nll: nlls(times) })),
      short: { times: 8, window: 512, nll: nlls(8) },
    },
    precision: {
      text: "a text",
      rows: [
        { model: "tales", precision: "f32", tokensPerS: 100, weightBytes: 4000, nll: 3 },
        {
          model: "tales",
          precision: "q8",
          tokensPerS: 100 * x,
          weightBytes: 1000,
          nll: x > 1 ? 3.003 : 3.03,
        },
      ],
    },
    relaxed: { kernels: [{ what: "a kernel", ...pair }], decode: [{ what: "a model", ...pair }] },
    threads: ["decode", "prefill"].map((work) => ({ model: "tales", work, oneNs: x * 1000, twoNs: 1000 })),
  };
}

function resultOf(data: Record<string, unknown>, change: Partial<Result> = {}): Result {
  const machine = {
    cpu: "a processor",
    cores: 2,
    memoryGb: 8,
    os: "linux",
    runtime: "bun 1.2.3",
    engine: "JavaScriptCore",
    commit: "abc1234",
    date: "2026-01-02",
    loadAverage: 0.1,
  };
  const bandwidth = { maxGbPerS: 10, medianGbPerS: 9.5, samples: 3 };
  return { machine, kernel: "relaxed", bandwidth, quick: false, claims: data, skipped: [], ...change };
}

describe("renderPage()", () => {
  it("has a section, a summary and its charts for every claim, and the same bytes each time", () => {
    const result = resultOf(dataOf(2), { skipped: ["1.1B shape: no file"] });
    const { markdown, charts } = renderPage(result);
    for (const claim of claims) {
      assert.ok(markdown.includes(`\n## ${claim.title}\n`), claim.title);
      assert.ok(markdown.includes(`| ${claim.title} | `), claim.title);
    }
    const shown = [...markdown.matchAll(/\]\(measurements\/([^)]+)\)/g)].map((match) => match[1]);
    assert.deepEqual(shown, [...charts.keys()]);
    assert.equal(new Set(shown).size, shown.length);
    assert.ok(shown.length >= claims.length);
    for (const text of ["2026-01-02", "bun 1.2.3", "a processor", "abc1234", "- 1.1B shape: no file"]) {
      assert.ok(markdown.includes(text), text);
    }
    assert.deepEqual(renderPage(result), { markdown, charts });
  });

  it("puts ratios before everything that was found", () => {
    const { markdown } = renderPage(resultOf(dataOf(2)));
    assert.ok(markdown.indexOf("| technique |") < markdown.indexOf("\n## "));
  });

  it("writes no number that is none, whichever way the numbers fall", () => {
    for (const x of [0.01, 0.5, 1, 1.01, 2, 1000]) {
      const { markdown, charts } = renderPage(resultOf(dataOf(x)));
      for (const text of [markdown, ...charts.values()]) {
        assert.ok(!/NaN|Infinity|undefined|\[object/.test(text), `x = ${x}`);
      }
    }
  });

  it("says who is faster as the numbers do", () => {
    const found = (x: number) => renderPage(resultOf(dataOf(x))).markdown;
    assert.match(found(2), /RMSNorm is faster everywhere/);
    assert.match(found(2), /RMSNorm takes 2 times as long as BatchNorm/);
    assert.match(found(0.5), /RMSNorm is not faster everywhere/);
    assert.match(found(2), /of the ReLU block's time: SwiGLU 2 times, GeGLU 1\.1 times/);
    assert.match(found(0.5), /of the ReLU block's time: SwiGLU 0\.5 times/);
    assert.match(found(2), /The relaxed build is faster in every case/);
    assert.match(found(0.5), /The relaxed build is slower in every case/);
    assert.match(found(2), /decode is 2 times as fast with two threads as with one \(faster in every case\)/);
    assert.match(found(0.5), /decode is 0\.5 times as fast .* \(in one case slower\)/);
    assert.match(found(2), /The nll of q8 differs from f32's by 0\.1% at most, within the limit/);
    assert.match(found(0.5), /The nll of q8 differs from f32's by 1% at most, NOT within the limit/);
    assert.match(found(1), /rope and store records take 1% of a step: 0\.5% for rotating/);
    assert.match(found(2), /so blocks are faster there/);
    assert.match(found(0.5), /so storing is faster there/);
    assert.match(found(1), /At 8 times the 512 positions .* 8 times \(none\), 8 times \(linear\)/);
  });

  it("stands runtimes without relaxed SIMD and without threads", () => {
    const data = { ...dataOf(2), relaxed: { kernels: [], decode: [] }, threads: [] };
    const { markdown } = renderPage(resultOf(data));
    assert.match(markdown, /This runtime has no relaxed SIMD/);
    assert.match(markdown, /This runtime has no threads/);
    assert.ok(!/NaN|Infinity/.test(markdown));
  });

  it("has what was measured only, and marks a quick run", () => {
    const { kv_cache } = dataOf(2);
    const { markdown, charts } = renderPage(resultOf({ kv_cache }, { quick: true }));
    assert.equal([...markdown.matchAll(/\n## /g)].length, 1);
    assert.equal(charts.size, 1);
    assert.match(markdown, /the numbers mean nothing/);
  });
});

describe("quietness()", () => {
  it("tells a busy machine by its load and by its memory", () => {
    const { machine, bandwidth } = resultOf({});
    assert.match(quietness({ machine, bandwidth }), /^The machine was quiet/);
    assert.match(quietness({ machine: { ...machine, loadAverage: 3 }, bandwidth }), /not quiet/);
    assert.match(quietness({ machine, bandwidth: { ...bandwidth, medianGbPerS: 5 } }), /not quiet/);
  });
});
