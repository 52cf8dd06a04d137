// Fields of a LayerSpec that Llama does not use, each against a forward pass in f64: windows, sinks, biases of outputs,
// clamped units, YaRN, and experts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExpertsSpec, LayerSpec } from "../../../src/model/arch/spec.ts";
import type { ReferenceTraits } from "../../reference/llama.ts";
import { meta, tinyLlama } from "../../support/gguf_writer.ts";
import { nmse, randomF32, workingVariants } from "../../support/kernels.ts";
import { allLogits, engineOf, someIds } from "../../support/models.ts";
import { biasesOf, compare, exact, expertTensors, toy, toyFile } from "../../support/toy.ts";

const attention = (more: Partial<LayerSpec["attention"]>) =>
  toy((spec) => ({ ...spec, attention: { ...spec.attention, ...more } }));

const sinks = Object.fromEntries(
  [0, 1].map((i) => [`blk.${i}.attn_sinks.weight`, { shape: [4], values: randomF32(4, 9 + i, -2, 3) }]),
);

describe("LayerSpec.attention", () => {
  it("window: of any length, over the border of pages, with every kernel build", async () => {
    for (const window of [1, 2, 7, 31, 32, 33, 39, 40, 1000]) {
      const hashes = new Set<string>();
      for (const kernel of window === 7 ? workingVariants() : (["simd"] as const)) {
        const options = { ...exact, kernel, ...attention({ window }) };
        hashes.add(await compare(toyFile(), options, { window: () => window }));
      }
      assert.equal(hashes.size, 1, `${window}`);
    }
  });

  it("window: of some layers, with keys and values of less precision", async () => {
    const some = toy((spec, i) => (i ? spec : { ...spec, attention: { ...spec.attention, window: 5 } }));
    const traits: ReferenceTraits = { window: (layer) => (layer ? undefined : 5) };
    for (const [kv, most] of [
      ["f32", 1e-9],
      ["f16", 1e-5],
      ["q8", 1e-3],
    ] as const) {
      await compare(toyFile(), { precision: "f32", kv, ...some }, traits, most);
    }
  });

  it("window: one as long as the context gives the bits of none", async () => {
    const none = await compare(toyFile(), { ...exact, ...attention({}) }, {});
    assert.equal(await compare(toyFile(), { ...exact, ...attention({ window: 40 }) }, {}), none);
  });

  it("sinks: take their share of the softmax, in full and in windowed layers", async () => {
    const file = toyFile({ tensors: sinks });
    await compare(file, { ...exact, ...attention({ sinks: true }) }, {});
    const windowed = { ...exact, ...attention({ sinks: true, window: 6 }) };
    await compare(file, windowed, { window: () => 6 });
    await compare(file, { ...windowed, kv: "q8" }, { window: () => 6 }, 1e-3);
  });

  it("outputBias and downBias: are added once, also where matrices are quantized", async () => {
    const tensors = biasesOf({ attn_output: 64, ffn_down: 64 });
    const both = toy((spec) => ({
      ...spec,
      attention: { ...spec.attention, outputBias: "required" },
      feedForward: { ...spec.feedForward, downBias: "required" },
    }));
    await compare(toyFile({ tensors }), { ...exact, ...both }, {});
    await compare(toyFile({ tensors, type: "Q8_0" }), { precision: "q8", kv: "f32", ...both }, {}, 2e-3);
  });

  it("sinks: of the wrong length or missing are refused", async () => {
    const options = attention({ sinks: true });
    await assert.rejects(engineOf(toyFile().file.bytes, options), {
      name: "FormatError",
      message: "Cannot load tensor blk.0.attn_sinks.weight of bytes: Expected shape [4], got none",
    });
    const tensors = { ...sinks, "blk.1.attn_sinks.weight": { shape: [5] } };
    await assert.rejects(engineOf(toyFile({ tensors }).file.bytes, options), {
      name: "FormatError",
      message: "Cannot load tensor blk.1.attn_sinks.weight of bytes: Expected shape [4], got [5]",
    });
  });
});

