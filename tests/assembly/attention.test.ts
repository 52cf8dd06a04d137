// attention() against its reference, over every KV type.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_F16, KV_F32, KV_PAGE, KV_Q8 } from "../../assembly/layout/blocks.ts";
import { QUERY_TILE } from "../../assembly/layout/control.ts";
import { type AttentionShape, attention } from "../reference/attention.ts";
import { attentionRecord, queryTile } from "../support/attention_record.ts";
import { type KernelBench, nmse, randomF32 } from "../support/kernels.ts";
import { f32OnEveryVariant, variantBenches } from "../support/variants.ts";

const types = [
  { name: "f32", type: KV_F32, error: 1e-6 },
  { name: "f16", type: KV_F16, error: 1e-5 },
  { name: "q8", type: KV_Q8, error: 5e-4 },
] as const;
type KvType = (typeof types)[number];

// Query heads of each kv head.
const heads: Record<string, number[][]> = {
  MHA: [[0], [1], [2]],
  "GQA of three": [
    [0, 1, 2],
    [3, 4, 5],
  ],
  "scrambled GQA of four": [
    [5, 0, 7, 2],
    [1, 6, 3, 4],
  ],
  "MQA of nine": [[0, 1, 2, 3, 4, 5, 6, 7, 8]],
};

interface Case {
  groups: number[][];
  headDim: number;
  pos: number;
  tokens: number;
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
  window?: number;
  /** One for each head. */
  sinks?: Float32Array;
}

function shapeOf(c: Case): AttentionShape {
  return {
    nHeads: c.groups.flat().length,
    nKvHeads: c.groups.length,
    headDim: c.headDim,
    kvHeadOf: (h) => c.groups.findIndex((group) => group.includes(h)),
    pos: c.pos,
    tokens: c.tokens,
    scale: 1 / Math.sqrt(c.headDim),
    ...(c.window && { window: c.window }),
    ...(c.sinks && { sinks: c.sinks }),
  };
}

function randomCase(groups: number[][], headDim: number, pos: number, tokens: number, seed = 1): Case {
  const kvLength = (pos + tokens) * groups.length * headDim;
  return {
    groups,
    headDim,
    pos,
    tokens,
    q: randomF32(tokens * groups.flat().length * headDim, seed, -2, 2),
    k: randomF32(kvLength, seed + 1, -2, 2),
    v: randomF32(kvLength, seed + 2),
  };
}

// Fills pages, which lie in reverse order, and gives the address of the page table. `offset`: what precedes
// the kv heads in a page; `unused`: the byte that slots hold before they are stored to.
function storePages(b: KernelBench, kv: KvType, c: Case, offset: number, unused: number): number {
  const headBytes = b.kernels.kv_head_bytes(kv.type, c.headDim);
  const nPages = Math.ceil((c.pos + c.tokens) / KV_PAGE);
  const pageBytes = offset + headBytes * c.groups.length;
  const pages = Array.from({ length: nPages }, () => b.alloc(pageBytes)).reverse();
  for (const page of pages) b.u8(page, pageBytes).fill(unused);
  const k = b.put(c.k);
  const v = b.put(c.v);
  const store = b.kernels[`kv_store_${kv.name}`];
  for (let p = 0; p < c.pos + c.tokens; p++) {
    for (let g = 0; g < c.groups.length; g++) {
      const at = (p * c.groups.length + g) * c.headDim * 4;
      const page = pages[Math.floor(p / KV_PAGE)] as number;
      store(k + at, v + at, page + offset + g * headBytes, p % KV_PAGE, c.headDim);
    }
  }
  return b.put(Uint32Array.from(pages));
}

