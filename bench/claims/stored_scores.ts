// Claim: blocked attention against attention that stores all scores.
import { QUERY_TILE } from "../../assembly/layout/control.ts";
import { fillCache, HEAD_DIM } from "../attention.ts";
import type { KernelArea } from "../kernel_area.ts";
import { wasm } from "../stored_attention.gen.ts";
import { lineChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { against1, bytes, duration, ratio, times, timesRange } from "./words.ts";

const lengths = [256, 512, 1024, 2048, 4096];
const KV_HEADS = 4;
const GROUP = 8;

/** Arguments of attention_f32 in assembly/attention.ts. */
type Attention = (
  q: number,
  qStride: number,
  out: number,
  outStride: number,
  heads: number,
  nHeads: number,
  tokens: number,
  pos: number,
  pages: number,
  head: number,
  headDim: number,
  scale: number,
  scratch: number,
) => void;

/** The kernels of bench/assembly/stored_attention.ts. */
export interface StoredAttention {
  attention_stored_f32: Attention;
  stored_scratch_bytes(headDim: number, nHeads: number, tokens: number, positions: number): number;
}

/** Attention that stores all scores, on a memory that holds the kernels' constants. */
export function storedAttention(memory: WebAssembly.Memory): StoredAttention {
  const code = Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  return exports as unknown as StoredAttention;
}

interface Row {
  readonly length: number;
  readonly blockedBytes: number;
  readonly storedBytes: number;
  readonly blockedNs: number;
  readonly storedNs: number;
}

interface Data {
  /** Prompts of `length` tokens, one head. */
  readonly prompt: readonly Row[];
  /** One token at the end of `length` positions: a layer of 32 query heads on 4 kv heads. */
  readonly token: readonly Row[];
}

const scale = 1 / Math.sqrt(HEAD_DIM);

function blockedScratch({ kernels }: KernelArea, nHeads: number): number {
  return kernels.attention_scratch_bytes(HEAD_DIM, nHeads) >>> 0;
}

async function measurePrompt(bench: Bench, length: number): Promise<Row> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const stored = storedAttention(memory);
  const { pages } = fillCache(area, "f32", 1, length);
  const list = area.words([0]);
  const stride = 4 * HEAD_DIM;
  const q = area.random(length * HEAD_DIM);
  const out = area.alloc(length * stride);
  const blockedBytes = blockedScratch(area, 1);
  const storedBytes = stored.stored_scratch_bytes(HEAD_DIM, 1, length, length) >>> 0;
  const small = area.alloc(blockedBytes);
  const large = area.alloc(storedBytes);
  const [blockedNs = 0, storedNs = 0] = await bench.time([
    () => {
      for (let t = 0; t < length; t += QUERY_TILE) {
        const at = t * stride;
        kernels.attention_f32(
          q + at,
          stride,
          out + at,
          stride,
          list,
          1,
          QUERY_TILE,
          t,
          pages,
          0,
          HEAD_DIM,
          scale,
          small,
        );
      }
    },
    () =>
      stored.attention_stored_f32(
        q,
        stride,
        out,
        stride,
        list,
        1,
        length,
        0,
        pages,
        0,
        HEAD_DIM,
        scale,
        large,
      ),
  ]);
  return { length, blockedBytes, storedBytes, blockedNs, storedNs };
}

async function measureToken(bench: Bench, length: number): Promise<Row> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const stored = storedAttention(memory);
  const { headBytes, layerBytes, layers, pages } = fillCache(area, "f32", KV_HEADS, length);
  const list = area.words(Array.from({ length: KV_HEADS * GROUP }, (_, h) => h));
  const stride = 4 * KV_HEADS * GROUP * HEAD_DIM;
  const q = area.random(KV_HEADS * GROUP * HEAD_DIM);
  const out = area.alloc(stride);
  const blockedBytes = blockedScratch(area, GROUP);
  const storedBytes = stored.stored_scratch_bytes(HEAD_DIM, GROUP, 1, length) >>> 0;
  const small = area.alloc(blockedBytes);
  const large = area.alloc(storedBytes);
  let layer = 0;
  const call = (attend: Attention, scratch: number) => () => {
    const base = (layer++ % layers) * layerBytes;
    for (let h = 0; h < KV_HEADS; h++) {
      const heads = list + 4 * GROUP * h;
      const head = base + h * headBytes;
      attend(q, stride, out, stride, heads, GROUP, 1, length - 1, pages, head, HEAD_DIM, scale, scratch);
    }
  };
  const [blockedNs = 0, storedNs = 0] = await bench.time([
    call(kernels.attention_f32, small),
    call(stored.attention_stored_f32, large),
  ]);
  return { length, blockedBytes, storedBytes, blockedNs, storedNs };
}

