// What an architecture takes to add: one that is written here, besides the registry's, with biases that Llama lacks; and
// each field of a LayerSpec against a forward pass in f64.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../../src/format/detect.ts";
import { llama } from "../../../src/model/arch/families/llama.ts";
import { ggufName } from "../../../src/model/arch/gguf_names.ts";
import type { Architecture, LayerSpec, Role } from "../../../src/model/arch/spec.ts";
import type { Hyper } from "../../../src/model/config.ts";
import { ggufHyper } from "../../../src/model/hyper/gguf_hyper.ts";
import { integer } from "../../../src/model/hyper/values.ts";
import { readModel } from "../../../src/model/read_model.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import type { ReferenceTraits } from "../../reference/llama.ts";
import { meta, type TinyLlamaOptions, type TinyWeight, tinyLlama } from "../../support/gguf_writer.ts";
import { randomF32, workingVariants } from "../../support/kernels.ts";
import { engineOf } from "../../support/models.ts";
import { biasesOf, compare, TOY as config, exact, toy, toyFile } from "../../support/toy.ts";

// ---- The whole file that src/model/arch/ would get; a line in the registry is the other.

const stems: Partial<Record<Role, string>> = {
  "embedding.weight": "embedding",
  "q.weight": "query.matrix",
  "q.bias": "query.shift",
};

interface BiasedHyper extends Hyper {
  /** A number that no other architecture has. */
  readonly brightness: number;
}

/** Llama's block with biases of q, k and v, pairs half a head apart, and keys and names of its own. */
const biased: Architecture<BiasedHyper> = {
  name: "biased",
  hyper(file) {
    const usual = ggufHyper(file, {
      epsilon: "attention.layer_norm_rms_epsilon",
      embedding: "embedding",
      reads: ["brightness"],
    });
    return { ...usual, brightness: integer(file, "biased.brightness", { min: 1, max: 9, fallback: 1 }) };
  },
  layer: (_i, { config, rope }) => ({
    norm: { kind: "rms", eps: config.normEps },
    attention: {
      qkv: "split",
      bias: "required",
      rope: { pairing: "halves", ...rope },
      scale: 1 / Math.sqrt(config.headDim),
    },
    feedForward: { act: "silu", gated: true, gateUp: "split" },
  }),
  outputNorm: ({ config }) => ({ kind: "rms", eps: config.normEps }),
  tensors: (role, layer) =>
    role in stems ? `${role.startsWith("q") ? `${layer}.` : ""}${stems[role]}` : ggufName(role, layer),
  embedScale: ({ brightness }) => brightness,
};

// ----

const qkvBiases = biasesOf({ attn_q: 64, attn_k: 32, attn_v: 32 });

const halves = (dim: number): ReferenceTraits => ({
  rope: () => ({ pairing: "halves", dim, theta: 10000 }),
});

