// Claim: blocked attention against attention that stores all scores.
import { KV_F32 } from "../../assembly/layout/blocks.ts";
import { QUERY_TILE } from "../../assembly/layout/control.ts";
import { ATT_LAYER, RECORD_WORDS } from "../../assembly/layout/ops.ts";
import { attentionRecord, queryTile } from "../../tests/support/attention_record.ts";
import { fillCache, HEAD_DIM } from "../attention.ts";
import type { KernelArea } from "../kernel_area.ts";
import { wasm } from "../stored_attention.gen.ts";
import { lineChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { against1, bytes, duration, ratio, times, timesRange } from "./words.ts";

const lengths = [256, 512, 1024, 2048, 4096];
const KV_HEADS = 4;
const GROUP = 8;

/** attention() of assembly/attention/attention.ts. */
type Attention = (record: number, tile: number, kvHead: number, scratch: number) => void;

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

// A record over kv heads of f32 with `group` q heads each, in layer 0.
function recordOf(area: KernelArea, nKvHeads: number, group: number, q: number, out: number): number {
  const nHeads = nKvHeads * group;
  const stride = 4 * nHeads * HEAD_DIM;
  return area.words(
    attentionRecord({
      q,
      qStride: stride,
      out,
      outStride: stride,
      heads: area.words(Array.from({ length: nHeads }, (_, h) => h)),
      groups: area.words(Array.from({ length: nKvHeads + 1 }, (_, h) => h * group)),
      type: KV_F32,
      layer: 0,
      headBytes: area.kernels.kv_head_bytes(KV_F32, HEAD_DIM),
      headDim: HEAD_DIM,
      scale: 1 / Math.sqrt(HEAD_DIM),
    }),
  );
}

function blockedScratch({ kernels }: KernelArea, nHeads: number): number {
  return kernels.attention_scratch_bytes(HEAD_DIM, nHeads) >>> 0;
}

async function measurePrompt(bench: Bench, length: number): Promise<Row> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const stored = storedAttention(memory);
  const { pages } = fillCache(area, "f32", 1, length);
  const stride = 4 * HEAD_DIM;
  const q = area.random(length * HEAD_DIM);
  const out = area.alloc(length * stride);
  const record = recordOf(area, 1, 1, q, out);
  const tileOf = (firstToken: number, tokens: number) =>
    area.words(queryTile({ firstToken, tokens, position: firstToken, pageTable: pages }));
  const tiles = Array.from({ length: length / QUERY_TILE }, (_, i) => tileOf(i * QUERY_TILE, QUERY_TILE));
  const whole = tileOf(0, length);
  const blockedBytes = blockedScratch(area, 1);
  const storedBytes = stored.stored_scratch_bytes(HEAD_DIM, 1, length, length) >>> 0;
  const small = area.alloc(blockedBytes);
  const large = area.alloc(storedBytes);
  const [blockedNs = 0, storedNs = 0] = await bench.time([
    () => {
      for (const tile of tiles) kernels.attention(record, tile, 0, small);
    },
    () => stored.attention_stored_f32(record, whole, 0, large),
  ]);
  return { length, blockedBytes, storedBytes, blockedNs, storedNs };
}

async function measureToken(bench: Bench, length: number): Promise<Row> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const stored = storedAttention(memory);
  const { layerBytes, layers, pages } = fillCache(area, "f32", KV_HEADS, length);
  const stride = 4 * KV_HEADS * GROUP * HEAD_DIM;
  const q = area.random(KV_HEADS * GROUP * HEAD_DIM);
  const out = area.alloc(stride);
  const blockedBytes = blockedScratch(area, GROUP);
  const storedBytes = stored.stored_scratch_bytes(HEAD_DIM, GROUP, 1, length) >>> 0;
  const small = area.alloc(blockedBytes);
  const large = area.alloc(storedBytes);
  const record = recordOf(area, KV_HEADS, GROUP, q, out);
  const tile = area.words(queryTile({ firstToken: 0, tokens: 1, position: length - 1, pageTable: pages }));
  const words = new Int32Array(memory.buffer, record, RECORD_WORDS);
  let layer = 0;
  const call = (attend: Attention, scratch: number) => () => {
    words[ATT_LAYER] = (layer++ % layers) * layerBytes;
    for (let h = 0; h < KV_HEADS; h++) attend(record, tile, h, scratch);
  };
  const [blockedNs = 0, storedNs = 0] = await bench.time([
    call(kernels.attention, small),
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
