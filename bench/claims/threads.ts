// Claim: two threads against one.
import { detectRuntime } from "../../src/runtime/detect.ts";
import { embeddedModel } from "../models.ts";
import { synthModel } from "../synth.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { close, decoder, model110m, openEngine, prefiller } from "./models.ts";
import { against1, number, ratio, timesRange } from "./words.ts";

const counts = [1, 2];
const POSITION = 16;
const PROMPT = 128;

interface Row {
  readonly model: string;
  readonly work: "decode" | "prefill";
  /** Time of a token. */
  readonly oneNs: number;
  readonly twoNs: number;
}

interface Model {
  readonly name: string;
  readonly source: URL | string | Uint8Array;
  /** Tokens of a sample. */
  readonly decode: number;
  readonly prefill: number;
}

async function measureModel(bench: Bench, { name, source, decode, prefill }: Model): Promise<Row[]> {
  const engines = [];
  for (const threads of counts) {
    const engine = await openEngine(source, { precision: "q8", tune: { threads } });
    if (engine.threads !== threads) throw new Error(`Expected ${threads} threads, got ${engine.threads}`);
    engines.push(engine);
  }
  const works = [
    { work: "decode", tokens: decode, calls: engines.map((engine) => decoder(engine, POSITION, decode)) },
    { work: "prefill", tokens: prefill, calls: engines.map((engine) => prefiller(engine, prefill)) },
  ] as const;
  const rows: Row[] = [];
  try {
    for (const { work, tokens, calls } of works) {
      const [one = 0, two = 0] = await bench.time(calls);
      rows.push({ model: name, work, oneNs: one / tokens, twoNs: two / tokens });
    }
  } finally {
    engines.forEach(close);
  }
  return rows;
}

async function measure(bench: Bench): Promise<readonly Row[]> {
  const runtime = detectRuntime();
  if (!runtime.threads || typeof SharedArrayBuffer === "undefined") {
    bench.skip("threads", "this runtime has none");
    return [];
  }
  const rows = [
    ...(await measureModel(bench, { name: "tales", source: embeddedModel, decode: 32, prefill: PROMPT })),
    ...(await measureModel(bench, { name: "110M shape", source: model110m(), decode: 4, prefill: PROMPT })),
  ];
  const large = bench.quick ? { missing: "--quick" } : synthModel("q8_0");
  if ("missing" in large) bench.skip("threads with the 1.1B shape", large.missing);
  else {
    const model = { name: "1.1B shape", source: large.path, decode: 1, prefill: 32 };
    rows.push(...(await measureModel(bench, model)));
  }
  return rows;
}

function render(rows: readonly Row[]): Section {
  const gain = ({ oneNs, twoNs }: Row) => oneNs / twoNs;
  const part = (work: Row["work"]) => {
    const gains = rows.filter((row) => row.work === work).map(gain);
    const word = against1(
      Math.min(...gains),
      "in one case slower",
      "in one case no faster",
      "faster in every case",
    );
    return `${work} is ${timesRange(gains)} as fast with two threads as with one (${word})`;
  };
  return {
    ratios: rows.map((row) => ({
      what: `${row.model}, ${row.work}: tokens in a second, two threads ÷ one`,
      value: ratio(gain(row)),
    })),
    tables: [
      {
        left: 2,
        head: ["model", "work", "two ÷ one", "one thread, tokens/s", "two threads, tokens/s"],
        rows: rows.map((row) => [
          row.model,
          row.work,
          ratio(gain(row)),
          number(1e9 / row.oneNs),
          number(1e9 / row.twoNs),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Tokens in a second with two threads, against one",
        series: ["two threads ÷ one"],
        groups: rows.map((row) => ({ label: `${row.model}, ${row.work}`, values: [gain(row)] })),
        format: ratio,
      }),
    ],
    found:
      rows.length === 0
        ? "This runtime has no threads. One thread computes."
        : `In q8, ${part("decode")}; ${part("prefill")}.`,
  };
}

/** Two threads against one. */
export const threads: Claim<readonly Row[]> = {
  name: "threads",
  title: "Threads",
  about:
    "Whole models in q8 with one thread and with two. Decoding is limited by how fast the cores together read memory, " +
    "prompts by how fast they compute.",
  measure,
  render,
};