describe("LayerSpec.feedForward", () => {
  it("clamp: holds gate and up, which reach beyond the limit here", async () => {
    const clamp = { limit: 0.5, alpha: 1.702 };
    const feedForward = { act: "silu", gated: true, gateUp: "split", clamp } as const;
    await compare(toyFile(), { ...exact, ...toy((spec) => ({ ...spec, feedForward })) }, { clamp });
  });

  const mixture = (experts: ExpertsSpec, more: Partial<LayerSpec["feedForward"]> = {}) =>
    toy((spec) => ({
      ...spec,
      feedForward: { ...spec.feedForward, ...more, experts } as LayerSpec["feedForward"],
    }));

  for (const gate of ["softmax", "sigmoid", "softmax of chosen"] as const) {
    for (const normalize of [false, true]) {
      it(`experts: ${gate}, ${normalize ? "" : "not "}normalized`, async () => {
        const tensors = expertTensors(6);
        for (const used of [1, 2, 6]) {
          const traits = { used, gate, normalize, scale: 1.5 };
          const options = { ...exact, ...mixture({ n: 6, hiddenDim: 32, ...traits }) };
          await compare(toyFile({ tensors }), options, { experts: traits });
        }
      });
    }
  }

  it("experts: with biases of router and experts, and clamped units", async () => {
    const router = { used: 2, gate: "softmax of chosen", normalize: false } as const;
    const clamp = { limit: 0.5, alpha: 1.702 };
    const more = { clamp, bias: "required", downBias: "required" } as const;
    const options = { ...exact, ...mixture({ n: 5, hiddenDim: 32, ...router, bias: "required" }, more) };
    await compare(toyFile({ tensors: expertTensors(5, { biases: true }) }), options, {
      experts: router,
      clamp,
    });
  });

  it("experts: of odd sizes, one alone, without a gate", async () => {
    const router = { used: 1, gate: "softmax", normalize: false } as const;
    for (const [n, hidden] of [
      [1, 13],
      [3, 70],
    ] as const) {
      const tensors = expertTensors(n, { hidden, biases: true });
      for (const name of Object.keys(tensors)) if (name.includes("gate_exps")) delete tensors[name];
      const feedForward = { act: "gelu", gated: false, bias: "required", downBias: "required" } as const;
      const experts = { n, hiddenDim: hidden, ...router, bias: "required" } as const;
      const options = { ...exact, ...toy((spec) => ({ ...spec, feedForward: { ...feedForward, experts } })) };
      await compare(toyFile({ tensors }), options, { experts: router, act: "gelu", gated: false });
    }
  });

  for (const gate of ["softmax", "sigmoid", "softmax of chosen"] as const) {
    it(`experts: chosen by biased shares, in groups, ${gate}`, async () => {
      const tensors = expertTensors(6, { choice: true });
      for (const groups of [undefined, { n: 3, used: 2 }, { n: 6, used: 4 }]) {
        const router = { used: 3, gate, normalize: true, ...(groups && { groups }) };
        const experts = { n: 6, hiddenDim: 32, ...router, choiceBias: "required" } as const;
        await compare(toyFile({ tensors }), { ...exact, ...mixture(experts) }, { experts: router });
      }
    });
  }

  it("experts: in groups without a bias", async () => {
    const router = { used: 2, gate: "softmax", normalize: false, groups: { n: 2, used: 1 } } as const;
    const options = { ...exact, ...mixture({ n: 6, hiddenDim: 32, ...router }) };
    await compare(toyFile({ tensors: expertTensors(6) }), options, { experts: router });
  });

  it("experts: beside one that works on every token, with and without a gate of its own", async () => {
    const router = { used: 2, gate: "softmax", normalize: true, scale: 0.5 } as const;
    // Longer, shorter, and of no whole block.
    for (const [shared, sharedGate] of [
      [96, true],
      [13, true],
      [70, false],
    ] as const) {
      const tensors = expertTensors(5, { shared, biases: true });
      if (!sharedGate) {
        for (const i of [0, 1]) delete tensors[`blk.${i}.ffn_gate_inp_shexp.weight`];
      }
      const experts = {
        n: 5,
        hiddenDim: 32,
        ...router,
        bias: "required",
        shared: { hiddenDim: shared },
      } as const;
      const more = { bias: "optional", downBias: "optional" } as const;
      const options = { ...exact, ...mixture({ ...experts, sharedGate }, more) };
      await compare(toyFile({ tensors }), options, { experts: router });
    }
  });

  it("experts: gate and up in one tensor, gelu, and layers without experts before", async () => {
    const router = { used: 2, gate: "softmax", normalize: true } as const;
    const tensors = expertTensors(4, { fused: true, dense: 1, biases: true });
    const experts = { n: 4, hiddenDim: 32, ...router, bias: "required", fused: true } as const;
    const options = toy((spec, i) => ({
      ...spec,
      feedForward: {
        ...{ act: "gelu", gated: true, gateUp: "split", bias: "optional", downBias: "optional" },
        ...(i > 0 && { experts }),
      },
    }));
    await compare(toyFile({ tensors }), { ...exact, ...options }, { experts: router, act: "gelu" });
  });

  it("experts: norms behind them, and a factor of what is added", async () => {
    const router = { used: 2, gate: "softmax", normalize: true } as const;
    const experts = { n: 4, hiddenDim: 32, ...router, shared: { hiddenDim: 48 } } as const;
    const tensors = expertTensors(4, { shared: 48 });
    for (const i of [0, 1]) {
      delete tensors[`blk.${i}.ffn_gate_inp_shexp.weight`];
      for (const stem of ["post_attention_norm", "post_ffw_norm"]) {
        tensors[`blk.${i}.${stem}.weight`] = { shape: [64], values: randomF32(64, i, 0.5, 1.5) };
      }
    }
    const logits = async (norms: LayerSpec["norms"], residualScale: number, file = toyFile({ tensors })) => {
      const layers = toy((spec) => ({
        ...spec,
        ...(norms && { norms }),
        residualScale,
        feedForward: { ...spec.feedForward, experts } as LayerSpec["feedForward"],
      }));
      const engine = await engineOf(file.file.bytes, { ...exact, ...layers });
      const rows = await allLogits(engine, someIds(9, 300), [9]);
      engine.retire(new Error("done"));
      return rows.flatMap((row) => [...row]);
    };
    // Shares that are multiplied at the end, and a norm whose weights are.
    const plain = Object.fromEntries(Object.entries(tensors).filter(([name]) => !name.includes("post_")));
    const halved = Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => {
        const values = tensor?.values;
        return [
          name,
          name.includes("post_") && values ? { ...tensor, values: values.map((x) => x / 2) } : tensor,
        ];
      }),
    );
    const none = await logits(undefined, 1, toyFile({ tensors: plain }));
    assert.ok(nmse(await logits(undefined, 0.5, toyFile({ tensors: plain })), none) > 1e-3);
    const both = await logits("both", 0.5);
    assert.ok(nmse(both, none) > 1e-3);
    assert.ok(nmse(await logits("both", 1, toyFile({ tensors: halved })), both) < 1e-12);
  });

  it("experts: quantized, with every kernel build; the router stays exact", async () => {
    const router = { used: 2, gate: "softmax", normalize: true } as const;
    for (const [type, precision] of [
      ["Q8_0", "q8"],
      ["Q4_0", "q4"],
    ] as const) {
      const file = toyFile({ type, tensors: expertTensors(4, { type, hidden: 64 }) });
      const hashes = new Set<string>();
      for (const kernel of workingVariants()) {
        const options = {
          precision,
          kv: "f32",
          kernel,
          ...mixture({ n: 4, hiddenDim: 64, ...router }),
        } as const;
        hashes.add(await compare(file, options, { experts: router }, 5e-3));
      }
      assert.equal(hashes.size, 1);
    }
  });

  it("experts: tensors of other shapes are refused", async () => {
    const options = mixture({ n: 6, hiddenDim: 32, used: 2, gate: "softmax", normalize: true });
    const tensors = expertTensors(6);
    for (const [stem, shape, expected] of [
      ["ffn_gate_inp", [5, 64], "[6, 64]"],
      ["ffn_gate_exps", [5, 32, 64], "[6, 32, 64]"],
      ["ffn_up_exps", [6 * 32, 64], "[6, 32, 64]"],
      ["ffn_down_exps", [6, 32, 64], "[6, 64, 32]"],
    ] as const) {
      const name = `blk.1.${stem}.weight`;
      const file = toyFile({ tensors: { ...tensors, [name]: { shape, type: "F32" } } }).file;
      await assert.rejects(engineOf(file.bytes, options), {
        name: "FormatError",
        message: `Cannot load tensor ${name} of bytes: Expected shape ${expected}, got [${shape.join(", ")}]`,
      });
    }
  });
});

