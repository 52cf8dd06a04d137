// Suite: matrices from memory times one vector, as in decoding, and times 16 and 64 vectors, as in a prompt.

import { BLOCK_COLS, TILE_ROWS } from "../assembly/layout/blocks.ts";
import { weightFormats } from "../src/quant/registry.ts";
import type { WeightFormat } from "../src/quant/weight_format.ts";
import { activate, copies, FAR_BYTES, multiplier } from "./kernel_area.ts";
import { type Case, runSuites, type Session, type Suite } from "./suite.ts";

/** Rows and columns of TinyLlama-1.1B's matrices: q and output, gate and up, down, k and v. */
const shapes = [
  [2048, 2048],
  [5632, 2048],
  [2048, 5632],
  [256, 2048],
] as const;
const tokenCounts = [1, 16, 64] as const;

async function measureShape(
  session: Session,
  format: WeightFormat,
  rows: number,
  cols: number,
): Promise<void> {
  const area = await session.area();
  const most = Math.max(...tokenCounts);
  const strips = rows / TILE_ROWS;
  const blocks = cols / BLOCK_COLS;
  const bytes = strips * blocks * format.tileBytes;
  const count = Math.floor(FAR_BYTES / bytes);
  const address = copies(area, format, strips, cols, count);
  const rows32 = area.random(most * cols);
  const out = area.alloc(4 * most * rows);
  let next = 0;
  for (const tokens of tokenCounts) {
    const multiply = multiplier(area, {
      format,
      strips,
      blocks,
      x: format.scaled ? activate(area, format, rows32, cols, tokens) : rows32,
      stride: blocks * format.activationBlockBytes,
      out,
      outStride: 4 * rows,
      tokens,
    });
    const call = () => multiply(address + (next++ % count) * bytes);
    const item: Case = {
      name: `${format.name} ${tokens === 1 ? "matrix x vector" : `${tokens} tokens`}`,
      shape: `${rows} x ${cols}`,
      // With several tokens memory is not the limit, so no bytes are counted.
      work: { ...(tokens === 1 ? { bytes } : {}), macs: rows * cols * tokens },
      call,
    };
    await session.measure(item);
  }
}

export const matmul: Suite = {
  name: "matmul",
  about:
    "Shapes of TinyLlama-1.1B, rows x columns. Calls go through 288 MiB of matrices, so weights come from memory. Bytes " +
    "are those of the weight tiles. Groups of strips are divided into calls as in a plan: almost all in one call for one " +
    "token, 64 KiB a call for several. Formats of K types are packed from random blocks of their type.",
  async run(session) {
    for (const format of Object.values(weightFormats)) {
      for (const [rows, cols] of shapes) await measureShape(session, format, rows, cols);
    }
  },
};

if (import.meta.main) await runSuites([matmul]);