describe("an architecture that is added", () => {
  // The file of tinyLlama() under the names that the architecture has.
  function renamed(options: TinyLlamaOptions) {
    const usual = tinyLlama({ ...options, architecture: "biased", tensors: qkvBiases });
    const tensors: Record<string, Partial<TinyWeight> | undefined> = {};
    for (const [name, { shape, type, values }] of usual.weights) {
      const to = name
        .replace(/^token_embd\.weight$/, "embedding")
        .replace(/^blk\.(\d+)\.attn_q\.weight$/, "$1.query.matrix")
        .replace(/^blk\.(\d+)\.attn_q\.bias$/, "$1.query.shift");
      tensors[name] = undefined;
      tensors[to] = { shape, type, values };
    }
    const metadata = { "biased.brightness": meta("u32", 3) };
    const { file } = tinyLlama({ ...options, architecture: "biased", tensors, metadata });
    return { file, weights: usual.weights };
  }

  it("computes what f64 does, with every kernel build and split of the prompt", async () => {
    const traits = { ...halves(16), embedScale: 3 };
    for (const [type, precision, most] of [
      ["F32", "f32", 1e-9],
      ["Q8_0", "q8", 2e-3],
      ["Q4_0", "q4", 2e-3],
    ] as const) {
      const hashes = new Set<string>();
      for (const kernel of workingVariants()) {
        const options = { precision, kv: "f32", kernel, architectures: [biased] } as const;
        hashes.add(await compare(renamed({ type }), options, traits, most));
      }
      assert.equal(hashes.size, 1);
    }
  });

  it("is not there for others, and its errors name its tensors", async () => {
    const { file } = renamed({});
    await assert.rejects(engineOf(file.bytes), {
      name: "UnsupportedError",
      message: /^Cannot load bytes: Unsupported architecture "biased"; supported: llama, /,
    });
    const without = tinyLlama({ architecture: "biased", tensors: { embedding: { shape: [300, 64] } } });
    await assert.rejects(engineOf(without.file.bytes, { architectures: [biased] }), {
      name: "FormatError",
      message: "Cannot load tensor 0.query.matrix of bytes: Expected shape [64, 64], got none",
    });
  });

  it("reads keys of its own, and no others", async () => {
    const key = (name: string) => ({ architecture: "biased", metadata: { [name]: meta("u32", 7) } });
    const open = async (name: string) =>
      readModel(
        await openModelFile(
          bytesSource(tinyLlama({ ...key(name), tensors: { embedding: { shape: [300, 64] } } }).file.bytes),
        ),
        [llama, biased],
      );
    assert.equal((await open("biased.brightness")).config.architecture, "biased");
    await assert.rejects(open("biased.colour"), {
      name: "UnsupportedError",
      message:
        'Cannot load bytes: Unsupported metadata key "biased.colour": u32 7; supported: files without it',
    });
  });
});

