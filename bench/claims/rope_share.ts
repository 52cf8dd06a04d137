// Claim: the share of a token's time that rotary embedding takes.
import { OP_ROPE_STORE, REC_OP, RECORD_WORDS, ROPE_DIM } from "../../assembly/layout/ops.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { embeddedModel } from "../models.ts";
import { synthModel } from "../synth.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { openEngine } from "./models.ts";
import { type KindTimes, ROPE_KIND, recordRanges, stepAt, timeKinds } from "./records.ts";
import { duration, percent } from "./words.ts";

/** Position of the token that is timed. */
const POSITION = 256;

interface Row {
  readonly model: string;
  /** Time of the whole step in one call. */
  readonly stepNs: number;
  /** Time of the rope and store records if they rotate nothing. */
  readonly storeNs: number;
  readonly kinds: KindTimes;
}

function nsOf(kinds: KindTimes, kind: string): number {
  return kinds.find((each) => each.kind === kind)?.ns ?? 0;
}

// Sets the number of dims that every rope record rotates.
function setRopeDim(engine: Engine, dim: number): void {
  const { plan, planAddress } = engine.layout;
  const words = new Int32Array(engine.kernel.memory.buffer, planAddress, plan.words.length);
  for (let record = 0; record < words.length; record += RECORD_WORDS) {
    if (words[record + REC_OP] === OP_ROPE_STORE) words[record + ROPE_DIM] = dim;
  }
}

async function measureModel(bench: Bench, model: string, file: URL | string, passes: number): Promise<Row> {
  const { kernel, quick } = bench;
  const engine = await openEngine(file, { kernel, precision: "q8" });
  const run = await stepAt(engine, POSITION);
  const { records, words } = engine.layout.plan;
  const [stepNs = 0] = await bench.time([() => run(0, records)]);
  const ranges = recordRanges(words);
  const kinds = timeKinds(ranges, run, quick ? 1 : passes);
  setRopeDim(engine, 0);
  const storeNs = nsOf(timeKinds(ranges, run, quick ? 1 : passes), ROPE_KIND);
  return { model, stepNs, storeNs, kinds };
}

async function measure(bench: Bench): Promise<readonly Row[]> {
  const rows = [await measureModel(bench, "tales", embeddedModel, 1000)];
  const large = bench.quick ? { missing: "--quick" } : synthModel("q8_0");
  if ("missing" in large) bench.skip("RoPE's share in the 1.1B shape", large.missing);
  else rows.push(await measureModel(bench, "1.1B shape", large.path, 25));
  return rows;
}

const total = ({ kinds }: Row) => kinds.reduce((sum, { ns }) => sum + ns, 0);

function render(rows: readonly Row[]): Section {
  const kinds = [...new Set(rows.flatMap((row) => row.kinds.map(({ kind }) => kind)))];
  const both = (row: Row) => nsOf(row.kinds, ROPE_KIND) / total(row);
  const rotating = (row: Row) => Math.max(0, nsOf(row.kinds, ROPE_KIND) - row.storeNs) / total(row);
  return {
    ratios: rows.map((row) => ({
      what: `${row.model}: rope and store records ÷ step at position ${POSITION}`,
      value: percent(both(row)),
    })),
    tables: [
      {
        head: ["records of a step", ...rows.flatMap(({ model }) => [`${model}, share`, `${model}, time`])],
        rows: [
          ...kinds.map((kind) => [
            kind,
            ...rows.flatMap((row) => [
              percent(nsOf(row.kinds, kind) / total(row)),
              duration(nsOf(row.kinds, kind)),
            ]),
          ]),
          ["sum", ...rows.flatMap((row) => ["100%", duration(total(row))])],
          [
            "the step in one call",
            ...rows.flatMap((row) => [percent(row.stepNs / total(row)), duration(row.stepNs)]),
          ],
          [
            `${ROPE_KIND}, without rotating`,
            ...rows.flatMap((row) => [percent(row.storeNs / total(row)), duration(row.storeNs)]),
          ],
        ],
      },
    ],
    charts: [
      barChart({
        title: "Share of a step by kind of record",
        series: rows.map(({ model }) => model),
        groups: kinds.map((kind) => ({
          label: kind,
          values: rows.map((row) => nsOf(row.kinds, kind) / total(row)),
        })),
        format: percent,
      }),
    ],
    found: rows
      .map((row) => {
        const most = [...row.kinds].sort((a, b) => b.ns - a.ns)[0];
        return (
          `In ${row.model}, rope and store records take ${percent(both(row))} of a step: ${percent(rotating(row))} for ` +
          "rotating, the rest for storing keys and values. The largest part of the step, " +
          `${percent((most?.ns ?? 0) / total(row))}, is "${most?.kind ?? ""}".`
        );
      })
      .join(" "),
  };
}

/** The share of a step that RoPE takes, and that of everything else. */
export const ropeShare: Claim<readonly Row[]> = {
  name: "rope_share",
  title: "RoPE",
  about:
    `One token at position ${POSITION} in q8. Its records are timed from barrier to barrier. The rope and store records ` +
    "are timed a second time without rotating. RoPE needs no weights, so this time is its whole cost.",
  measure,
  render,
};
