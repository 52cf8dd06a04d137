// Claim: how well a model predicts texts that are longer than those it was trained on, by the scaling of its positions.
import { readFileSync } from "node:fs";
import { Llama, type RopeScalingOptions } from "../../src/mod.ts";
import { embeddedModel } from "../models.ts";
import { sharedPath } from "../shared.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { story } from "./story.ts";
import { number } from "./words.ts";

/** Contexts, in trained contexts. */
const TIMES = [1, 2, 4, 8];
/** Tokens that are scored: whole windows of the longest context. */
const TOKENS = 8192;

type Kind = RopeScalingOptions["type"];
const kinds: readonly Kind[] = ["none", "linear", "ntk", "dynamic", "yarn"];

interface Row {
  /** How many trained contexts a window is long: also the factor of the scaling. */
  readonly times: number;
  readonly window: number;
  /** Mean negative log-likelihood of a token, nats, by kind. */
  readonly nll: Readonly<Partial<Record<Kind, number>>>;
}

interface Data {
  readonly text: string;
  readonly trained: number;
  readonly tokens: number;
  /** With the factor of the row, in windows of the row. */
  readonly rows: readonly Row[];
  /** With the largest factor, in windows of the trained context: what a scaling costs texts that need none. */
  readonly short: Row;
}

async function measureRow(
  bench: Bench,
  ids: readonly number[],
  factor: number,
  window: number,
  trained = window / factor,
): Promise<Row> {
  const nll: Partial<Record<Kind, number>> = {};
  const model = sharedPath("models/tales/tales-f32.gguf") ?? embeddedModel;
  for (const type of kinds) {
    const ropeScaling = type === "none" ? { type } : { type, factor };
    // What dynamic scaling does depends on the context: it is that of the longest text.
    const contextLength = Math.max(window, trained * factor);
    await using llama = await Llama.load(model, {
      ...{ kernel: bench.kernel, precision: "f32", ropeScaling, contextLength },
    });
    nll[type] = (await llama.perplexity(ids, { window })).nll;
  }
  return { times: factor, window, nll };
}

async function measure(bench: Bench): Promise<Data> {
  const shared = sharedPath("text/botchan.txt");
  const text = shared ? readFileSync(shared, "utf8") : story.repeat(100);
  await using llama = await Llama.load(embeddedModel, { kernel: bench.kernel });
  const { contextLength: trained } = llama.config;
  const tokens = bench.quick ? TOKENS / 2 : TOKENS;
  const ids = [...llama.tokenizer.encode(text, { bos: true })].slice(0, tokens + 1);
  const rows: Row[] = [];
  for (const times of TIMES) rows.push(await measureRow(bench, ids, times, times * trained));
  const short = await measureRow(bench, ids, TIMES.at(-1) as number, trained, trained);
  return { text: shared ? "a book" : "a story of our own, again and again", trained, tokens, rows, short };
}

const perplexityOf = (nll: number | undefined) => number(perplexity(nll as number), 4);
const perplexity = (nll: number) => Math.exp(nll);

function render({ text, trained, tokens, rows, short }: Data): Section {
  const base = (rows[0] as Row).nll.none as number;
  const last = rows.at(-1) as Row;
  const change = (nll: number | undefined) => number(perplexity((nll as number) - base));
  return {
    ratios: rows.slice(1).flatMap((row) =>
      (["none", "linear", "ntk", "dynamic", "yarn"] as const).map((kind) => ({
        what: `tales, ${row.times} × its trained context, ${kind}: perplexity ÷ that at its trained context`,
        value: `${change(row.nll[kind])}×`,
      })),
    ),
    tables: [
      {
        head: ["context, of the trained one", ...kinds.map((kind) => `${kind}, perplexity`)],
        rows: [...rows, short].map((row) => [
          row === short ? `1 ×, with a factor of ${row.times}` : `${row.times} × (${row.window} positions)`,
          ...kinds.map((kind) => perplexityOf(row.nll[kind])),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Perplexity beyond the trained context, against that within it",
        series: rows.slice(1).map(({ times }) => `${times} × the trained context`),
        groups: kinds.map((kind) => ({
          label: kind,
          values: rows.slice(1).map(({ nll }) => perplexity((nll[kind] as number) - base)),
        })),
        format: (x: number) => `${number(x)}×`,
      }),
    ],
    found:
      `At ${last.times} times the ${trained} positions of its training, tales' perplexity is ` +
      `${kinds.map((kind) => `${change(last.nll[kind])} times (${kind})`).join(", ")} that at its trained context. ` +
      `On texts of ${trained} tokens, which need no scaling, a factor of ${short.times} makes it ` +
      `${kinds
        .slice(1)
        .map((kind) => `${change(short.nll[kind])} times (${kind})`)
        .join(", ")}. ` +
      `${tokens} tokens of ${text} are scored, with f32 weights.`,
  };
}

/** What scalings of positions do beyond the trained context, without training. */
export const ropeScalings: Claim<Data> = {
  name: "rope_scalings",
  title: "Rotary scalings",
  about:
    "The small model reads windows of 1, 2, 4 and 8 times the context that it was trained for, with its positions as they " +
    "are and with each scaling of `ropeScaling`, whose factor is that number. Nothing is trained. The numbers are the same " +
    "on every machine.",
  isExact: true,
  measure,
  render,
};