describe("RopeSpec.yarn", () => {
  const keys = (more: Record<string, ReturnType<typeof meta> | undefined>) => ({
    "llama.rope.scaling.type": meta("string", "yarn"),
    "llama.rope.scaling.factor": meta("f32", 8),
    "llama.rope.scaling.original_context_length": meta("u32", 32),
    ...more,
  });
  const yarn = { factor: 8, context: 32 };
  const rope = (more: object) => () =>
    ({ pairing: "adjacent", dim: 16, theta: 10000, yarn: { ...yarn, ...more } }) as const;

  it("scales slow pairs, and grows cosines and sines", async () => {
    await compare(tinyLlama({ metadata: keys({}) }), exact, { rope: rope({}) });
    const more = {
      "llama.rope.scaling.yarn_beta_fast": meta("f32", 4),
      "llama.rope.scaling.yarn_beta_slow": meta("f32", 0.25),
      "llama.rope.scaling.yarn_log_multiplier": meta("f32", 0.5),
    };
    const changed = rope({ fast: 4, slow: 0.25, logMultiplier: 0.5 });
    await compare(tinyLlama({ metadata: keys(more) }), exact, { rope: changed });
    // The model's context if the file does not say what it was.
    const own = keys({ "llama.rope.scaling.original_context_length": undefined });
    await compare(tinyLlama({ metadata: own }), exact, { rope: rope({ context: 128 }) });
  });

  it("refuses keys that are missing, not finite, out of their interval, or not known", async () => {
    const scaling = "llama.rope.scaling";
    const cases: [string, ReturnType<typeof meta> | undefined, string][] = [
      ["factor", undefined, "to be a finite number of at least 1, got none"],
      ["factor", meta("f32", Number.NaN), "to be a finite number of at least 1, got f32 NaN"],
      ["factor", meta("f32", 0.5), "to be a finite number of at least 1, got f32 0.5"],
      ["original_context_length", meta("u32", 0), "to be an integer in [1, 128], got u32 0"],
      ["original_context_length", meta("u32", 129), "to be an integer in [1, 128], got u32 129"],
      ["original_context_length", meta("f32", Number.NaN), "to be an integer in [1, 128], got f32 NaN"],
      [
        "yarn_beta_fast",
        meta("f32", Number.NaN),
        "to be a number in [9.5367431640625e-7, 1048576], got f32 NaN",
      ],
      ["yarn_beta_slow", meta("f32", 0), "to be a number in [9.5367431640625e-7, 1048576], got f32 0"],
      ["yarn_log_multiplier", meta("f32", -1), "to be a number in [0, 100], got f32 -1"],
      ["yarn_ext_factor", meta("f32", 1.5), "to be a number in [-1, 1], got f32 1.5"],
      ["yarn_ext_factor", meta("f32", Number.NaN), "to be a number in [-1, 1], got f32 NaN"],
      ["yarn_attn_factor", meta("f32", 0), "to be a number in [0.0009765625, 1024], got f32 0"],
      ["attn_factor", meta("f32", -1), "to be a number in [0.0009765625, 1024], got f32 -1"],
      ["attn_factor", meta("f32", Number.NaN), "to be a number in [0.0009765625, 1024], got f32 NaN"],
      ["yarn_truncate", meta("u32", 1), "to be true or false, got u32 1"],
    ];
    for (const [key, value, expected] of cases) {
      await assert.rejects(
        engineOf(tinyLlama({ metadata: keys({ [`${scaling}.${key}`]: value }) }).file.bytes),
        {
          name: "FormatError",
          message: `Cannot load bytes: Expected ${scaling}.${key} ${expected}`,
        },
      );
    }
    const base = keys({ "llama.rope.freq_base": meta("f32", 1) });
    await assert.rejects(engineOf(tinyLlama({ metadata: base }).file.bytes), {
      name: "FormatError",
      message: "Cannot load bytes: Expected llama.rope.freq_base to be more than 1 with yarn, got 1",
    });
  });
});
