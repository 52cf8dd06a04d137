// Claim: the memory and speed that q8 and q4 weights gain, and the quality that they lose.
import { Llama } from "../../src/mod.ts";
import type { Precision } from "../../src/model/config.ts";
import { matrixWork } from "../models.ts";
import { Q8_LIMIT, scoredText, WINDOW } from "../quality.ts";
import { sharedPath, trainedTales } from "../shared.ts";
import { synthModel } from "../synth.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { decoder, model110m, openEngine } from "./models.ts";
import { bytes, number, percent, ratio, times } from "./words.ts";

const precisions: readonly Precision[] = ["f32", "q8", "q4"];
const POSITION = 16;

interface Model {
  readonly name: string;
  readonly source: (precision: Precision) => URL | string | Uint8Array;
  readonly precisions: readonly Precision[];
  /** Tokens of a sample. */
  readonly tokens: number;
  /** Whether its weights were trained. Random weights predict nothing, so no quality is measured. */
  readonly trained: boolean;
}

interface Row {
  readonly model: string;
  readonly precision: Precision;
  readonly tokensPerS: number;
  /** Bytes of the matrices that a token reads. */
  readonly weightBytes: number;
  /** Mean negative log-likelihood of a token of the text, nats. */
  readonly nll?: number;
}

interface Data {
  readonly text: string;
  readonly rows: readonly Row[];
}

function models(bench: Bench): Model[] {
  const found: Model[] = [
    { name: "tales", source: () => trainedTales, precisions, tokens: 32, trained: true },
  ];
  const stories = sharedPath("models/stories260K/stories260K-f32.gguf");
  if (stories)
    found.push({ name: "stories260K", source: () => stories, precisions, tokens: 64, trained: true });
  else bench.skip("stories260K", "../shared/models is absent");
  found.push({ name: "110M shape", source: model110m, precisions, tokens: 2, trained: false });
  if (bench.quick) {
    bench.skip("1.1B shape", "--quick");
    return found;
  }
  const files = { q8: synthModel("q8_0"), q4: synthModel("q4_0") };
  if ("missing" in files.q8) bench.skip("1.1B shape", files.q8.missing);
  else if ("missing" in files.q4) bench.skip("1.1B shape", files.q4.missing);
  else {
    const paths = { q8: files.q8.path, q4: files.q4.path };
    const source = (precision: Precision) => paths[precision === "q4" ? "q4" : "q8"];
    found.push({ name: "1.1B shape", source, precisions: ["q8", "q4"], tokens: 1, trained: false });
  }
  return found;
}

async function nllOf(bench: Bench, source: URL | string | Uint8Array, precision: Precision, text: string) {
  await using llama = await Llama.load(source, { kernel: bench.kernel, precision });
  const { nll } = await llama.perplexity(text, { window: WINDOW });
  return nll;
}

async function measureModel(bench: Bench, model: Model, text: string): Promise<Row[]> {
  const { name, source, tokens } = model;
  const calls: (() => Promise<void>)[] = [];
  const rows: Row[] = [];
  for (const precision of model.precisions) {
    const from = source(precision);
    const engine = await openEngine(from, { kernel: bench.kernel, precision });
    const { layerBytes, outputBytes } = matrixWork(engine.layout.weights);
    calls.push(decoder(engine, POSITION, tokens));
    const nll = model.trained ? { nll: await nllOf(bench, from, precision, text) } : {};
    rows.push({ model: name, precision, tokensPerS: 0, weightBytes: layerBytes + outputBytes, ...nll });
  }
  const ns = await bench.time(calls);
  return rows.map((row, i) => ({ ...row, tokensPerS: (1e9 * tokens) / (ns[i] as number) }));
}

async function measure(bench: Bench): Promise<Data> {
  const { name, text } = scoredText();
  const rows: Row[] = [];
  for (const model of models(bench)) rows.push(...(await measureModel(bench, model, text)));
  return { text: name, rows };
}

/** A row, and the most exact one of its model. */
interface Pair {
  readonly row: Row;
  readonly base: Row;
}

function loss({ row, base }: Pair): number | undefined {
  return row.nll === undefined || base.nll === undefined ? undefined : row.nll / base.nll - 1;
}

// "+0.12%" or "−0.12%": a change of precision can also improve the nll.
function signed(x: number): string {
  return `${x < 0 ? "−" : "+"}${(100 * Math.abs(x)).toFixed(2)}%`;
}

function quality(pairs: readonly Pair[]): string {
  const losses = pairs.filter(({ row }) => row.precision === "q8").map(loss);
  const known = losses.filter((x) => x !== undefined);
  if (known.length === 0) return "";
  const worst = Math.max(...known.map(Math.abs));
  const within = worst <= Q8_LIMIT ? "within" : "NOT within";
  return ` The nll of q8 differs from f32's by ${percent(worst)} at most, ${within} the limit of ${percent(Q8_LIMIT)}.`;
}

function render({ text, rows }: Data): Section {
  const pairs = rows.map((row) => ({ row, base: rows.find(({ model }) => model === row.model) as Row }));
  const less = pairs.filter(({ row, base }) => row !== base);
  const speed = ({ row, base }: Pair) => row.tokensPerS / base.tokensPerS;
  const share = ({ row, base }: Pair) => row.weightBytes / base.weightBytes;
  const sentences = less.map(
    (pair) =>
      `${pair.row.model} in ${pair.row.precision} decodes ${times(speed(pair))} as many tokens a second as in ` +
      `${pair.base.precision} and reads ${percent(share(pair))} of its bytes.`,
  );
  return {
    ratios: less.map((pair) => ({
      what: `${pair.row.model}: decoded tokens in a second, ${pair.row.precision} ÷ ${pair.base.precision}`,
      value: ratio(speed(pair)),
    })),
    tables: [
      {
        left: 2,
        head: [
          "model",
          "weights",
          "speed ÷ first",
          "bytes ÷ first",
          "nll − first",
          "nll",
          "tokens/s",
          "bytes a token reads",
        ],
        rows: pairs.map((pair) => {
          const change = loss(pair);
          return [
            pair.row.model,
            pair.row.precision,
            ratio(speed(pair)),
            ratio(share(pair)),
            change === undefined ? "" : signed(change),
            pair.row.nll === undefined ? "" : pair.row.nll.toFixed(4),
            number(pair.row.tokensPerS),
            bytes(pair.row.weightBytes),
          ];
        }),
      },
    ],
    charts: [
      barChart({
        title: "Decoded tokens in a second, against the model's most exact weights",
        series: precisions,
        groups: [...new Set(rows.map(({ model }) => model))].map((model) => ({
          label: model,
          values: precisions.map((precision) => {
            const pair = pairs.find(({ row }) => row.model === model && row.precision === precision);
            return pair ? speed(pair) : 0;
          }),
        })),
        format: (value) => (value > 0 ? ratio(value) : "not measured"),
      }),
    ],
    found: `${sentences.join(" ")}${quality(pairs)} The text of the nll is ${text}, in windows of ${WINDOW} tokens.`,
  };
}

/** Weights of 8 and of 4 bits against f32. */
export const precision: Claim<Data> = {
  name: "precision",
  title: "int8 and int4",
  about:
    "Speed and quality of the same models with f32, q8 and q4 weights. Decoding reads every weight for every token, " +
    "so smaller weights are faster. The price is quality: nll is the mean negative log-likelihood of a token, in nats.",
  measure,
  render,
};
