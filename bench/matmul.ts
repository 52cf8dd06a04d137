// Matrix times vector from memory, as decoding does it, and times 16 and 64 vectors, as a prompt does.

import { BLOCK_COLS, FILE_F32, TILE_ROWS } from "../assembly/layout/blocks.ts";
import { PACK_SCRATCH_BYTES } from "../assembly/layout/control.ts";
import type { KernelExports } from "../src/kernels/exports.gen.ts";
import { weightFormats } from "../src/quant/registry.ts";
import type { WeightFormat } from "../src/quant/weight_format.ts";
import { callsOf, FAR_BYTES, type KernelArea } from "./kernel_area.ts";
import { type Case, runSuites, type Session, type Suite } from "./suite.ts";

/** Rows and columns of TinyLlama-1.1B's matrices: q and output, gate and up, down, k and v. */
const shapes = [
  [2048, 2048],
  [5632, 2048],
  [2048, 5632],
  [256, 2048],
] as const;
const tokenCounts = [1, 16, 64] as const;

type Quantize = (kernels: KernelExports, x: number, out: number, n: number) => void;

const quantize: Readonly<Record<"q8" | "q4", Quantize>> = {
  q8: (kernels, x, out, n) => kernels.quantize_q8w(x, out, n),
  q4: (kernels, x, out, n) => kernels.quantize_q4w(x, out, n),
};

// Activations of `tokens` rows in the format that the weights want.
function activations(area: KernelArea, format: WeightFormat, cols: number, tokens: number): number {
  const x = area.random(tokens * cols);
  if (format.name === "f32") return x;
  const stride = (cols / BLOCK_COLS) * format.activationBlockBytes;
  const out = area.alloc(tokens * stride);
  for (let t = 0; t < tokens; t++)
    quantize[format.name](area.kernels, x + 4 * t * cols, out + t * stride, cols);
  return out;
}

// Matrices one after another, until no cache holds them; all rows are copies of the same four.
function matrices(area: KernelArea, format: WeightFormat, cols: number, bytes: number): number[] {
  const count = Math.floor(FAR_BYTES / bytes);
  const address = area.alloc(count * bytes);
  const rows = area.random(TILE_ROWS * cols, -0.05, 0.05);
  area.kernels.pack(
    FILE_F32,
    format.code,
    rows,
    4 * cols,
    0,
    0,
    0,
    TILE_ROWS,
    cols,
    address,
    area.alloc(PACK_SCRATCH_BYTES),
  );
  area.spread(address, (cols / BLOCK_COLS) * format.tileBytes, count * bytes);
  return Array.from({ length: count }, (_, i) => address + i * bytes);
}

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
  const weights = matrices(area, format, cols, bytes);
  const x = activations(area, format, cols, most);
  const xStride = blocks * format.activationBlockBytes;
  const out = area.alloc(4 * most * rows);
  const kernel = area.kernels[`matmul_${format.name}`];
  let next = 0;
  for (const tokens of tokenCounts) {
    const calls = callsOf({ strips, blocks, format }, tokens);
    const call = () => {
      const w = weights[next++ % weights.length] as number;
      for (const [begin, end] of calls) {
        kernel(w, x, xStride, out, 4 * rows, 0, 0, begin, end, blocks, tokens);
      }
    };
    const item: Case = {
      name: `${format.name} ${tokens === 1 ? "matrix x vector" : `${tokens} tokens`}`,
      shape: `${rows} x ${cols}`,
      // Beyond one token memory is not what limits.
      work: { ...(tokens === 1 ? { bytes } : {}), macs: rows * cols * tokens },
      call,
    };
    await session.measure(item);
  }
}

export const matmul: Suite = {
  name: "matmul",
  about:
    "Shapes of TinyLlama-1.1B, rows x columns. Matrices follow one another through 288 MiB, so that weights " +
    "come from memory; bytes are those of the weight tiles. Strips are taken as a plan does: almost all at once for one token, else 64 KiB at a time.",
  async run(session) {
    for (const format of [weightFormats.q8, weightFormats.q4, weightFormats.f32]) {
      for (const [rows, cols] of shapes) await measureShape(session, format, rows, cols);
    }
  },
};

if (import.meta.main) await runSuites([matmul]);
