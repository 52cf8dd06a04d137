// The decoders of tensor types: values of blocks, bit for bit.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { type FileType, fileTypes } from "../../src/quant/file_types.ts";
import { gridPoints } from "../../src/quant/grids.ts";
import { blockTypes, blockValues } from "../reference/block_types.ts";
import type { KernelBench } from "../support/kernels.ts";
import { blockScales, randomBlocks, typesWithBlocks } from "../support/random_blocks.ts";
import { itShared, sharedBytes, sharedJson, sharedPath } from "../support/shared.ts";
import { f32OnEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(4 << 20);
const folder = "models/micro/quant/blocks";

const typeOf = (name: string) => fileTypes.get(name) as FileType;
const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Calls unpack() on bytes without alignment, at the end of an allocation; NaN follows them. */
function unpack(bench: KernelBench, name: string, bytes: Uint8Array, first: number, n: number) {
  const { code, grid } = typeOf(name);
  const src = bench.put(Uint8Array.from([0xff, ...bytes])) + 1;
  const table = grid ? bench.put(gridPoints(grid)) : 0;
  const out = bench.alloc(4 * n);
  const status = bench.kernels.unpack(code, src, table, 0, first, n, out);
  return { status, values: bench.f32(out, n) };
}

/** The values, the same in every variant; they must be finite. */
function unpacked(name: string, bytes: Uint8Array, first: number, n: number): Float32Array<ArrayBuffer> {
  return f32OnEveryVariant(benches, (bench) => {
    const { status, values } = unpack(bench, name, bytes, first, n);
    assert.equal(status, 0);
    return values;
  });
}

describe("decode()", () => {
  it("knows every type with blocks, and so do its twin and what writes random ones", () => {
    const loaded = [...fileTypes.values()].filter(({ blockCols }) => blockCols > 1).map(({ name }) => name);
    assert.deepEqual([...blockTypes].sort(), [...loaded].sort());
    assert.deepEqual([...typesWithBlocks].sort(), [...loaded].sort());
  });

  for (const name of blockTypes) {
    it(`gives the bits of its twin, whatever part is asked for: ${name}`, () => {
      const { blockCols, blockBytes } = typeOf(name);
      const blocks = Math.max(3, 320 / blockCols);
      for (const seed of [1, 2, 3]) {
        const bytes = randomBlocks(name, blocks, seed);
        const all = blockValues(name, bytes);
        for (let first = 0; first < all.length; first += 32) {
          for (const n of new Set([0, 32, 64, all.length - first])) {
            if (first + n > all.length) continue;
            // No more blocks than are asked for: what would be read behind them is 0xa5.
            const end = Math.ceil((first + n) / blockCols) * blockBytes;
            const actual = unpacked(name, bytes.subarray(0, end), first, n);
            assert.deepEqual(bitsOf(actual), bitsOf(all.slice(first, first + n)), `${first}, ${n}`);
          }
        }
      }
    });

    it(`gives the bits of its twin for every byte: ${name}`, () => {
      const { blockBytes } = typeOf(name);
      const bytes = new Uint8Array(256 * blockBytes);
      for (let block = 0; block < 256; block++) {
        // Each byte of the block has each value once.
        for (let i = 0; i < blockBytes; i++) bytes[block * blockBytes + i] = block + 37 * i;
        const view = new DataView(bytes.buffer);
        for (const { set } of blockScales(name)) set(view, block * blockBytes, 1 - block / 100);
      }
      const all = blockValues(name, bytes);
      assert.deepEqual(bitsOf(unpacked(name, bytes, 0, all.length)), bitsOf(all));
    });

    it(`gives NaN for the values of scales that are none: ${name}`, () => {
      const { blockCols, blockBytes } = typeOf(name);
      const [n, bad] = [3 * blockCols, 1];
      for (const { set } of blockScales(name)) {
        // NVFP4's scales are always numbers.
        if (name === "NVFP4") continue;
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          const bytes = randomBlocks(name, 3, 4);
          set(new DataView(bytes.buffer), bad * blockBytes, value);
          const values = f32OnEveryVariant(benches, (bench) => {
            const whole = unpack(bench, name, bytes, 0, n);
            assert.equal(whole.status, 1);
            assert.equal(unpack(bench, name, bytes, 0, blockCols).status, 0);
            assert.equal(unpack(bench, name, bytes, 2 * blockCols, blockCols).status, 0);
            return whole.values;
          });
          values.forEach((v, i) => {
            const inBad = Math.floor(i / blockCols) === bad;
            assert.equal(Number.isFinite(v), !inBad, `value ${i}: ${v}`);
          });
        }
      }
    });
  }
});

describe("decode() of native's blocks", () => {
  itShared([`${folder}/index.json`], "knows every type that there is, with native's number and sizes", () => {
    type Entry = { name: string; ggml_type: number; block: number; bytes: number };
    const all = sharedJson<Entry[]>(`${folder}/index.json`);
    assert.equal(all.length, 27);
    for (const { name, ggml_type, block, bytes } of all) {
      const { code, blockCols, blockBytes } = typeOf(name);
      assert.deepEqual([code, blockCols, blockBytes], [ggml_type, block, bytes], name);
    }
  });

  for (const { name, blockCols } of fileTypes.values()) {
    for (const kind of ["random", "rows"]) {
      const file = `${folder}/${name}.${kind}`;
      if (!existsSync(sharedPath(`${file}.raw`))) continue;
      it(`gives native's bits: ${name}, ${kind}`, () => {
        const raw = sharedBytes(`${file}.raw`);
        const native = new Uint32Array(sharedBytes(`${file}.f32`).buffer);
        assert.deepEqual(bitsOf(unpacked(name, raw, 0, native.length)), native);
        if (blockCols > 1) assert.deepEqual(bitsOf(blockValues(name, raw)), native, "the twin");
      });
    }
  }
});