describe("LayerSpec", () => {
  it("bias: those of q, k and v that a file has are added, and those that it lacks are not", async () => {
    const options = {
      ...exact,
      ...toy((spec) => ({ ...spec, attention: { ...spec.attention, bias: "optional" } })),
    };
    const all = await compare(toyFile({ tensors: qkvBiases }), options, {});
    const some = { "blk.1.attn_v.bias": qkvBiases["blk.1.attn_v.bias"] };
    assert.notEqual(await compare(toyFile({ tensors: some }), options, {}), all);
    assert.equal(
      await compare(toyFile(), options, {}),
      await compare(tinyLlama(), exact, {}),
      "none: the bits of Llama",
    );
  });

  it("bias: rows of no whole tile have it too, and nothing behind them", async () => {
    // 18 rows of q and 6 of k and v, 13 of gate and up.
    const shape = { dim: 18, nHeads: 3, nKvHeads: 1, hiddenDim: 13 };
    const tensors = biasesOf({ attn_q: 18, attn_k: 6, attn_v: 6, ffn_gate: 13, ffn_up: 13 });
    const architecture = toy((spec) => ({
      ...spec,
      attention: { ...spec.attention, bias: "required" },
      feedForward: { ...spec.feedForward, bias: "required" },
    }));
    for (const [precision, most] of [
      ["f32", 1e-9],
      ["q8", 5e-3],
    ] as const) {
      const options = { precision, kv: "f32", ...architecture } as const;
      await compare(toyFile({ ...shape, tensors }), options, {}, most, { ...config, nHeads: 3, nKvHeads: 1 });
    }
  });

  it("bias: one that must be there is missed, and one that is not declared is refused", async () => {
    const required = toy((spec) => ({ ...spec, attention: { ...spec.attention, bias: "required" } }));
    await assert.rejects(engineOf(toyFile().file.bytes, required), {
      name: "FormatError",
      message: "Cannot load tensor blk.0.attn_q.bias of bytes: Expected shape [64], got none",
    });
    await assert.rejects(
      engineOf(
        toyFile({ tensors: qkvBiases }).file.bytes,
        toy((spec) => {
          const { bias: _, ...attention } = spec.attention;
          return { ...spec, attention };
        }),
      ),
      {
        name: "UnsupportedError",
        message:
          'Cannot load tensor "blk.0.attn_q.bias" of bytes: Unsupported by architecture toy; leaving it out would change results',
      },
    );
  });

  it("norm: layer, with and without a bias", async () => {
    const norm = { kind: "layer", eps: 1e-5, bias: "optional" } as const;
    const options = { ...exact, ...toy((spec) => ({ ...spec, norm }), { outputNorm: () => norm }) };
    const tensors = {
      ...biasesOf({ attn_norm: 64, ffn_norm: 64 }),
      "output_norm.bias": { shape: [64], values: randomF32(64, 3, -1, 1) },
    };
    const biased = await compare(toyFile({ tensors }), options, { norm: "layer" });
    assert.notEqual(await compare(toyFile(), options, { norm: "layer" }), biased);
  });

  for (const act of ["silu", "gelu", "relu"] as const) {
    for (const gated of [true, false]) {
      it(`feedForward: ${act}, ${gated ? "gated" : "plain"}, with biases`, async () => {
        const feedForward: LayerSpec["feedForward"] = gated
          ? { act, gated, gateUp: "split", bias: "required" }
          : { act, gated, bias: "required" };
        const tensors = {
          ...biasesOf(gated ? { ffn_gate: 96, ffn_up: 96 } : { ffn_up: 96 }),
          ...(gated ? {} : { "blk.0.ffn_gate.weight": undefined, "blk.1.ffn_gate.weight": undefined }),
        };
        const architecture = toy((spec) => ({ ...spec, feedForward }));
        await compare(toyFile({ tensors }), { ...exact, ...architecture }, { act, gated });
        const q8 = { precision: "q8", kv: "f32", ...architecture } as const;
        await compare(toyFile({ tensors, type: "Q8_0" }), q8, { act, gated }, 2e-3);
      });
    }
  }

  it("rope: pairs half apart, a part of the head, another base in each layer, or none", async () => {
    const ropes = [
      { pairing: "halves", dim: 8, theta: 10000 },
      { pairing: "adjacent", dim: 8, theta: 10000 },
      undefined,
      { pairing: "halves", dim: 16, theta: 500000 },
    ] as const;
    const architecture = toy((spec, i) => {
      const { rope: _, ...attention } = spec.attention;
      const rope = ropes[i];
      return { ...spec, attention: rope ? { ...attention, rope: { ...rope, scale: 1 } } : attention };
    });
    const shape = { ...config, nLayers: 4 };
    const file = toyFile({ nLayers: 4 });
    await compare(file, { ...exact, ...architecture }, { rope: (i) => ropes[i] }, 1e-9, shape);
    // Without any there are no angles to compute.
    const none = toy((spec) => ({ ...spec, attention: { qkv: "split", scale: spec.attention.scale } }));
    await compare(toyFile(), { ...exact, ...none }, { rope: () => undefined });
  });

  it("rope: a file may say that a part of the head is rotated, if the architecture does that", async () => {
    const partial: Partial<Architecture> = {
      hyper: (file) =>
        ggufHyper(file, {
          epsilon: "attention.layer_norm_rms_epsilon",
          embedding: "token_embd.weight",
          partialRope: true,
        }),
    };
    const architecture = toy((spec) => spec, partial);
    const dims = (n: number) => toyFile({ metadata: { "toy.rope.dimension_count": meta("u32", n) } });
    const rope = { pairing: "adjacent", dim: 12, theta: 10000 } as const;
    await compare(dims(12), { ...exact, ...architecture }, { rope: () => rope });
    for (const n of [3, 18]) {
      await assert.rejects(engineOf(dims(n).file.bytes, architecture), {
        name: "FormatError",
        message: `Cannot load bytes: Expected rope to rotate an even number of values, at most 16, got ${n}`,
      });
    }
  });

  it("scale: of scores and of embeddings", async () => {
    const architecture = toy((spec) => ({ ...spec, attention: { ...spec.attention, scale: 0.1 } }), {
      embedScale: ({ config }) => Math.sqrt(config.dim),
    });
    await compare(toyFile(), { ...exact, ...architecture }, { scale: 0.1, embedScale: 8 });
  });
});
