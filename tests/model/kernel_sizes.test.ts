// Sizes that the host computes are those that the kernels know.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KV_F16, KV_F32, KV_Q8 } from "../../assembly/layout/blocks.ts";
import { attentionScratchBytes, kvHeadBytes } from "../../src/model/kernel_sizes.ts";
import { KernelBench } from "../support/kernels.ts";

describe("kernel sizes", () => {
  it("kvHeadBytes() and attentionScratchBytes() are what the kernels say, for every head", async () => {
    const { kernels } = await KernelBench.create("simd", 65536);
    for (let headDim = 2; headDim <= 512; headDim += 2) {
      for (const type of [KV_F32, KV_F16, KV_Q8]) {
        assert.equal(kvHeadBytes(type, headDim), kernels.kv_head_bytes(type, headDim), `${type} ${headDim}`);
      }
      for (const nHeads of [1, 2, 3, 7, 8, 71, 128]) {
        const expected = kernels.attention_scratch_bytes(headDim, nHeads) >>> 0;
        assert.equal(attentionScratchBytes(headDim, nHeads), expected, `${nHeads} x ${headDim}`);
      }
    }
  });
});
