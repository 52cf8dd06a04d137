// Keys and tensors of mixtures of experts: what configurations say of them, and files that contradict themselves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GgufValue, meta, metaArray, type TinyWeight, tinyLlama } from "../../support/gguf_writer.ts";
import { randomF32 } from "../../support/kernels.ts";
import { allLogits, engineOf, hashLogits, someIds } from "../../support/models.ts";
import { exact, expertTensors } from "../../support/toy.ts";

const N = 6;
const u32 = (value: number) => meta("u32", value);

const keys: Record<string, GgufValue | undefined> = {
  expert_count: u32(N),
  expert_used_count: u32(3),
  expert_feed_forward_length: u32(32),
  expert_shared_feed_forward_length: u32(64),
};

type Tensors = Record<string, Partial<TinyWeight> | undefined>;

// Of Qwen 2, whose shared expert has a gate of its own, or of another family.
function tiny(
  more: Record<string, GgufValue | undefined> = {},
  tensors: Tensors = expertTensors(N, { shared: 64 }),
  architecture = "qwen2moe",
) {
  const metadata = Object.fromEntries(
    Object.entries({ ...keys, ...more }).map(([key, value]) => [`${architecture}.${key}`, value]),
  );
  return tinyLlama({ architecture, metadata, tensors }).file;
}

async function configOf(...args: Parameters<typeof tiny>) {
  const engine = await engineOf(tiny(...args).bytes, exact);
  const { config } = engine.layout;
  engine.retire(new Error("done"));
  return config;
}

async function bitsOf(...args: Parameters<typeof tiny>): Promise<string> {
  const engine = await engineOf(tiny(...args).bytes, exact);
  const bits = hashLogits(await allLogits(engine, someIds(5, 300), [5]));
  engine.retire(new Error("done"));
  return bits;
}

describe("the configuration of a mixture of experts", () => {
  it("says what was recognised", async () => {
    const groups = { expert_group_count: u32(3), expert_group_used_count: u32(2) };
    const tensors = expertTensors(N, { shared: 64, dense: 1 });
    const config = await configOf({ ...groups, leading_dense_block_count: u32(1) }, tensors);
    const { nExperts, nExpertsUsed, expertHiddenDim, sharedHiddenDim } = config;
    assert.deepEqual([nExperts, nExpertsUsed, expertHiddenDim, sharedHiddenDim], [N, 3, 32, 64]);
    assert.deepEqual([config.nExpertGroups, config.nExpertGroupsUsed, config.nDenseLayers], [3, 2, 1]);
  });

  it("takes the size of shared experts from a length, from a number, or from dense layers", async () => {
    const shared = "expert_shared_feed_forward_length";
    const counted = { [shared]: undefined, expert_shared_count: u32(2) };
    assert.equal((await configOf(counted)).sharedHiddenDim, 64);
    const both = { [shared]: u32(32), expert_shared_count: u32(2) };
    assert.equal((await configOf(both)).sharedHiddenDim, 64);
    const tensors = expertTensors(N, { shared: 96 });
    assert.equal((await configOf({ [shared]: undefined }, tensors)).sharedHiddenDim, 96);
  });

  it("knows no shared expert of Granite that the file does not speak of", async () => {
    const without = { expert_shared_feed_forward_length: undefined };
    const config = await configOf(without, expertTensors(N), "granitemoe");
    assert.equal(config.sharedHiddenDim, undefined);
    const tensors = expertTensors(N, { shared: 64 });
    for (const i of [0, 1]) delete tensors[`blk.${i}.ffn_gate_inp_shexp.weight`];
    assert.equal((await configOf({}, tensors, "granitemoe")).sharedHiddenDim, 64);
  });

  it("tells shares apart by keys; 0 says nothing", async () => {
    const usual = await bitsOf();
    for (const [key, value] of [
      ["expert_gating_func", u32(2)],
      ["expert_gating_func", u32(3)],
      ["expert_weights_norm", meta("bool", true)],
      ["expert_weights_scale", meta("f32", 2)],
    ] as const) {
      assert.notEqual(await bitsOf({ [key]: value }), usual, key);
    }
    for (const [key, value] of [
      ["expert_gating_func", u32(0)],
      ["expert_gating_func", u32(1)],
      ["expert_weights_norm", meta("bool", false)],
      ["expert_weights_scale", meta("f32", 0)],
      ["expert_weights_scale", meta("f32", 1)],
      ["expert_group_count", u32(1)],
      ["leading_dense_block_count", u32(0)],
    ] as const) {
      assert.equal(await bitsOf({ [key]: value }), usual, key);
    }
  });
});

