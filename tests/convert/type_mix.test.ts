// Which tensor gets which type: mixes of llama.cpp's quantizer, by what it wrote.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileKinds, type QuantizeType } from "../../src/convert/file_kinds.ts";
import { inFileOrder, mixTypes } from "../../src/convert/type_mix.ts";
import { openModelFile } from "../../src/format/detect.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { itShared, sharedBytes } from "../support/shared.ts";

/** A model of `nLayers` layers, 256 wide. */
function names(nLayers: number): string[] {
  const parts = ["attn_k", "attn_norm", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"];
  const layers = Array.from({ length: nLayers }, (_, i) => parts.map((part) => `blk.${i}.${part}.weight`));
  return ["output.weight", "output_norm.weight", "token_embd.weight", ...layers.flat()];
}

function mixed(type: QuantizeType, nLayers: number, model: object = {}): Map<string, string> {
  const tensors = names(nLayers).map((name) => ({
    name,
    type: "F32",
    shape: name.includes("norm") ? [256] : [256, 256],
  }));
  const types = mixTypes(tensors, type, fileKinds[type], {
    ...{ architecture: "llama", nLayers, nHeads: 8, nKvHeads: 2, nExperts: 0 },
    ...model,
  });
  return new Map(tensors.map(({ name }, i) => [name, types[i] as string]));
}

/** Layers whose tensor has a type. */
function layersWith(types: Map<string, string>, part: string, type: string): number[] {
  return [...types]
    .filter(([name, got]) => name.includes(`.${part}.`) && got === type)
    .map(([name]) => Number(name.split(".")[1]));
}

describe("mixTypes()", () => {
  it("gives more bits to values and down projections of the first and last eighth and every third layer", () => {
    for (const [type, usual] of [
      ["Q4_K_M", "Q4_K"],
      ["Q5_K_M", "Q5_K"],
    ] as const) {
      const types = mixed(type, 32);
      const expected = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31];
      assert.deepEqual(layersWith(types, "attn_v", "Q6_K"), expected);
      assert.deepEqual(layersWith(types, "ffn_down", "Q6_K"), expected);
      assert.equal(layersWith(types, "ffn_up", usual).length, 32);
    }
  });

  it("gives Q5_K to the first ones in Q4_K_S, and to values of shared heads in IQ4_NL", () => {
    const small = mixed("Q4_K_S", 32);
    assert.deepEqual(layersWith(small, "attn_v", "Q5_K"), [0, 1, 2, 3]);
    assert.deepEqual(layersWith(small, "ffn_down", "Q5_K"), [0, 1, 2, 3]);
    assert.equal(layersWith(mixed("IQ4_NL", 8), "attn_v", "Q5_K").length, 8);
    assert.equal(layersWith(mixed("IQ4_NL", 8, { nKvHeads: 8 }), "attn_v", "Q5_K").length, 0);
    assert.deepEqual(layersWith(mixed("IQ4_NL", 8), "ffn_down", "Q5_K"), [0]);
  });

  it("knows models of 80 layers, of 8 experts, and falcon", () => {
    assert.equal(layersWith(mixed("Q4_K_M", 80), "attn_v", "Q4_K").length, 0);
    const experts = mixed("Q4_K_M", 8, { nExperts: 8 });
    assert.equal(layersWith(experts, "attn_v", "Q8_0").length, 8);
    assert.equal(layersWith(experts, "attn_k", "Q8_0").length, 8);
    assert.equal(layersWith(experts, "attn_output", "Q5_K").length, 8);
    const falcon = mixed("Q4_K_M", 16, { architecture: "falcon" });
    assert.equal(falcon.get("output.weight"), "Q8_0");
    assert.deepEqual(layersWith(falcon, "ffn_down", "Q6_K"), [0]);
    assert.deepEqual(layersWith(falcon, "ffn_down", "Q5_K"), [1, 4, 7, 10, 13, 14, 15]);
  });

  const kinds: readonly QuantizeType[] = [
    ...(["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] as const),
    ...(["Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL"] as const),
  ];
  for (const type of kinds) {
    const name = `models/micro/quant/llama-${type.toLowerCase()}.gguf`;
    itShared([name], `gives what llama.cpp's file has: ${type}`, async () => {
      const file = await openModelFile(bytesSource(sharedBytes(name)));
      const tensors = inFileOrder(file.tensors.values());
      assert.deepEqual(
        [...file.tensors.keys()],
        tensors.map(({ name }) => name),
        "the order",
      );
      const originals = tensors.map((tensor) => ({ ...tensor, type: "F32" }));
      const model = { architecture: "llama", nLayers: 1, nHeads: 4, nKvHeads: 1, nExperts: 0 };
      assert.deepEqual(
        mixTypes(originals, type, fileKinds[type], model),
        tensors.map(({ type }) => type),
      );
    });
  }
});

describe("inFileOrder()", () => {
  it("sorts by layer, then by name", () => {
    const given = ["blk.10.b", "token_embd.weight", "blk.2.z", "blk.2.a", "output.weight"];
    const sorted = inFileOrder(given.map((name) => ({ name }))).map(({ name }) => name);
    assert.deepEqual(sorted, ["output.weight", "token_embd.weight", "blk.2.a", "blk.2.z", "blk.10.b"]);
  });
});