async function measure(bench: Bench): Promise<Data> {
  const prompt: Row[] = [];
  const token: Row[] = [];
  for (const length of lengths) {
    prompt.push(await measurePrompt(bench, length));
    token.push(await measureToken(bench, length));
  }
  return { prompt, token };
}

const bytesRatio = (row: Row) => row.storedBytes / row.blockedBytes;
const timeRatio = (row: Row) => row.storedNs / row.blockedNs;

function tableOf(what: string, rows: readonly Row[]) {
  return {
    head: [
      what,
      "bytes, stored ÷ blocked",
      "time, stored ÷ blocked",
      "scratch, blocked",
      "scratch, stored",
      "time, blocked",
      "time, stored",
    ],
    rows: rows.map((row) => [
      String(row.length),
      ratio(bytesRatio(row)),
      ratio(timeRatio(row)),
      bytes(row.blockedBytes),
      bytes(row.storedBytes),
      duration(row.blockedNs),
      duration(row.storedNs),
    ]),
  };
}

function sentence(what: string, rows: readonly Row[]): string {
  const last = rows.at(-1) as Row;
  const verdict = against1(
    timeRatio(last),
    "so storing is faster there",
    "the same",
    "so blocks are faster there",
  );
  return (
    `For ${what} at ${last.length}, storing all scores takes ${times(bytesRatio(last))} the scratch and ` +
    `${times(timeRatio(last))} the time (${verdict}). Over all lengths it takes ${timesRange(rows.map(timeRatio))} the time.`
  );
}

function render({ prompt, token }: Data): Section {
  const series = [prompt, token].map((rows) => rows.at(-1) as Row);
  const names = ["a prompt, one head", "one token, 8 heads on one kv head"];
  return {
    ratios: series.map((row, i) => ({
      what: `${names[i]}, ${row.length} positions: scratch and time, stored ÷ blocked`,
      value: `${ratio(bytesRatio(row))} and ${ratio(timeRatio(row))}`,
    })),
    tables: [tableOf("tokens of a prompt", prompt), tableOf("positions before one token", token)],
    charts: [
      lineChart({
        title: "Scratch of a prompt's attention, one head",
        xLabel: "tokens",
        xs: prompt.map(({ length }) => length),
        series: [
          { name: "blocked", values: prompt.map(({ blockedBytes }) => blockedBytes) },
          { name: "all scores stored", values: prompt.map(({ storedBytes }) => storedBytes) },
        ],
        format: (value) => (value < 1e6 ? `${value / 1e3} kB` : `${value / 1e6} MB`),
      }),
      lineChart({
        title: "Time of a prompt's attention, one head",
        xLabel: "tokens",
        xs: prompt.map(({ length }) => length),
        series: [
          { name: "blocked", values: prompt.map(({ blockedNs }) => blockedNs) },
          { name: "all scores stored", values: prompt.map(({ storedNs }) => storedNs) },
        ],
        format: duration,
      }),
    ],
    found: [
      `Blocked attention needs ${bytes((prompt[0] as Row).blockedBytes)} of scratch for one head at every length.`,
      sentence("a prompt", prompt),
      sentence("one token", token),
    ].join(" "),
  };
}

/** Blocked attention against attention that stores all scores. */
export const storedScores: Claim<Data> = {
  name: "stored_scores",
  title: "Blocked attention",
  about:
    "Attention in blocks of 32 positions with an online softmax, against the same loops that first store all scores " +
    "(bench/assembly/stored_attention.ts). Both are in f32 with the same register tiles over the same pages. Without " +
    "blocks, scratch grows with the square of the prompt's length.",
  measure,
  render,
};
