// Claim: what a gated feed-forward (SwiGLU) takes beside a plain one (ReLU).
import {
  ACT_Q8,
  BLOCK_COLS,
  GROUP_STRIPS,
  SCALE_SHIFT,
  TILE_ROWS,
  UNPACKED_BLOCKS,
  UNPACKED_BYTES,
} from "../../assembly/layout/blocks.ts";
import {
  CONTROL_DOT,
  CONTROL_N_THREADS,
  CONTROL_STREAMS,
  STEP_N_TOKENS,
} from "../../assembly/layout/control.ts";
import * as op from "../../assembly/layout/ops.ts";
import { chunkGroups, scaleFactor } from "../../src/model/plan/writer.ts";
import { weightFormats } from "../../src/quant/registry.ts";
import { FAR_BYTES, type KernelArea, STREAMS } from "../kernel_area.ts";
import { barChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { against1, bytes, duration, number, ratio, times } from "./words.ts";

const DIM = 1536;
const { q8 } = weightFormats;
const tokenCounts = [1, 64];
const MOST_TOKENS = Math.max(...tokenCounts);

interface Block {
  readonly name: string;
  readonly hiddenDim: number;
  readonly gated: boolean;
}

const blocks: readonly [Block, Block] = [
  { name: "SwiGLU", hiddenDim: (DIM * 8) / 3, gated: true },
  { name: "ReLU", hiddenDim: DIM * 4, gated: false },
];

function matrixBytes(rows: number, cols: number): number {
  return (rows / TILE_ROWS) * (cols / BLOCK_COLS) * q8.tileBytes;
}

/** Bytes of weights of a block. */
export function blockBytes({ hiddenDim, gated }: Block): number {
  return (gated ? 2 : 1) * matrixBytes(hiddenDim, DIM) + matrixBytes(DIM, hiddenDim);
}

const f32Bits = (value: number) => new Int32Array(Float32Array.of(value).buffer)[0] as number;

interface Program {
  readonly plan: number;
  readonly recordsPerLayer: number;
  readonly layers: number;
  readonly scratch: number;
}

// Fills `size` bytes with copies of the tiles of one group.
function writeWeights(area: KernelArea, size: number): number {
  const address = area.alloc(size);
  const rows = GROUP_STRIPS * TILE_ROWS;
  area.pack(q8, rows, BLOCK_COLS, address);
  area.spread(address, GROUP_STRIPS * q8.tileBytes, size);
  return address;
}

// The feed-forward records of a plan: norm, up (and gate), activation, down with the residual.
function program(area: KernelArea, block: Block): Program {
  const { hiddenDim, gated } = block;
  const layers = Math.floor(FAR_BYTES / 2 / blockBytes(block));
  const weights = writeWeights(area, layers * blockBytes(block));
  const widest = Math.max(DIM, hiddenDim);
  const x = area.random(MOST_TOKENS * DIM);
  const norm = area.random(DIM, 0.5, 1.5);
  const act = area.alloc(MOST_TOKENS * (widest / BLOCK_COLS) * q8.activationBlockBytes);
  const actStride = (widest / BLOCK_COLS) * q8.activationBlockBytes;
  const gate = area.alloc(4 * MOST_TOKENS * hiddenDim);
  const up = area.alloc(4 * MOST_TOKENS * hiddenDim);
  const records: Record<number, number>[] = [];
  const emit = (code: number, barrier: boolean, fields: Record<number, number>) =>
    records.push({ [op.REC_OP]: code, [op.REC_FLAGS]: barrier ? op.REC_BARRIER : 0, ...fields });
  const matmul = (w: number, rows: number, cols: number, out: number, barrier: boolean, residual: boolean) =>
    emit(op.OP_MATMUL, barrier, {
      [op.MATMUL_W]: w,
      [op.MATMUL_WEIGHT]: q8.code,
      [op.MATMUL_X]: act,
      [op.MATMUL_X_STRIDE]: actStride,
      [op.MATMUL_OUT]: out,
      [op.MATMUL_OUT_STRIDE]: 4 * rows,
      [op.MATMUL_FACTOR]: f32Bits(scaleFactor(SCALE_SHIFT)),
      [op.MATMUL_STRIPS]: rows / TILE_ROWS,
      [op.MATMUL_BLOCKS]: cols / BLOCK_COLS,
      [op.MATMUL_ADD]: residual ? out : 0,
      [op.MATMUL_ADD_STRIDE]: residual ? 4 * rows : 0,
      [op.MATMUL_CHUNK]: chunkGroups({ blocks: cols / BLOCK_COLS, format: q8 }),
    });
  for (let layer = 0; layer < layers; layer++) {
    let w = weights + layer * blockBytes(block);
    emit(op.OP_NORM, true, {
      [op.NORM_X]: x,
      [op.NORM_X_STRIDE]: 4 * DIM,
      [op.NORM_OUT]: act,
      [op.NORM_OUT_STRIDE]: actStride,
      [op.NORM_N]: DIM,
      [op.NORM_FORMAT]: ACT_Q8,
      [op.NORM_WEIGHT]: norm,
      [op.NORM_EPS]: f32Bits(1e-5),
      [op.NORM_KIND]: op.NORM_RMS,
    });
    matmul(w, hiddenDim, DIM, gate, !gated, false);
    w += matrixBytes(hiddenDim, DIM);
    if (gated) {
      matmul(w, hiddenDim, DIM, up, true, false);
      w += matrixBytes(hiddenDim, DIM);
    }
    emit(op.OP_GLU, true, {
      [op.GLU_GATE]: gate,
      [op.GLU_UP]: up,
      [op.GLU_STRIDE]: 4 * hiddenDim,
      [op.GLU_OUT]: act,
      [op.GLU_OUT_STRIDE]: actStride,
      [op.GLU_N]: hiddenDim,
      [op.GLU_FORMAT]: ACT_Q8,
      [op.GLU_KIND]: gated ? op.GLU_SWIGLU : op.GLU_RELU,
    });
    matmul(w, DIM, hiddenDim, x, true, true);
  }
  const words = new Int32Array(records.length * op.RECORD_WORDS);
  for (const [i, fields] of records.entries()) {
    for (const [word, value] of Object.entries(fields)) words[i * op.RECORD_WORDS + Number(word)] = value;
  }
  const scratch = area.alloc(Math.max(4 * widest, UNPACKED_BLOCKS * GROUP_STRIPS * UNPACKED_BYTES));
  return { plan: area.words(words), recordsPerLayer: records.length / layers, layers, scratch };
}

interface Row {
  readonly tokens: number;
  /** For one token. */
  readonly swigluNs: number;
  readonly reluNs: number;
}

interface Data {
  readonly swigluBytes: number;
  readonly reluBytes: number;
  readonly rows: readonly Row[];
}

async function measure(bench: Bench): Promise<Data> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const words = new Int32Array(memory.buffer);
  words[CONTROL_N_THREADS / 4] = 1;
  words[CONTROL_DOT / 4] = area.kernels.dot_form();
  words[CONTROL_STREAMS / 4] = STREAMS;
  const calls = blocks.map((block) => {
    const { plan, recordsPerLayer, layers, scratch } = program(area, block);
    let layer = 0;
    return () => {
      const begin = (layer++ % layers) * recordsPerLayer;
      if (kernels.run_step(plan, begin, begin + recordsPerLayer, scratch) !== 0) {
        throw new Error("Expected the feed-forward plan to run to its end");
      }
    };
  });
  const rows: Row[] = [];
  for (const tokens of tokenCounts) {
    words[STEP_N_TOKENS / 4] = tokens;
    const [swiglu = 0, relu = 0] = await bench.time(calls);
    rows.push({ tokens, swigluNs: swiglu / tokens, reluNs: relu / tokens });
  }
  const [swigluBytes, reluBytes] = [blockBytes(blocks[0]), blockBytes(blocks[1])];
  return { swigluBytes, reluBytes, rows };
}

