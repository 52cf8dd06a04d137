// embed_row() against decoded tiles.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SCALE_SHIFT } from "../../assembly/layout/blocks.ts";
import { scaleFactor } from "../../src/model/plan/writer.ts";
import { weightFormats } from "../../src/quant/registry.ts";
import { decodeTiles, packedBytes, padded, stripsOf } from "../reference/quantize.ts";
import { colsUnit, packFileRows, rowsFor } from "../support/file_rows.ts";
import type { KernelBench } from "../support/kernels.ts";
import { f32OnEveryVariant, onEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(1 << 20);
const types = Object.values(weightFormats).map((format) => ({
  name: format.name,
  weight: format.code,
  format,
}));

describe("embed_row()", () => {
  for (const { name, weight, format } of types) {
    it(`gives exactly the decoded row of ${name} tiles, times the factor`, () => {
      const rows = 45;
      const unit = colsUnit(format);
      for (const cols of unit === 1 ? [2, 32, 64, 96, 172] : [unit, 2 * unit, 3 * unit]) {
        const from = rowsFor(format, rows, cols, cols);
        const shift = cols === 2 * unit ? 0 : SCALE_SHIFT;
        const packed = (bench: KernelBench) => {
          const out = bench.alloc(packedBytes(weight, rows, cols));
          assert.equal(packFileRows(bench, from, weight, out, shift), 0);
          return out;
        };
        const bytes = onEveryVariant(benches, (bench) =>
          bench.u8(packed(bench), packedBytes(weight, rows, cols)),
        );
        const decoded = decodeTiles(weight, bytes, rows, cols, shift);
        const width = padded(cols, 32);
        for (const factor of [1, Math.fround(Math.sqrt(cols)), 0]) {
          const actual = f32OnEveryVariant(benches, (bench) => {
            const w = packed(bench);
            const out = bench.alloc(4 * rows * width);
            for (let row = 0; row < rows; row++) {
              bench.kernels.embed_row(
                w,
                weight,
                row,
                stripsOf(rows),
                width / 32,
                scaleFactor(shift),
                factor,
                out + 4 * row * width,
              );
            }
            return bench.f32(out, rows * width);
          });
          // Decoded weights of most formats have at most 24 bits. A minimum is taken off in f32; then comes the product.
          const expected = decoded.subarray(0, rows * width).map((v) => Math.fround(Math.fround(v) * factor));
          assert.deepEqual(
            Float64Array.from(actual, (v) => v + 0),
            expected.map((v) => v + 0),
          );
        }
      }
    });

    it(`writes nothing for no blocks of ${name}`, () => {
      const bytes = onEveryVariant(benches, (bench) => {
        const out = bench.alloc(16);
        bench.kernels.embed_row(bench.alloc(16), weight, 5, 2, 0, 1, 1, out);
        return bench.u8(out, 16);
      });
      assert.ok(bytes.every((b) => b === 0xff));
    });
  }
});
