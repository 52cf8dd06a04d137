// Claim: relaxed SIMD against plain SIMD.
import { BLOCK_COLS, TILE_ROWS } from "../../assembly/layout/blocks.ts";
import { type Variant, variantWorks } from "../../src/kernels/variant.ts";
import { weightFormats } from "../../src/quant/registry.ts";
import { activate, copies, FAR_BYTES, KernelArea, multiplier } from "../kernel_area.ts";
import { embeddedModel } from "../models.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { decoder, model110m, openEngine } from "./models.ts";
import { against1, duration, list, number, ratio, timesRange } from "./words.ts";

const variants = ["simd", "relaxed"] as const satisfies readonly Variant[];
/** Rows and columns of TinyLlama-1.1B's q and output matrices. */
const SIZE = 2048;
const STRIPS = SIZE / TILE_ROWS;
const BLOCKS = SIZE / BLOCK_COLS;
const tokenCounts = [1, 64];
const MOST_TOKENS = Math.max(...tokenCounts);
const POSITION = 16;

interface Row {
  readonly what: string;
  /** Time of a call, or of a token. */
  readonly simdNs: number;
  readonly relaxedNs: number;
}

/** No rows if the runtime has no relaxed SIMD. */
interface Data {
  readonly kernels: readonly Row[];
  readonly decode: readonly Row[];
}

// A call for each token count. Calls go through more matrices than any processor's cache holds.
function matmulCalls(area: KernelArea, name: "q8" | "q4"): (() => void)[] {
  const format = weightFormats[name];
  const size = STRIPS * BLOCKS * format.tileBytes;
  const count = Math.floor(FAR_BYTES / size);
  const address = copies(area, format, STRIPS, SIZE, count);
  const x = area.random(MOST_TOKENS * SIZE);
  const out = area.alloc(4 * MOST_TOKENS * SIZE);
  let next = 0;
  return tokenCounts.map((tokens) => {
    const multiply = multiplier(area, {
      format,
      strips: STRIPS,
      blocks: BLOCKS,
      x: activate(area, format, x, SIZE, tokens),
      stride: BLOCKS * format.activationBlockBytes,
      out,
      outStride: 4 * SIZE,
      tokens,
    });
    return () => multiply(address + (next++ % count) * size);
  });
}

async function measureKernels(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const areas = { simd: await KernelArea.create("simd"), relaxed: await KernelArea.create("relaxed") };
  for (const name of ["q8", "q4"] as const) {
    areas.simd.reset();
    areas.relaxed.reset();
    const simd = matmulCalls(areas.simd, name);
    const relaxed = matmulCalls(areas.relaxed, name);
    for (const [i, tokens] of tokenCounts.entries()) {
      const [simdNs = 0, relaxedNs = 0] = await bench.time([simd[i] as () => void, relaxed[i] as () => void]);
      const what = `${name} matrix × ${tokens === 1 ? "vector" : `${tokens} vectors`}, ${SIZE} × ${SIZE}`;
      rows.push({ what, simdNs, relaxedNs });
    }
  }
  return rows;
}

async function measureDecode(
  bench: Bench,
  name: string,
  source: URL | Uint8Array,
  precision: "q8" | "q4",
  tokens: number,
): Promise<Row> {
  const calls: (() => Promise<void>)[] = [];
  for (const kernel of variants) {
    calls.push(decoder(await openEngine(source, { kernel, precision }), POSITION, tokens));
  }
  const [simd = 0, relaxed = 0] = await bench.time(calls);
  return { what: `decode, ${name} ${precision}`, simdNs: simd / tokens, relaxedNs: relaxed / tokens };
}

async function measure(bench: Bench): Promise<Data> {
  if (!variantWorks("relaxed")) {
    bench.skip("relaxed SIMD", "this runtime has none");
    return { kernels: [], decode: [] };
  }
  const decode: Row[] = [];
  for (const precision of ["q8", "q4"] as const) {
    decode.push(await measureDecode(bench, "tales", embeddedModel, precision, 32));
    decode.push(await measureDecode(bench, "110M shape", model110m(), precision, 2));
  }
  return { kernels: await measureKernels(bench), decode };
}

function render({ kernels, decode }: Data): Section {
  const rows = [...kernels, ...decode];
  const gain = ({ simdNs, relaxedNs }: Row) => simdNs / relaxedNs;
  const named = (word: string) =>
    rows.filter((row) => against1(gain(row), "slower", "equal", "faster") === word).map(({ what }) => what);
  const parts = [
    { words: "faster in", items: named("faster") },
    { words: "as fast in", items: named("equal") },
    { words: "slower in", items: named("slower") },
  ].filter(({ items }) => items.length > 0);
  const found =
    rows.length === 0
      ? "This runtime has no relaxed SIMD: the plain build runs."
      : `Plain SIMD takes ${timesRange(rows.map(gain))} as long as relaxed SIMD. The relaxed build is ` +
        `${parts.map(({ words, items }) => `${words} ${items.length === rows.length ? "every case" : list(items)}`).join("; ")}.`;
  return {
    ratios: rows.map((row) => ({ what: `${row.what}: time, plain ÷ relaxed`, value: ratio(gain(row)) })),
    tables: [
      {
        head: ["kernel", "plain ÷ relaxed", "plain", "relaxed", "plain, GMAC/s", "relaxed, GMAC/s"],
        rows: kernels.map((row, i) => {
          const macs = SIZE * SIZE * (tokenCounts[i % tokenCounts.length] as number);
          return [
            row.what,
            ratio(gain(row)),
            duration(row.simdNs),
            duration(row.relaxedNs),
            number(macs / row.simdNs),
            number(macs / row.relaxedNs),
          ];
        }),
      },
      {
        head: ["whole model", "plain ÷ relaxed", "plain, tokens/s", "relaxed, tokens/s"],
        rows: decode.map((row) => [
          row.what,
          ratio(gain(row)),
          number(1e9 / row.simdNs),
          number(1e9 / row.relaxedNs),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Speed of the relaxed build against the plain one",
        series: ["plain ÷ relaxed, time"],
        groups: rows.map((row) => ({ label: row.what, values: [gain(row)] })),
        format: ratio,
      }),
    ],
    found,
  };
}

/** The relaxed build against the plain one. */
export const relaxed: Claim<Data> = {
  name: "relaxed",
  title: "Relaxed SIMD",
  about:
    "The same kernels with the int8 dot product of relaxed SIMD and with the instructions of plain SIMD. Weights come " +
    "from memory. Both builds give the same bits and differ only in time.",
  measure,
  render,
};