function render({ swigluBytes, reluBytes, rows }: Data): Section {
  const stepOf = (tokens: number) => (tokens === 1 ? "one token" : `${tokens} tokens`);
  const ratioOf = ({ swigluNs, reluNs }: Row) => swigluNs / reluNs;
  const verdicts = rows.map((row) => {
    const word = against1(ratioOf(row), "less time than", "as much time as", "more time than");
    return `With ${stepOf(row.tokens)} in a step SwiGLU takes ${word} the ReLU block (${times(ratioOf(row))})`;
  });
  return {
    ratios: rows.map((row) => ({
      what: `time of a token, ${stepOf(row.tokens)} in a step, SwiGLU ÷ ReLU`,
      value: ratio(ratioOf(row)),
    })),
    tables: [
      {
        head: ["tokens in a step", "SwiGLU ÷ ReLU", "SwiGLU, a token", "ReLU, a token"],
        rows: rows.map((row) => [
          String(row.tokens),
          ratio(ratioOf(row)),
          duration(row.swigluNs),
          duration(row.reluNs),
        ]),
      },
      {
        head: ["block", "hidden size", "matrices", "bytes of weights"],
        rows: blocks.map(({ name, hiddenDim, gated }, i) => [
          name,
          String(hiddenDim),
          gated ? "3" : "2",
          bytes(i === 0 ? swigluBytes : reluBytes),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Time of one token in a feed-forward block",
        series: blocks.map(({ name }) => name),
        groups: rows.map((row) => ({ label: stepOf(row.tokens), values: [row.swigluNs, row.reluNs] })),
        format: duration,
      }),
    ],
    found:
      (swigluBytes === reluBytes
        ? `Both blocks hold ${bytes(reluBytes)} of weights. `
        : `SwiGLU's weights take ${number(swigluBytes / reluBytes)} of the ReLU block's bytes. `) +
      `${verdicts.join(". ")}.`,
  };
}

/** SwiGLU against a ReLU block. */
export const feedForward: Claim<Data> = {
  name: "feed_forward",
  title: "SwiGLU",
  about:
    `Two feed-forward blocks of width ${DIM}: SwiGLU with three matrices and a hidden size of 8/3 of the width, and ReLU ` +
    "with two matrices and a hidden size of 4 times the width. Both have the same number of q8 weights. Norm and " +
    "residual are included, and weights come from memory. Only cost is compared: Shazeer 2020, arXiv:2002.05202, shows " +
    "that SwiGLU gives the better model.",
  measure,
  render,
};
