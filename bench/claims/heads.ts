// Claim: what fewer key and value heads (GQA, MQA) save in memory and time.
import { KV_PAGE } from "../../assembly/layout/blocks.ts";
import type { KvType } from "../../src/model/config.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { decoder, openEngine, type Shape, shapeModel } from "./models.ts";
import { ATTENTION_KIND, recordRanges, stepAt } from "./records.ts";
import { bytes, duration, number, ratio } from "./words.ts";

const POSITIONS = 4096;
/** Two of TinyLlama-1.1B's layers: their weights and keys do not fit the processor's cache. */
const shape: Omit<Shape, "nKvHeads"> = {
  dim: 2048,
  hiddenDim: 5632,
  nLayers: 2,
  nHeads: 32,
  vocabSize: 512,
  contextLength: POSITIONS,
};
const kinds = [
  { name: "MHA", nKvHeads: 32 },
  { name: "GQA, 4 groups", nKvHeads: 4 },
  { name: "MQA", nKvHeads: 1 },
] as const;
const types: readonly KvType[] = ["f16", "q8"];

interface Row {
  readonly name: string;
  readonly nKvHeads: number;
  readonly type: KvType;
  /** Of one layer. */
  readonly bytesPerPosition: number;
  /** Attention of one layer. */
  readonly attentionNs: number;
  /** A step of all layers. */
  readonly stepNs: number;
}

interface Prepared extends Omit<Row, "attentionNs" | "stepNs"> {
  readonly attention: () => void;
  readonly step: () => Promise<void>;
}

async function prepare(
  kernel: Bench["kernel"],
  model: Uint8Array,
  type: KvType,
  { name, nKvHeads }: (typeof kinds)[number],
): Promise<Prepared> {
  const engine = await openEngine(model, { kernel, precision: "q8", kv: type });
  const run = await stepAt(engine, POSITIONS - 1);
  const attention = recordRanges(engine.layout.plan.words).filter(({ kind }) => kind === ATTENTION_KIND);
  let layer = 0;
  return {
    name,
    nKvHeads,
    type,
    bytesPerPosition: (nKvHeads * engine.layout.kv.layers[0]!.headBytes) / KV_PAGE,
    // Layers alternate. Otherwise a layer would find all its keys in the processor's cache.
    attention: () => {
      const { begin, end } = attention[layer++ % attention.length] as (typeof attention)[number];
      run(begin, end);
    },
    step: decoder(engine, POSITIONS - 1, 1),
  };
}

async function measure(bench: Bench): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const models = kinds.map(({ nKvHeads }) => shapeModel({ ...shape, nKvHeads }));
  for (const type of types) {
    const cases: Prepared[] = [];
    for (const [i, kind] of kinds.entries()) {
      cases.push(await prepare(bench.kernel, models[i] as Uint8Array, type, kind));
    }
    const attentionNs = await bench.time(cases.map(({ attention }) => attention));
    const stepNs = await bench.time(cases.map(({ step }) => step));
    for (const [i, { attention, step, ...row }] of cases.entries()) {
      rows.push({ ...row, attentionNs: attentionNs[i] as number, stepNs: stepNs[i] as number });
    }
  }
  return rows;
}

function render(rows: readonly Row[]): Section {
  const mhaOf = (type: KvType) => rows.find((row) => row.type === type) as Row;
  const shared = rows.filter((row) => row !== mhaOf(row.type));
  const sentences = types.map((type) => {
    const mha = mhaOf(type);
    const parts = shared
      .filter((row) => row.type === type)
      .map(
        (row) =>
          `${row.name} stores ${number(row.bytesPerPosition / mha.bytesPerPosition)} of MHA's bytes; its attention ` +
          `takes ${number(row.attentionNs / mha.attentionNs)} and its whole step ` +
          `${number(row.stepNs / mha.stepNs)} of MHA's time`,
      );
    return `With ${type} keys and values: ${parts.join(". ")}.`;
  });
  const q8 = rows.filter(({ type }) => type === "q8");
  const f16 = q8.map(({ name }) => rows.find((row) => row.type === "f16" && row.name === name) as Row);
  return {
    ratios: shared.map((row) => {
      const mha = mhaOf(row.type);
      return {
        what: `${row.name}, ${row.type}: cache bytes and decode time at position ${POSITIONS - 1}, MHA ÷ it`,
        value: `${ratio(mha.bytesPerPosition / row.bytesPerPosition)} and ${ratio(mha.stepNs / row.stepNs)}`,
      };
    }),
    tables: [
      {
        left: 2,
        head: [
          "heads",
          "cache type",
          "bytes, MHA ÷ it",
          "attention, MHA ÷ it",
          "step, MHA ÷ it",
          "bytes of a position and layer",
          `cache of 22 layers, ${POSITIONS} positions`,
          "attention, one layer",
          "step of two layers",
        ],
        rows: rows.map((row) => {
          const mha = mhaOf(row.type);
          return [
            `${row.name} (${shape.nHeads}/${row.nKvHeads})`,
            row.type,
            ratio(mha.bytesPerPosition / row.bytesPerPosition),
            ratio(mha.attentionNs / row.attentionNs),
            ratio(mha.stepNs / row.stepNs),
            String(row.bytesPerPosition),
            bytes(row.bytesPerPosition * POSITIONS * 22),
            duration(row.attentionNs),
            duration(row.stepNs),
          ];
        }),
      },
    ],
    charts: [
      barChart({
        title: `Attention of one layer at position ${POSITIONS - 1}`,
        series: types,
        groups: kinds.map(({ name }) => ({
          label: name,
          values: rows.filter((row) => row.name === name).map(({ attentionNs }) => attentionNs),
        })),
        format: duration,
      }),
    ],
    found: [
      ...sentences,
      `q8 stores ${number((q8[0] as Row).bytesPerPosition / (f16[0] as Row).bytesPerPosition)} of f16's bytes. Its ` +
        `attention takes ${q8
          .map((row, i) => `${number(row.attentionNs / (f16[i] as Row).attentionNs)} (${row.name})`)
          .join(", ")} of f16's time.`,
    ].join(" "),
  };
}

/** Query heads that share key and value heads. */
export const heads: Claim<readonly Row[]> = {
  name: "heads",
  title: "MHA, GQA and MQA",
  about:
    "Two layers of TinyLlama-1.1B's shape (32 query heads of 64) decode at the end of 4096 positions with 32, 4 " +
    "and 1 key and value heads. Fewer of these heads need less memory for a long context, and attention reads less. " +
    "Only cost is compared: the loss of quality can only be measured by training.",
  measure,
  render,
};
