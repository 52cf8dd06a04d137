// gpt-oss: a small one against f64, files that contradict themselves, and native llama.cpp's numbers if they are there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Llama } from "../../../src/mod.ts";
import type { ReferenceTraits } from "../../reference/llama.ts";
import { type GgufValue, meta, metaArray, type TinyWeight } from "../../support/gguf_writer.ts";
import { randomF32 } from "../../support/kernels.ts";
import { engineOf } from "../../support/models.ts";
import { itShared, sharedPath } from "../../support/shared.ts";
import { N_EXPERTS, tinyGptOss, WINDOW } from "../../support/tiny_gpt_oss.ts";
import { compare, exact, expertTensors } from "../../support/toy.ts";

const N = N_EXPERTS;

const tiny = (
  metadata: Record<string, GgufValue | undefined> = {},
  tensors: Record<string, Partial<TinyWeight> | undefined> = {},
) => tinyGptOss({ metadata, tensors });

const traits: ReferenceTraits = {
  window: (layer) => (layer % 2 ? undefined : WINDOW),
  rope: () => ({ pairing: "halves", dim: 16, theta: 10000, yarn: { factor: 8, context: 32 } }),
  experts: { used: 2, gate: "softmax of chosen", normalize: false },
  clamp: { limit: 7, alpha: 1.702 },
};

/** The reference knows the norm before the experts by Llama's name. */
function underLlamasNames(weights: ReturnType<typeof tiny>["weights"]) {
  const names = [...weights].map(
    ([name, weight]) => [name.replace("post_attention_norm", "ffn_norm"), weight] as const,
  );
  return new Map(names);
}

