// What blocked attention is measured against computes the same.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_F32, KV_PAGE } from "../../assembly/layout/blocks.ts";
import { QUERY_TILE } from "../../assembly/layout/control.ts";
import { storedAttention } from "../../bench/claims/stored_scores.ts";
import { attentionRecord, queryTile } from "../support/attention_record.ts";
import { KernelBench } from "../support/kernels.ts";

const HEAD_DIM = 64;
const SCALE = 0.125;

// Both results for `tokens` queries of `nHeads` heads behind `pos` positions, and the bytes both asked for.
async function both(nHeads: number, tokens: number, pos: number) {
  const bench = await KernelBench.create("simd");
  const { kernels } = bench;
  const stored = storedAttention(bench.memory);
  const positions = pos + tokens;
  const nPages = Math.ceil(positions / KV_PAGE);
  const headBytes = kernels.kv_head_bytes(KV_F32, HEAD_DIM);
  const cache = bench.alloc(headBytes * nPages);
  const pages = bench.alloc(4 * nPages);
  const values = bench.alloc(8 * HEAD_DIM);
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  for (let p = 0; p < nPages; p++) bench.i32(pages, nPages)[p] = cache + p * headBytes;
  for (let p = 0; p < positions; p++) {
    const kv = bench.f32(values, 2 * HEAD_DIM);
    for (let i = 0; i < kv.length; i++) kv[i] = random();
    const page = cache + Math.floor(p / KV_PAGE) * headBytes;
    kernels.kv_store_f32(values, values + 4 * HEAD_DIM, page, p % KV_PAGE, HEAD_DIM);
  }
  const n = tokens * nHeads * HEAD_DIM;
  const stride = 4 * nHeads * HEAD_DIM;
  const q = bench.alloc(4 * n);
  for (let i = 0; i < n; i++) bench.f32(q, n)[i] = 4 * random();
  const heads = bench.alloc(4 * nHeads);
  for (let h = 0; h < nHeads; h++) bench.i32(heads, nHeads)[h] = h;
  const expected = bench.alloc(4 * n);
  const actual = bench.alloc(4 * n);
  const blocked = bench.alloc(kernels.attention_scratch_bytes(HEAD_DIM, nHeads));
  const scratch = bench.alloc(stored.stored_scratch_bytes(HEAD_DIM, nHeads, tokens, positions));
  const groups = bench.put(Int32Array.of(0, nHeads));
  const recordOf = (out: number) =>
    bench.put(
      attentionRecord({
        q,
        qStride: stride,
        out,
        outStride: stride,
        heads,
        groups,
        type: KV_F32,
        layer: 0,
        headBytes,
        headDim: HEAD_DIM,
        scale: SCALE,
      }),
    );
  const tileOf = (firstToken: number, some: number) =>
    bench.put(queryTile({ firstToken, tokens: some, position: pos + firstToken, pageTable: pages }));
  const record = recordOf(expected);
  for (let t = 0; t < tokens; t += QUERY_TILE) {
    kernels.attention(record, tileOf(t, Math.min(QUERY_TILE, tokens - t)), 0, blocked);
  }
  stored.attention_stored_f32(recordOf(actual), tileOf(0, tokens), 0, scratch);
  bench.checkGuards();
  return { expected: bench.f32(expected, n), actual: bench.f32(actual, n) };
}

describe("attention_stored_f32()", () => {
  it("gives what blocked attention gives, within the rounding of sums", async () => {
    for (const [nHeads, tokens, pos] of [
      [1, 1, 0],
      [1, 70, 0],
      [3, 5, 30],
      [8, 1, 99],
      [4, 17, 40],
    ] as const) {
      const { expected, actual } = await both(nHeads, tokens, pos);
      for (let i = 0; i < expected.length; i++) {
        const difference = Math.abs((actual[i] as number) - (expected[i] as number));
        assert.ok(difference < 1e-5, `${nHeads} heads, ${tokens} tokens behind ${pos}: [${i}] ${difference}`);
      }
    }
  });
});