// Runs the kernel for every kv head, `step` tokens in one call.
function run(b: KernelBench, kv: KvType, c: Case, step = c.tokens, unused = 0xff): Float32Array {
  b.reset();
  const { nHeads } = shapeOf(c);
  const offset = 64;
  const table = storePages(b, kv, c, offset, unused);
  const rowBytes = nHeads * c.headDim * 4;
  // Rows lie apart in memory, with NaN between them.
  const qStride = rowBytes + 20;
  const outStride = rowBytes + 12;
  const q = b.alloc((c.tokens - 1) * qStride + rowBytes);
  const out = b.alloc((c.tokens - 1) * outStride + rowBytes);
  for (let t = 0; t < c.tokens; t++) {
    b.f32(q + t * qStride, nHeads * c.headDim).set(
      c.q.subarray((t * rowBytes) / 4, ((t + 1) * rowBytes) / 4),
    );
  }
  const begins = c.groups.map((_, g) => c.groups.slice(0, g).flat().length);
  const record = b.put(
    attentionRecord({
      q,
      qStride,
      out,
      outStride,
      heads: b.put(Int32Array.from(c.groups.flat())),
      groups: b.put(Int32Array.from([...begins, nHeads])),
      type: kv.type,
      layer: offset,
      headBytes: b.kernels.kv_head_bytes(kv.type, c.headDim),
      headDim: c.headDim,
      scale: 1 / Math.sqrt(c.headDim),
      ...(c.window && { window: c.window }),
      ...(c.sinks && { sinks: b.put(c.sinks) }),
    }),
  );
  const tiles = Array.from({ length: Math.ceil(c.tokens / step) }, (_, i) => {
    const firstToken = i * step;
    const tokens = Math.min(step, c.tokens - firstToken);
    return b.put(queryTile({ firstToken, tokens, position: c.pos + firstToken, pageTable: table }));
  });
  c.groups.forEach((group, g) => {
    const scratch = b.alloc(b.kernels.attention_scratch_bytes(c.headDim, group.length));
    for (const tile of tiles) b.kernels.attention(record, tile, g, scratch);
  });
  b.checkGuards();
  const gaps = Array.from({ length: c.tokens - 1 }, (_, t) => [...b.u8(out + t * outStride + rowBytes, 12)]);
  assert.ok(gaps.flat().every((byte) => byte === 0xff));
  const rows = Array.from({ length: c.tokens }, (_, t) => [
    ...b.f32(out + t * outStride, nHeads * c.headDim),
  ]);
  return Float32Array.from(rows.flat());
}

function bits(x: Float32Array): Uint32Array {
  return new Uint32Array(x.buffer, x.byteOffset, x.length);
}

function check(b: KernelBench, kv: KvType, c: Case): void {
  const error = nmse(run(b, kv, c), attention(c.q, c.k, c.v, shapeOf(c)));
  assert.ok(
    error <= kv.error,
    `nmse ${error} at position ${c.pos}, ${c.tokens} tokens, headDim ${c.headDim}`,
  );
}

const benches = await variantBenches(32 << 20);