describe("gpt-oss", () => {
  it("computes what f64 does, however a prompt is split", async () => {
    const { file, weights } = tiny();
    await compare({ file, weights: underLlamasNames(weights) }, exact, traits);
    const quantized = tiny({}, expertTensors(N, { biases: true, type: "Q8_0" }));
    const q8 = { precision: "q8", kv: "f16" } as const;
    await compare({ file: quantized.file, weights: underLlamasNames(quantized.weights) }, q8, traits, 5e-3);
  });

  it("says in its configuration what was recognised", async () => {
    const engine = await engineOf(tiny().file.bytes, exact);
    const { nExperts, nExpertsUsed, expertHiddenDim, window, ropeScale, yarnContext } = engine.layout.config;
    const found = { nExperts, nExpertsUsed, expertHiddenDim, window, ropeScale, yarnContext };
    assert.deepEqual(found, {
      nExperts: N,
      nExpertsUsed: 2,
      expertHiddenDim: 32,
      window: 7,
      ropeScale: 8,
      yarnContext: 32,
    });
    engine.retire(new Error("done"));
  });

  const refusals: [string, Record<string, GgufValue | undefined>, string][] = [
    [
      "no experts",
      { expert_count: meta("u32", 0) },
      "expert_count to be an integer in [1, 65536], got u32 0",
    ],
    ["experts missing", { expert_count: undefined }, "expert_count to be an integer in [1, 65536], got none"],
    [
      "none used",
      { expert_used_count: meta("u32", 0) },
      "expert_used_count to be an integer in [1, 6], got u32 0",
    ],
    [
      "more used than there are",
      { expert_used_count: meta("u32", 7) },
      "expert_used_count to be an integer in [1, 6], got u32 7",
    ],
    [
      "used missing",
      { expert_used_count: undefined },
      "expert_used_count to be an integer in [1, 6], got none",
    ],
    [
      "empty experts",
      { expert_feed_forward_length: meta("u32", 0) },
      "expert_feed_forward_length to be an integer in [1, 1048576], got u32 0",
    ],
    [
      "an empty window",
      { "attention.sliding_window": meta("u32", 0) },
      "attention.sliding_window to be an integer in [1, 2147483647], got u32 0",
    ],
    [
      "no window",
      { "attention.sliding_window": undefined },
      "attention.sliding_window to be an integer in [1, 2147483647], got none",
    ],
    [
      "windows by layer",
      { "attention.sliding_window": metaArray("u32", [7, 7]) },
      "attention.sliding_window to be an integer in [1, 2147483647], got an array of u32",
    ],
    [
      "a window that is not finite",
      { "attention.sliding_window": meta("f32", Number.NaN) },
      "attention.sliding_window to be an integer in [1, 2147483647], got f32 NaN",
    ],
    [
      "no factor",
      { "rope.scaling.factor": undefined },
      "rope.scaling.factor to be a finite number of at least 1, got none",
    ],
  ];
  for (const [title, change, expected] of refusals) {
    it(`refuses ${title}`, async () => {
      const changed = Object.fromEntries(
        Object.entries(change).map(([key, value]) => [`gpt-oss.${key}`, value]),
      );
      await assert.rejects(engineOf(tiny(changed).file.bytes), {
        name: "FormatError",
        message: `Cannot load bytes: Expected gpt-oss.${expected}`,
      });
    });
  }

  it("refuses tensors that are missing or of other shapes", async () => {
    const cases: [string, readonly number[] | undefined, string][] = [
      ["attn_sinks.weight", [3], "Expected shape [4], got [3]"],
      ["attn_output.bias", undefined, "Expected shape [64], got none"],
      ["ffn_gate_inp.weight", [5, 64], "Expected shape [6, 64], got [5, 64]"],
      ["ffn_gate_inp.bias", [5], "Expected shape [6], got [5]"],
      ["ffn_gate_exps.weight", [6 * 32, 64], "Expected shape [6, 32, 64], got [192, 64]"],
      ["ffn_down_exps.weight", [6, 32, 64], "Expected shape [6, 64, 32], got [6, 32, 64]"],
      ["ffn_up_exps.bias", [6 * 32], "Expected shape [6, 32], got [192]"],
      ["post_attention_norm.weight", undefined, "Expected shape [64], got none"],
    ];
    for (const [stem, shape, expected] of cases) {
      const name = `blk.1.${stem}`;
      const { file } = tiny({}, { [name]: shape && { shape, type: "F32" } });
      await assert.rejects(engineOf(file.bytes), {
        name: "FormatError",
        message: `Cannot load tensor ${name} of bytes: ${expected}`,
      });
    }
    await assert.rejects(engineOf(tiny({}, { "blk.0.ffn_gate.weight": { shape: [96, 64] } }).file.bytes), {
      name: "UnsupportedError",
      message: /^Cannot load tensor "blk\.0\.ffn_gate\.weight" of bytes: Unsupported by architecture gpt-oss/,
    });
  });

  it("refuses experts with values that are not finite, and names the row of the tensor", async () => {
    const values = randomF32(N * 32 * 64, 1);
    values[(3 * 32 + 5) * 64 + 2] = Number.NaN;
    const { file } = tiny({}, { "blk.1.ffn_up_exps.weight": { shape: [N, 32, 64], type: "F32", values } });
    await assert.rejects(engineOf(file.bytes), {
      name: "FormatError",
      message:
        /^Cannot load tensor blk\.1\.ffn_up_exps\.weight of type F32 of bytes: Expected finite values in row 101, got /,
    });
  });
});

describe("models of native llama.cpp", () => {
  interface Line {
    readonly file: string;
    readonly ids: number[];
    readonly limit: number;
    readonly top: Record<string, [number, number][]>;
  }

  for (const name of ["gpt-oss.gguf", "llama-moe.gguf", "llama-yarn.gguf"]) {
    itShared(
      [`models/micro/${name}`, "models/micro/native.jsonl"],
      `${name} has their probabilities`,
      async () => {
        const lines = readFileSync(sharedPath("models/micro/native.jsonl"), "utf8").trim().split("\n");
        const { ids, limit, top } = lines
          .map((line) => JSON.parse(line) as Line)
          .find(({ file }) => file === name) as Line;
        const llama = await Llama.load(sharedPath(`models/micro/${name}`), exact);
        for (const [position, row] of Object.entries(top)) {
          const logits = await llama.logits(ids.slice(0, Number(position) + 1));
          const most = Math.max(...logits);
          const sum = logits.reduce((all, x) => all + Math.exp(x - most), 0);
          for (const [id, expected] of row) {
            const difference = Math.abs((logits[id] as number) - most - Math.log(sum) - expected);
            assert.ok(difference <= limit, `position ${position}, id ${id}: ${difference}`);
          }
        }
        await llama.dispose();
      },
    );
  }
});
