// Tiny models that differ from Llama in some fields of a LayerSpec, compared with a forward pass in f64.
import assert from "node:assert/strict";
import type { LayoutOptions } from "../../src/engine/layout.ts";
import { llama } from "../../src/model/arch/families/llama.ts";
import type { Architecture, LayerSpec } from "../../src/model/arch/spec.ts";
import { type ReferenceTraits, referenceLogits } from "../reference/llama.ts";
import { type TinyLlamaOptions, type TinyWeight, tinyLlama } from "./gguf_writer.ts";
import { nmse, randomF32 } from "./kernels.ts";
import { allLogits, engineOf, hashLogits, someIds } from "./models.ts";

/** What the reference must know of a tiny Llama. */
export const TOY = { nLayers: 2, nHeads: 4, nKvHeads: 2, ropeTheta: 10000, normEps: 1e-5 };
/** Options for exact results. */
export const exact = { precision: "f32", kv: "f32" } as const;

/** Random biases of tensors of each layer, which have so many values. */
export const biasesOf = (stems: Record<string, number>, nLayers = 2): Record<string, Partial<TinyWeight>> =>
  Object.fromEntries(
    Array.from({ length: nLayers }, (_, layer) =>
      Object.entries(stems).map(([stem, n]) => [
        `blk.${layer}.${stem}.bias`,
        { shape: [n], values: randomF32(n, n + 7 * layer, -1, 1) },
      ]),
    ).flat(),
  );

/** Llama with something changed, under the name "toy". */
export function toy(change: (spec: LayerSpec, i: number) => LayerSpec, more: Partial<Architecture> = {}) {
  const layer: Architecture["layer"] = (i, hyper) => change(llama.layer(i, hyper), i);
  return { architectures: [{ ...llama, name: "toy", layer, ...more }] };
}

/** A tiny Llama under the name "toy". */
export const toyFile = (options: TinyLlamaOptions = {}) => tinyLlama({ architecture: "toy", ...options });

/** Compares an engine's logits with f64, and the bits of several splits of the prompt with each other; their hash. */
export async function compare(
  { file, weights }: Pick<ReturnType<typeof tinyLlama>, "file" | "weights">,
  options: LayoutOptions,
  traits: ReferenceTraits,
  most = 1e-9,
  shape = TOY,
): Promise<string> {
  const ids = someIds(40, 300);
  const engine = await engineOf(file.bytes, options);
  const rows = await allLogits(engine, ids, [17]);
  const expected = referenceLogits(weights, shape, ids, traits);
  const error = nmse(
    rows.flatMap((row) => [...row]),
    expected.flat(),
  );
  assert.ok(error <= most, `NMSE ${error}, at most ${most}`);
  const bits = hashLogits(rows);
  for (const steps of [[1], [64], [3, 8, 1]]) {
    assert.equal(hashLogits(await allLogits(engine, ids, steps)), bits, `steps of ${steps}`);
  }
  engine.retire(new Error("done"));
  return bits;
}

/** Tensors of a tiny Llama that make its feed-forward blocks mixtures of experts, whose matrices are of a type. */
export function expertTensors(
  n: number,
  options: {
    readonly nLayers?: number;
    readonly type?: string;
    readonly hidden?: number;
    readonly biases?: boolean;
    /** Layers before the first with experts. */
    readonly dense?: number;
    /** Length of a row inside the shared expert, which has a gate of its own. */
    readonly shared?: number;
    /** Whether something is added to what experts are chosen by. */
    readonly choice?: boolean;
    /** Whether gate and up are rows of one tensor. */
    readonly fused?: boolean;
  } = {},
): Record<string, Partial<TinyWeight> | undefined> {
  const { nLayers = 2, type = "F32", hidden = 32, biases = false, dense = 0 } = options;
  const { shared, choice, fused } = options;
  const dim = 64;
  const tensors: Record<string, Partial<TinyWeight> | undefined> = {};
  for (let layer = dense; layer < nLayers; layer++) {
    const at = (stem: string) => `blk.${layer}.${stem}`;
    for (const stem of ["ffn_gate", "ffn_up", "ffn_down"]) tensors[at(`${stem}.weight`)] = undefined;
    tensors[at("ffn_gate_inp.weight")] = { shape: [n, dim], type: "F32" };
    if (fused) tensors[at("ffn_gate_up_exps.weight")] = { shape: [n, 2 * hidden, dim], type };
    else {
      tensors[at("ffn_gate_exps.weight")] = { shape: [n, hidden, dim], type };
      tensors[at("ffn_up_exps.weight")] = { shape: [n, hidden, dim], type };
    }
    tensors[at("ffn_down_exps.weight")] = { shape: [n, dim, hidden], type };
    if (choice) {
      tensors[at("exp_probs_b.bias")] = {
        shape: [n],
        type: "F32",
        values: randomF32(n, n + layer, -0.3, 0.3),
      };
    }
    if (shared) {
      tensors[at("ffn_gate_inp_shexp.weight")] = { shape: [dim], type: "F32", values: randomF32(dim, layer) };
      tensors[at("ffn_gate_shexp.weight")] = { shape: [shared, dim], type };
      tensors[at("ffn_up_shexp.weight")] = { shape: [shared, dim], type };
      tensors[at("ffn_down_shexp.weight")] = { shape: [dim, shared], type };
    }
    if (!biases) continue;
    const bias = (stem: string, shape: readonly number[]) => {
      const count = shape.reduce((product, length) => product * length, 1);
      tensors[at(`${stem}.bias`)] = { shape, type: "F32", values: randomF32(count, count + layer, -1, 1) };
    };
    bias("ffn_gate_inp", [n]);
    if (fused) bias("ffn_gate_up_exps", [n, 2 * hidden]);
    else {
      bias("ffn_gate_exps", [n, hidden]);
      bias("ffn_up_exps", [n, hidden]);
    }
    bias("ffn_down_exps", [n, dim]);
  }
  return tensors;
}