for (const { variant, bench: b } of benches) {
  describe(`attention, ${variant}`, () => {
    for (const kv of types) {
      const name = `attention() of ${kv.name}`;

      for (const [title, groups] of Object.entries(heads)) {
        it(`${name} agrees with the reference: ${title}`, () => {
          for (const context of [1, 2, 31, 32, 33, 64, 65, 100]) {
            for (const tokens of [1, 2, 5, QUERY_TILE]) {
              if (tokens <= context) check(b, kv, randomCase(groups, 48, context - tokens, tokens, context));
            }
          }
        });
      }

      it(`${name} takes every even headDim`, () => {
        for (const headDim of [2, 4, 6, 8, 10, 12, 14, 32, 64, 80, 128, 254, 256, 576]) {
          check(b, kv, randomCase([[0, 1, 2, 3], [4]], headDim, 62, 3, headDim));
        }
      });

      it(`${name} gives a token the same bits alone and among others`, () => {
        for (const groups of Object.values(heads)) {
          for (const pos of [0, 27, 60, 92]) {
            const c = randomCase(groups, 24, pos, QUERY_TILE, 11 + pos);
            const together = bits(run(b, kv, c));
            for (const step of [1, 3]) assert.deepEqual(bits(run(b, kv, c, step)), together);
          }
        }
      });

      it(`${name} never lets unused slots reach a result`, () => {
        for (const pos of [0, 1, 30, 35, 70]) {
          const c = randomCase([[0, 1, 2, 3, 4]], 12, pos, 1, pos);
          const result = bits(run(b, kv, c, 1, 0xff));
          for (const unused of [0x00, 0x7f, 0x80]) assert.deepEqual(bits(run(b, kv, c, 1, unused)), result);
        }
      });

      it(`${name} sees a window, over borders of pages, alone and among others`, () => {
        for (const window of [1, 2, 5, 31, 32, 33, 64, 200]) {
          for (const pos of [0, 27, 60, 92]) {
            const c = { ...randomCase([[0, 1, 2], [3]], 24, pos, QUERY_TILE, window + pos), window };
            check(b, kv, c);
            const together = bits(run(b, kv, c));
            for (const step of [1, 3]) assert.deepEqual(bits(run(b, kv, c, step)), together);
          }
        }
      });

      it(`${name} never reads pages before the window`, () => {
        for (const window of [1, 7, 32, 40]) {
          const c = { ...randomCase([[0, 1, 2, 3, 4]], 12, 100, 3), window };
          const result = bits(run(b, kv, c));
          const gone = Math.floor((101 - window) / KV_PAGE) * KV_PAGE * 12;
          const others = { ...c, k: Float32Array.from(c.k), v: Float32Array.from(c.v) };
          others.k.fill(Number.NaN, 0, gone);
          others.v.fill(Number.NaN, 0, gone);
          assert.deepEqual(bits(run(b, kv, others)), result, `window ${window}`);
        }
      });

      it(`${name} gives sinks their share, with a window and without`, () => {
        for (const pos of [0, 30, 60]) {
          const c = randomCase(
            [
              [5, 0, 7, 2],
              [1, 6, 3, 4],
            ],
            16,
            pos,
            5,
            pos,
          );
          const sinks = randomF32(8, pos, -3, 3);
          check(b, kv, { ...c, sinks });
          check(b, kv, { ...c, sinks, window: 9 });
          const strong = { ...c, sinks: new Float32Array(8).fill(1e4) };
          assert.ok(run(b, kv, strong).every((x) => x === 0));
          // One that is far below all scores takes nothing.
          const weak = { ...c, sinks: new Float32Array(8).fill(-1e4) };
          assert.deepEqual(bits(run(b, kv, weak)), bits(run(b, kv, c)));
        }
      });

      it(`${name} of one position is its V`, () => {
        const c = randomCase([[0, 1]], 16, 0, 1);
        const out = run(b, kv, c);
        const tolerance = kv.type === KV_F32 ? 0 : kv.type === KV_F16 ? 2 ** -11 : 1 / 200;
        for (const [i, x] of out.entries()) {
          assert.ok(Math.abs(x - (c.v[i % 16] as number)) <= tolerance);
        }
      });

      it(`${name} weighs equal scores equally`, () => {
        for (const context of [1, 3, 32, 45, 100]) {
          const c = randomCase([[0, 1, 2, 3]], 16, context - 1, 1, context);
          c.k.fill(0.75);
          check(b, kv, c);
        }
      });

      it(`${name} stays exact where scores are large`, () => {
        for (const [sign, favourite] of [
          [1, 0],
          [1, 40],
          [1, 69],
          [-1, 33],
        ] as const) {
          const c = randomCase([[0, 1, 2, 3, 4]], 64, 69, 1);
          // q . k = 10000 at the favourite, 5000 elsewhere (or both negative), before scaling by 1/8.
          c.q.fill(12.5);
          c.k.fill(sign > 0 ? 6.25 : -12.5);
          c.k.fill(sign > 0 ? 12.5 : -6.25, favourite * 64, favourite * 64 + 64);
          check(b, kv, c);
        }
      });

      // f16 has no NaN: kv_store_f16() stores zero.
      if (kv.type !== KV_F16)
        it(`${name} passes NaN on, to the tokens that see it only`, () => {
          for (const field of ["k", "v"] as const) {
            const c = randomCase([[0], [1]], 16, 30, 4);
            c[field][33 * 32 + 16 + 3] = Number.NaN;
            const out = run(b, kv, c);
            const clean = run(b, kv, randomCase([[0], [1]], 16, 30, 4));
            // Token 3 is at position 33; its second head reads the second kv head.
            assert.deepEqual(bits(out).subarray(0, 3 * 32 + 16), bits(clean).subarray(0, 3 * 32 + 16));
            assert.ok(out.subarray(3 * 32 + 16).some(Number.isNaN));
          }
        });

      it(`${name} gives zero where V is zero`, () => {
        const c = randomCase([[0, 1, 2, 3]], 8, 40, 2);
        c.v.fill(0);
        assert.ok(run(b, kv, c).every((x) => x === 0));
      });
    }
  });
}

describe("attention, all variants", () => {
  for (const kv of types) {
    it(`attention() of ${kv.name} gives the same bits in every variant`, () => {
      for (const groups of Object.values(heads)) {
        const c = randomCase(groups, 64, 90, QUERY_TILE);
        f32OnEveryVariant(benches, (b) => run(b, kv, c));
      }
    });
  }
});
