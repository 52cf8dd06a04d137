// Keys and values as they are stored in pages.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_F16, KV_F32, KV_PAGE, KV_Q8 } from "../../assembly/layout/blocks.ts";
import { type KernelBench, randomF32 } from "../support/kernels.ts";
import { variantBenches } from "../support/variants.ts";

const types = { f32: KV_F32, f16: KV_F16, q8: KV_Q8 };
const headDims = [2, 8, 12, 30, 64];
const slots = [0, 1, 7, 8, 17, 30, 31];

const padded = (headDim: number) => Math.ceil(headDim / 8) * 8;

// Byte offsets of one element in a page head block, as layout/blocks.ts describes them.
function kOffset(name: string, dims: number, slot: number, d: number): number {
  const group = Math.floor(slot / 8);
  if (name === "q8") return ((group * (dims / 2) + Math.floor(d / 2)) * 8 + (slot % 8)) * 2 + (d % 2);
  return ((group * dims + d) * 8 + (slot % 8)) * (name === "f32" ? 4 : 2);
}

function vOffset(name: string, dims: number, slot: number, d: number): number {
  const group = Math.floor(d / 8);
  if (name === "q8")
    return dims * KV_PAGE + ((group * 16 + Math.floor(slot / 2)) * 8 + (d % 8)) * 2 + (slot % 2);
  return (dims * KV_PAGE + (group * KV_PAGE + slot) * 8 + (d % 8)) * (name === "f32" ? 4 : 2);
}

function f16Value(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const mantissa = h & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + mantissa / 1024) : 2 ** -14 * (mantissa / 1024));
}

// The finite f16 nearest to x by search; of two, the one with an even mantissa.
function nearestF16(x: number): number {
  let low = 0;
  let high = 0x7bff;
  const a = Math.abs(x);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (f16Value(middle) < a) low = middle + 1;
    else high = middle;
  }
  const below = Math.max(low - 1, 0);
  const up = f16Value(low) - a;
  const down = a - f16Value(below);
  const bits = down < up || (down === up && below % 2 === 0) ? below : low;
  return bits | (x < 0 || Object.is(x, -0) ? 0x8000 : 0);
}

// Stores one position into a block of 0xff; the block, and which of its bytes may have changed.
function store(b: KernelBench, name: keyof typeof types, k: Float32Array, v: Float32Array, slot: number) {
  b.reset();
  const bytes = b.kernels.kv_head_bytes(types[name], k.length);
  const head = b.alloc(bytes);
  b.kernels[`kv_store_${name}`](b.put(k), b.put(v), head, slot, k.length);
  b.checkGuards();
  const block = b.u8(head, bytes).slice();
  return { block, view: new DataView(block.buffer) };
}

