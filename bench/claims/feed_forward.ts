// Claim: what gated feed-forwards (SwiGLU, GeGLU) take beside plain ones (ReLU, ReLU²).
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
import { bytes, duration, ratio, times } from "./words.ts";

const DIM = 1536;
const { q8 } = weightFormats;
const tokenCounts = [1, 64];
const MOST_TOKENS = Math.max(...tokenCounts);

interface Block {
  readonly name: string;
  readonly hiddenDim: number;
  readonly gated: boolean;
  /** GLU_* of assembly/layout/ops.ts. */
  readonly kind: number;
}

const gated = { hiddenDim: (DIM * 8) / 3, gated: true };
const plain = { hiddenDim: DIM * 4, gated: false };
const blocks: readonly Block[] = [
  { name: "SwiGLU", kind: op.GLU_SWIGLU, ...gated },
  { name: "GeGLU", kind: op.GLU_GEGLU, ...gated },
  { name: "GeGLU with erf", kind: op.GLU_GEGLU_ERF, ...gated },
  { name: "ReLU²", kind: op.GLU_SQUARED_RELU, ...plain },
  { name: "ReLU", kind: op.GLU_RELU, ...plain },
];
// What the others are compared with.
const BASE = blocks.length - 1;

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
function program(area: KernelArea, block: Block, weightsOf: (size: number) => number): Program {
  const { hiddenDim, gated, kind } = block;
  const layers = Math.floor(FAR_BYTES / 2 / blockBytes(block));
  const weights = weightsOf(layers * blockBytes(block));
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
      [op.GLU_KIND]: kind,
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
  /** Of each block, for one token. */
  readonly ns: readonly number[];
}

interface Data {
  /** Weights of each block. */
  readonly bytes: readonly number[];
  readonly rows: readonly Row[];
}

async function measure(bench: Bench): Promise<Data> {
  const area = await bench.area();
  const { kernels, memory } = area;
  const words = new Int32Array(memory.buffer);
  words[CONTROL_N_THREADS / 4] = 1;
  words[CONTROL_DOT / 4] = area.kernels.dot_form();
  words[CONTROL_STREAMS / 4] = STREAMS;
  // Blocks of as many bytes read the same weights: the area has no room for all of their own.
  const written = new Map<number, number>();
  const weightsOf = (size: number) => {
    const address = written.get(size) ?? writeWeights(area, size);
    written.set(size, address);
    return address;
  };
  const calls = blocks.map((block) => {
    const { plan, recordsPerLayer, layers, scratch } = program(area, block, weightsOf);
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
    rows.push({ tokens, ns: (await bench.time(calls)).map((ns) => ns / tokens) });
  }
  return { bytes: blocks.map(blockBytes), rows };
}

function render({ bytes: weights, rows }: Data): Section {
  const stepOf = (tokens: number) => (tokens === 1 ? "one token" : `${tokens} tokens`);
  const ratioOf = ({ ns }: Row, i: number) => (ns[i] as number) / (ns[BASE] as number);
  const others = blocks.slice(0, BASE);
  const verdicts = rows.map((row) => {
    const each = others.map(({ name }, i) => `${name} ${times(ratioOf(row, i))}`);
    return `With ${stepOf(row.tokens)} in a step, of the ReLU block's time: ${each.join(", ")}`;
  });
  const same = weights.every((size) => size === weights[BASE]);
  const begin = same ? `All blocks hold ${bytes(weights[BASE] as number)} of weights. ` : "";
  return {
    ratios: rows.flatMap((row) =>
      others.map(({ name }, i) => ({
        what: `time of a token, ${stepOf(row.tokens)} in a step, ${name} ÷ ReLU`,
        value: ratio(ratioOf(row, i)),
      })),
    ),
    tables: [
      {
        left: 2,
        head: ["tokens in a step", "block", "÷ ReLU", "a token"],
        rows: rows.flatMap((row) =>
          blocks.map(({ name }, i) => [
            String(row.tokens),
            name,
            ratio(ratioOf(row, i)),
            duration(row.ns[i] as number),
          ]),
        ),
      },
      {
        head: ["block", "hidden size", "matrices", "bytes of weights"],
        rows: blocks.map(({ name, hiddenDim, gated }, i) => [
          name,
          String(hiddenDim),
          gated ? "3" : "2",
          bytes(weights[i] as number),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Time of one token in a feed-forward block",
        series: blocks.map(({ name }) => name),
        groups: rows.map((row) => ({ label: stepOf(row.tokens), values: [...row.ns] })),
        format: duration,
      }),
    ],
    found: `${begin}${verdicts.join(". ")}.`,
  };
}

/** SwiGLU and GeGLU against blocks of ReLU and its square. */
export const feedForward: Claim<Data> = {
  name: "feed_forward",
  title: "SwiGLU, GeGLU, ReLU²",
  about:
    `Feed-forward blocks of width ${DIM}: gated ones with three matrices and a hidden size of 8/3 of the width, and plain ones ` +
    "with two matrices and a hidden size of 4 times the width. All have the same number of q8 weights. Norm and " +
    "residual are included, and weights come from memory. GELU is in its tanh form, and once in its exact one. Only cost is " +
    "compared: Shazeer 2020, arXiv:2002.05202, shows that SwiGLU and GeGLU give better models than ReLU, and So et al. 2021, " +
    "arXiv:2109.08668, that its square does.",
  measure,
  render,
};