describe("a mixture of experts that contradicts itself", () => {
  const refusals: [string, Record<string, GgufValue | undefined>, string][] = [
    ["no experts", { expert_count: u32(0) }, "expert_count to be an integer in [1, 65536], got u32 0"],
    ["none used", { expert_used_count: u32(0) }, "expert_used_count to be an integer in [1, 6], got u32 0"],
    [
      "more used than there are",
      { expert_used_count: u32(7) },
      "expert_used_count to be an integer in [1, 6], got u32 7",
    ],
    [
      "counts by layer",
      { expert_count: metaArray("u32", [6, 6]) },
      "expert_count to be an integer in [1, 65536], got an array of u32",
    ],
    [
      "groups that do not divide",
      { expert_group_count: u32(4), expert_group_used_count: u32(2) },
      "expert_group_count to be a divisor of the 6 experts, got 4",
    ],
    [
      "more groups than experts",
      { expert_group_count: u32(7) },
      "expert_group_count to be an integer in [0, 6], got u32 7",
    ],
    [
      "groups of which it does not say how many are used",
      { expert_group_count: u32(3) },
      "expert_group_used_count to be an integer in [2, 3], got none",
    ],
    [
      "used groups with too few experts",
      { expert_group_count: u32(3), expert_group_used_count: u32(1) },
      "expert_group_used_count to be an integer in [2, 3], got u32 1",
    ],
    [
      "more used groups than there are",
      { expert_group_count: u32(3), expert_group_used_count: u32(4) },
      "expert_group_used_count to be an integer in [2, 3], got u32 4",
    ],
    [
      "a shared expert of two sizes",
      { expert_shared_count: u32(3) },
      "expert_shared_feed_forward_length to be 32 or 3 times as much (qwen2moe.expert_shared_count), got 64",
    ],
    [
      "more shared experts than can be",
      { expert_shared_count: u32(2 ** 31) },
      "expert_shared_count to be an integer in [0, 32768], got u32 2147483648",
    ],
    [
      "only dense layers",
      { leading_dense_block_count: u32(2) },
      "leading_dense_block_count to be an integer in [0, 1], got u32 2",
    ],
    [
      "a factor that is negative",
      { expert_weights_scale: meta("f32", -1) },
      "expert_weights_scale to be a number in [0, 1000000000], got f32 -1",
    ],
    [
      "a factor that is not finite",
      { expert_weights_scale: meta("f32", Number.NaN) },
      "expert_weights_scale to be a number in [0, 1000000000], got f32 NaN",
    ],
    [
      "shares that are neither normalized nor not",
      { expert_weights_norm: u32(1) },
      "expert_weights_norm to be a bool, got u32 1",
    ],
  ];
  for (const [title, change, expected] of refusals) {
    it(`is refused: ${title}`, async () => {
      await assert.rejects(engineOf(tiny(change).bytes), {
        name: "FormatError",
        message: `Cannot load bytes: Expected qwen2moe.${expected}`,
      });
    });
  }

  it("is refused: a router function that nobody knows", async () => {
    await assert.rejects(engineOf(tiny({ expert_gating_func: u32(4) }).bytes), {
      name: "UnsupportedError",
      message:
        "Cannot load bytes: Unsupported qwen2moe.expert_gating_func 4; supported: 1 (softmax), 2 (sigmoid), 3 (softmax of those that are chosen)",
    });
  });

  it("is refused: shared experts of an architecture that has none", async () => {
    const file = tiny({}, expertTensors(N), "qwen3moe");
    await assert.rejects(engineOf(file.bytes), {
      name: "UnsupportedError",
      message:
        'Cannot load bytes: Unsupported metadata key "qwen3moe.expert_shared_feed_forward_length": u32 64; supported: 0',
    });
  });

  const shapes: [string, readonly number[] | undefined, string][] = [
    ["exp_probs_b.bias", [5], "[6], got [5]"],
    ["ffn_gate_inp_shexp.weight", [1, 64], "[64], got [1, 64]"],
    ["ffn_gate_inp_shexp.weight", undefined, "[64], got none"],
    ["ffn_up_shexp.weight", [32, 64], "[64, 64], got [32, 64]"],
    ["ffn_down_shexp.weight", [64, 32], "[64, 64], got [64, 32]"],
    ["ffn_gate_exps.weight", [6, 64, 32], "[6, 32, 64], got [6, 64, 32]"],
    ["ffn_down_exps.weight", [6 * 64, 32], "[6, 64, 32], got [384, 32]"],
    ["ffn_up_exps.weight", [3, 32, 64], "[6, 32, 64], got [3, 32, 64]"],
  ];
  for (const [stem, shape, expected] of shapes) {
    it(`is refused: ${stem} of shape ${shape}`, async () => {
      const name = `blk.1.${stem}`;
      const tensors = { ...expertTensors(N, { shared: 64 }), [name]: shape && { shape, type: "F32" } };
      await assert.rejects(engineOf(tiny({}, tensors).bytes), {
        name: "FormatError",
        message: `Cannot load tensor ${name} of bytes: Expected shape ${expected}`,
      });
    });
  }

  it("is refused: layers of which some have gate and up in one tensor", async () => {
    const tensors = {
      ...expertTensors(N, { shared: 64, fused: true }),
      "blk.1.ffn_gate_up_exps.weight": undefined,
      "blk.1.ffn_gate_exps.weight": { shape: [N, 32, 64], type: "F32" },
    };
    await assert.rejects(engineOf(tiny({}, tensors).bytes), {
      name: "FormatError",
      message:
        "Cannot load tensor blk.1.ffn_gate_up_exps.weight of bytes: Expected shape [6, 64, 64], got none",
    });
    const wrong = { ...expertTensors(N, { shared: 64, fused: true }) };
    wrong["blk.0.ffn_gate_up_exps.weight"] = { shape: [N, 32, 64], type: "F32" };
    await assert.rejects(engineOf(tiny({}, wrong).bytes), {
      name: "FormatError",
      message:
        "Cannot load tensor blk.0.ffn_gate_up_exps.weight of bytes: Expected shape [6, 64, 64], got [6, 32, 64]",
    });
  });

  it("is refused: values of a choice that are not finite", async () => {
    const values = randomF32(N, 1);
    values[2] = Number.NaN;
    const name = "blk.1.exp_probs_b.bias";
    const tensors = { ...expertTensors(N, { shared: 64 }), [name]: { shape: [N], type: "F32", values } };
    await assert.rejects(engineOf(tiny({}, tensors).bytes), {
      name: "FormatError",
      message: /^Cannot load tensor blk\.1\.exp_probs_b\.bias of type F32 of bytes: Expected finite values/,
    });
  });
});
