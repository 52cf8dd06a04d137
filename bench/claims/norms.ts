// Claim: RMSNorm against LayerNorm and BatchNorm.
import { wasm } from "../batch_norm.gen.ts";
import { places, RowCycle } from "../rows.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { against1, duration, percent, ratio, timesRange } from "./words.ts";

/** Hidden sizes: about the embedded model's, TinyLlama-1.1B's, Llama-2-7B's. */
const sizes = [288, 2048, 4096];
const EPS = 1e-5;

/** The kernel of bench/assembly/batch_norm.ts. */
export interface BatchNorm {
  batchnorm_f32(x: number, scale: number, shift: number, out: number, n: number): void;
}

/** BatchNorm on a memory of kernels. */
export function batchNorm(memory: WebAssembly.Memory): BatchNorm {
  const code = Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  return exports as unknown as BatchNorm;
}

interface Row {
  readonly n: number;
  readonly place: (typeof places)[number];
  readonly rmsNs: number;
  readonly layerNs: number;
  readonly batchNs: number;
}

interface Data {
  readonly bandwidth: number;
  readonly rows: readonly Row[];
}

async function measure(bench: Bench): Promise<Data> {
  const rows: Row[] = [];
  for (const n of sizes) {
    for (const place of places) {
      const area = await bench.area();
      const { kernels } = area;
      const batch = batchNorm(area.memory);
      const cycle = new RowCycle(area, n, place);
      const weight = area.random(n, 0.5, 1.5);
      const bias = area.random(n);
      const out = area.alloc(4 * n);
      const [rmsNs = 0, layerNs = 0, batchNs = 0] = await bench.time([
        () => kernels.rmsnorm_f32(cycle.next(), weight, out, n, EPS),
        () => kernels.layernorm_f32(cycle.next(), weight, bias, out, n, EPS),
        () => batch.batchnorm_f32(cycle.next(), weight, bias, out, n),
      ]);
      rows.push({ n, place, rmsNs, layerNs, batchNs });
    }
  }
  return { bandwidth: bench.bandwidth(), rows };
}

function render({ bandwidth, rows }: Data): Section {
  const share = (n: number, ns: number) => percent((4 * n) / ns / bandwidth);
  const ratioOf = ({ layerNs, rmsNs }: Row) => layerNs / rmsNs;
  const all = rows.map(ratioOf);
  const least = Math.min(...all);
  return {
    ratios: rows.flatMap((row) => [
      { what: `a row of ${row.n} from ${row.place}, LayerNorm ÷ RMSNorm`, value: ratio(ratioOf(row)) },
      {
        what: `a row of ${row.n} from ${row.place}, RMSNorm ÷ BatchNorm`,
        value: ratio(row.rmsNs / row.batchNs),
      },
    ]),
    tables: [
      {
        left: 2,
        head: [
          "row",
          "from",
          "LayerNorm ÷ RMSNorm",
          "RMSNorm ÷ BatchNorm",
          "RMSNorm",
          "LayerNorm",
          "BatchNorm",
          "RMSNorm, of the read bandwidth",
          "LayerNorm, of the read bandwidth",
        ],
        rows: rows.map((row) => [
          String(row.n),
          row.place,
          ratio(ratioOf(row)),
          ratio(row.rmsNs / row.batchNs),
          duration(row.rmsNs),
          duration(row.layerNs),
          duration(row.batchNs),
          share(row.n, row.rmsNs),
          share(row.n, row.layerNs),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Time of one row",
        series: ["RMSNorm", "LayerNorm", "BatchNorm"],
        groups: rows.map(({ n, place, rmsNs, layerNs, batchNs }) => ({
          label: `${n}, ${place}`,
          values: [rmsNs, layerNs, batchNs],
        })),
        format: duration,
      }),
    ],
    found:
      `LayerNorm takes ${timesRange(all)} as long as RMSNorm: ` +
      `${against1(least, "RMSNorm is not faster everywhere", "in one case both take the same time", "RMSNorm is faster everywhere")}. ` +
      `RMSNorm takes ${timesRange(rows.map(({ rmsNs, batchNs }) => rmsNs / batchNs))} as long as BatchNorm, which reads a row ` +
      "once and sums nothing up. A share above 100% means that the row came from a cache.",
  };
}

/** RMSNorm against LayerNorm and BatchNorm. */
export const norms: Claim<Data> = {
  name: "norms",
  title: "RMSNorm",
  about:
    "One row through the kernels of three norms. LayerNorm also computes a mean and adds a bias. BatchNorm multiplies and adds " +
    "by numbers of the training alone; no language model has it, because its statistics are not those of a single text. " +
    "Every token goes through a norm twice in each layer.",
  measure,
  render,
};
