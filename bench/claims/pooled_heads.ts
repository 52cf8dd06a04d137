// Claim: the quality that a model loses if its heads of keys and values become fewer by averaging, without training.
import { convert } from "../../src/convert.ts";
import { Llama } from "../../src/mod.ts";
import { scoredText, WINDOW } from "../quality.ts";
import { sharedPath, trainedTales } from "../shared.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { ratio } from "./words.ts";

interface Row {
  readonly model: string;
  readonly heads: number;
  readonly kvHeads: number;
  /** Mean negative log-likelihood of a token of the text, nats. */
  readonly nll: number;
}

interface Data {
  readonly text: string;
  readonly rows: readonly Row[];
}

async function measureModel(bench: Bench, model: string, source: URL | string, text: string): Promise<Row[]> {
  const rows: Row[] = [];
  let left: number | undefined;
  for (let kvHeads: number | undefined; left !== 0; kvHeads = left) {
    const bytes = new Blob(await pooled(source, kvHeads));
    await using llama = await Llama.load(bytes, { kernel: bench.kernel, precision: "f32" });
    const { nHeads, nKvHeads } = llama.config;
    const { nll } = await llama.perplexity(text, { window: WINDOW });
    rows.push({ model, heads: nHeads, kvHeads: nKvHeads, nll });
    left = nextDivisor(nKvHeads);
  }
  return rows;
}

/** The largest number below `n` that divides it; 0 if there is none. */
function nextDivisor(n: number): number {
  for (let d = n - 1; d > 0; d--) if (n % d === 0) return d;
  return 0;
}

async function pooled(source: URL | string, kvHeads: number | undefined): Promise<Uint8Array<ArrayBuffer>[]> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const output = new WritableStream<Uint8Array>({ write: (part) => void parts.push(part.slice()) });
  await convert(source, output, { kvHeads, threads: 1, allowRequantize: true });
  return parts;
}

async function measure(bench: Bench): Promise<Data> {
  const { name, text } = scoredText();
  const stories = sharedPath("models/stories260K/stories260K-f32.gguf");
  const rows = await measureModel(bench, "tales", trainedTales, text);
  if (stories) rows.push(...(await measureModel(bench, "stories260K", stories, text)));
  else bench.skip("stories260K with fewer heads", "../shared/models is absent");
  return { text: name, rows };
}

function render({ text, rows }: Data): Section {
  const pairs = rows.map((row) => ({ row, base: rows.find(({ model }) => model === row.model) as Row }));
  const less = pairs.filter(({ row, base }) => row !== base);
  const gain = (x: number) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(2)}`;
  return {
    ratios: less.map(({ row, base }) => ({
      what: `${row.model}, ${base.kvHeads} → ${row.kvHeads} heads by averaging: cache bytes, and nll`,
      value: `${ratio(base.kvHeads / row.kvHeads)} and ${gain(row.nll - base.nll)}`,
    })),
    tables: [
      {
        head: [
          "model",
          "query heads",
          "key and value heads",
          "cache bytes, first ÷ it",
          "nll",
          "nll − first",
        ],
        rows: pairs.map(({ row, base }) => [
          row.model,
          String(row.heads),
          String(row.kvHeads),
          ratio(base.kvHeads / row.kvHeads),
          row.nll.toFixed(4),
          gain(row.nll - base.nll),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "nll of a token, against the model with all its heads",
        series: ["all heads", "averaged"],
        groups: less.map(({ row, base }) => ({
          label: `${row.model}, ${base.kvHeads} → ${row.kvHeads}`,
          values: [1, row.nll / base.nll],
        })),
        format: ratio,
      }),
    ],
    found:
      `${less.map(({ row, base }) => `${row.model} with ${row.kvHeads} of ${base.kvHeads} heads: nll ${row.nll.toFixed(2)} instead of ${base.nll.toFixed(2)}.`).join(" ")} ` +
      `The averaged heads must be trained on before they are of use. The text is ${text}, in windows of ${WINDOW} tokens, with f32 weights.`,
  };
}

/** What `convert --kv-heads` costs. */
export const pooledHeads: Claim<Data> = {
  name: "pooled",
  title: "Fewer heads by averaging",
  about:
    "Models whose heads of keys and values were averaged to fewer (`cria convert --kv-heads`), as they are before any " +
    "training: Ainslie et al. 2023 train on for 5% of the steps.",
  measure,
  render,
};