for (const { variant, bench: b } of await variantBenches(1 << 20)) {
  describe(`kv_store, ${variant}`, () => {
    it("kv_head_bytes() counts padded dims, and the scales of q8", () => {
      for (const headDim of headDims) {
        const elements = 2 * padded(headDim) * KV_PAGE;
        assert.equal(b.kernels.kv_head_bytes(KV_F32, headDim), 4 * elements);
        assert.equal(b.kernels.kv_head_bytes(KV_F16, headDim), 2 * elements);
        assert.equal(b.kernels.kv_head_bytes(KV_Q8, headDim), elements + 2 * KV_PAGE * 4);
      }
    });

    it("kv_store_f32() and kv_store_f16() put every dim in its place, zeros behind them", () => {
      for (const name of ["f32", "f16"] as const) {
        for (const headDim of headDims) {
          for (const slot of slots) {
            const k = randomF32(headDim, slot + 1);
            const v = randomF32(headDim, slot + 2);
            const { view } = store(b, name, k, v, slot);
            const dims = padded(headDim);
            for (let d = 0; d < dims; d++) {
              const at = [kOffset(name, dims, slot, d), vOffset(name, dims, slot, d)] as const;
              const expected = [k[d] ?? 0, v[d] ?? 0];
              if (name === "f32") {
                assert.deepEqual([view.getFloat32(at[0], true), view.getFloat32(at[1], true)], expected);
              } else {
                const actual = [view.getUint16(at[0], true), view.getUint16(at[1], true)];
                assert.deepEqual(actual, expected.map(nearestF16));
              }
            }
          }
        }
      }
    });

    it("kv_store_*() writes nothing but its slot", () => {
      for (const name of ["f32", "f16", "q8"] as const) {
        const size = { f32: 4, f16: 2, q8: 1 }[name];
        for (const slot of slots) {
          const { block } = store(b, name, randomF32(12, 1), randomF32(12, 2), slot);
          const own = new Set<number>();
          const add = (at: number, n: number) => {
            for (let i = 0; i < n; i++) own.add(at + i);
          };
          for (let d = 0; d < 16; d++) {
            add(kOffset(name, 16, slot, d), size);
            add(vOffset(name, 16, slot, d), size);
          }
          if (name === "q8") for (const i of [slot, KV_PAGE + slot]) add(2 * 16 * KV_PAGE + 4 * i, 4);
          block.forEach((byte, i) => {
            if (!own.has(i)) assert.equal(byte, 0xff, `${name}, slot ${slot}, byte ${i}`);
          });
        }
      }
    });

    it("kv_store_f16() rounds to nearest even, saturates and drops NaN", () => {
      const values = [0, -0, 1, -1, 65504, 65519.99, 65520, 1e9, -1e30, Infinity, -Infinity, Number.NaN];
      values.push(
        1 + 2 ** -11,
        1 + 3 * 2 ** -11,
        2 ** -14,
        2 ** -24,
        2 ** -25,
        3 * 2 ** -25,
        -(2 ** -26),
        1e-20,
      );
      const row = Float32Array.from(values);
      const { view } = store(b, "f16", row, row, 9);
      for (const [d, x] of row.entries()) {
        const expected = Number.isNaN(x) ? 0 : nearestF16(Math.min(Math.max(x, -65504), 65504));
        assert.equal(view.getUint16(kOffset("f16", 24, 9, d), true), expected, `K of ${x}`);
        assert.equal(view.getUint16(vOffset("f16", 24, 9, d), true), expected, `V of ${x}`);
      }
    });

    it("kv_store_q8() is within half a step, with the largest value at 127", () => {
      for (const headDim of headDims) {
        for (const slot of slots) {
          const k = randomF32(headDim, slot + 3, -5, 5);
          const v = randomF32(headDim, slot + 4, -0.01, 0.02);
          const { view } = store(b, "q8", k, v, slot);
          const dims = padded(headDim);
          const check = (x: Float32Array, scaleAt: number, offset: typeof kOffset) => {
            const scale = view.getFloat32(scaleAt, true);
            assert.equal(scale, Math.fround(Math.max(...x.map(Math.abs)) / 127));
            const q = Array.from({ length: dims }, (_, d) => view.getInt8(offset("q8", dims, slot, d)));
            assert.equal(Math.max(...q.map(Math.abs)), 127);
            q.forEach((n, d) => {
              assert.ok(Math.abs(n * scale - (x[d] ?? 0)) <= scale * 0.50001, `dim ${d}`);
            });
          };
          check(k, 2 * dims * KV_PAGE + 4 * slot, kOffset);
          check(v, 2 * dims * KV_PAGE + 4 * KV_PAGE + 4 * slot, vOffset);
        }
      }
    });

    it("kv_store_q8() keeps zeros, and NaN and infinity in the scale of K", () => {
      const zero = new Float32Array(8);
      const zeros = store(b, "q8", zero, zero, 3).view;
      assert.equal(zeros.getInt8(kOffset("q8", 8, 3, 0)), 0);
      assert.equal(zeros.getFloat32(2 * 8 * KV_PAGE + 12, true), 0);
      for (const bad of [Number.NaN, Infinity, -Infinity]) {
        const row = randomF32(8, 5);
        const broken = row.slice();
        broken[6] = bad;
        for (const [k, v] of [
          [broken, row],
          [row, broken],
        ] as const) {
          const { view } = store(b, "q8", k, v, 3);
          assert.ok(!Number.isFinite(view.getFloat32(2 * 8 * KV_PAGE + 12, true)));
        }
      }
    });
  });
}
