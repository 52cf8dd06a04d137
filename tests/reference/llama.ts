// A whole forward pass in f64, one position at a time, without a cache: what the engine computes, written as plainly
// as can be. Of Llama, and of models that differ from it in what `traits` say or in having biases.
import { clampedGlu, picksOf, type RouterTraits } from "./experts.ts";
import { gelu, relu, sigmoid, silu } from "./math.ts";
import { layernorm, rmsnorm } from "./norm.ts";
import { type ReferenceYarn, ropeAdjacent, ropeFreqs, ropeHalves, yarnFreqs } from "./rope.ts";

interface Weight {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

export interface ReferenceConfig {
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly ropeTheta: number;
  readonly normEps: number;
}

/** What can differ from Llama. */
export interface ReferenceTraits {
  readonly norm?: "rms" | "layer";
  /** The rotation of a layer; undefined: none. Default: all of a head, in adjacent pairs. */
  readonly rope?: (layer: number) => ReferenceRope | undefined;
  readonly act?: "silu" | "gelu" | "relu";
  readonly gated?: boolean;
  readonly embedScale?: number;
  /** What scores are multiplied by. Default 1 / sqrt(headDim). */
  readonly scale?: number;
  /** Positions that a position of a layer sees, its own and those before it. Default: all. */
  readonly window?: (layer: number) => number | undefined;
  /** Experts instead of one feed-forward block. */
  readonly experts?: RouterTraits;
  /** Clamped SwiGLU. */
  readonly clamp?: { readonly limit: number; readonly alpha: number };
}

export interface ReferenceRope {
  readonly pairing: "adjacent" | "halves";
  readonly dim: number;
  readonly theta: number;
  readonly yarn?: ReferenceYarn;
  /** By what pairs turn a position, instead of theta's powers. */
  readonly freqs?: ArrayLike<number>;
  /** What cosines and sines are multiplied by. */
  readonly growth?: number;
}

type Weights = ReadonlyMap<string, Weight>;

function get(weights: Weights, name: string): Weight {
  const weight = weights.get(name);
  if (!weight) throw new Error(`reference model: no tensor ${name}`);
  return weight;
}

// W (rows, cols) @ x (cols) + bias (rows) -> (rows)
function matvec({ shape, values }: Weight, x: readonly number[], bias?: Weight): number[] {
  const [rows, cols] = shape as [number, number];
  return Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += (values[r * cols + c] as number) * (x[c] as number);
    return sum + (bias?.values[r] ?? 0);
  });
}

// The first `dim` values of each head, rotated; the others as they are.
function rotate(x: number[], headDim: number, pos: number, rope: ReferenceRope | undefined): number[] {
  if (!rope) return x;
  const scaled = rope.yarn && yarnFreqs(rope.theta, rope.dim, rope.yarn);
  const freqs = rope.freqs ?? scaled?.freqs ?? ropeFreqs(rope.theta, rope.dim);
  const growth = (scaled?.growth ?? 1) * (rope.growth ?? 1);
  const turn = rope.pairing === "adjacent" ? ropeAdjacent : ropeHalves;
  const out: number[] = [];
  for (let head = 0; head < x.length; head += headDim) {
    out.push(
      ...turn(x.slice(head, head + rope.dim), freqs, pos).map((value) => value * growth),
      ...x.slice(head + rope.dim, head + headDim),
    );
  }
  return out;
}

// The softmax of scores, and of one more that has no value.
function softmax(scores: readonly number[], sink = Number.NEGATIVE_INFINITY): number[] {
  const top = Math.max(sink, ...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const sum = weights.reduce((a, b) => a + b, Math.exp(sink - top));
  return weights.map((w) => w / sum);
}

// Rows [first, first + n) of a matrix or of a bias: what expert `i` of `of` has of the tensor of all.
function partOf(weight: Weight, i: number): Weight {
  const shape = weight.shape.slice(1);
  const n = shape.reduce((product, dim) => product * dim, 1);
  return { shape, values: Array.from({ length: n }, (_, at) => weight.values[i * n + at] as number) };
}

/** Logits after every id. */
export function referenceLogits(
  weights: Weights,
  config: ReferenceConfig,
  ids: readonly number[],
  traits: ReferenceTraits = {},
): number[][] {
  const embedding = get(weights, "token_embd.weight");
  const dim = embedding.shape[1] as number;
  const headDim = dim / config.nHeads;
  const kvMul = config.nHeads / config.nKvHeads;
  const scale = traits.scale ?? 1 / Math.sqrt(headDim);
  const norm = (x: readonly number[], stem: string): number[] => {
    const { values } = get(weights, `${stem}.weight`);
    if (traits.norm !== "layer") return [...rmsnorm(x, values, config.normEps)];
    const bias = weights.get(`${stem}.bias`)?.values ?? new Float64Array(x.length);
    return [...layernorm(x, values, bias, config.normEps)];
  };
  let states = ids.map((id) =>
    Array.from(
      { length: dim },
      (_, c) => (embedding.values[id * dim + c] as number) * (traits.embedScale ?? 1),
    ),
  );
  for (let layer = 0; layer < config.nLayers; layer++) {
    const product = (stem: string, x: readonly number[]) =>
      matvec(get(weights, `blk.${layer}.${stem}.weight`), x, weights.get(`blk.${layer}.${stem}.bias`));
    const usual: ReferenceRope = { pairing: "adjacent", dim: headDim, theta: config.ropeTheta };
    const rope = traits.rope ? traits.rope(layer) : usual;
    const norms = states.map((x) => norm(x, `blk.${layer}.attn_norm`));
    const q = norms.map((a, pos) => rotate(product("attn_q", a), headDim, pos, rope));
    const k = norms.map((a, pos) => rotate(product("attn_k", a), headDim, pos, rope));
    const v = norms.map((a) => product("attn_v", a));
    states = states.map((x, pos) => {
      const heads: number[] = [];
      for (let h = 0; h < config.nHeads; h++) {
        const kv = Math.floor(h / kvMul) * headDim;
        const scores = k.slice(0, pos + 1).map((key) => {
          let dot = 0;
          for (let d = 0; d < headDim; d++) {
            dot += (q[pos]?.[h * headDim + d] as number) * (key[kv + d] as number);
          }
          return dot * scale;
        });
        const begin = Math.max(0, pos + 1 - (traits.window?.(layer) ?? Number.POSITIVE_INFINITY));
        const p = softmax(scores.slice(begin), weights.get(`blk.${layer}.attn_sinks.weight`)?.values[h]);
        for (let d = 0; d < headDim; d++) {
          heads.push(p.reduce((sum, weight, i) => sum + weight * (v[begin + i]?.[kv + d] as number), 0));
        }
      }
      const attended = product("attn_output", heads).map((y, i) => y + (x[i] as number));
      const a = norm(attended, `blk.${layer}.ffn_norm`);
      // The first layers of a model may have no experts.
      const block = weights.has(`blk.${layer}.ffn_gate_inp.weight`)
        ? mixture(a, traits, (name) => weights.get(`blk.${layer}.${name}`))
        : feedForward(a, traits, product);
      return block.map((y, i) => y + (attended[i] as number));
    });
  }
  const output = weights.get("output.weight") ?? embedding;
  return states.map((x) => matvec(output, norm(x, "output_norm")));
}

type Product = (stem: string, x: readonly number[]) => number[];

function feedForward(x: readonly number[], traits: ReferenceTraits, product: Product): number[] {
  const act = { silu, gelu, relu }[traits.act ?? "silu"];
  const up = product("ffn_up", x);
  const gate = traits.gated === false ? undefined : product("ffn_gate", x);
  const { clamp } = traits;
  const glu = (g: number, u: number) => (clamp ? clampedGlu(g, u, clamp.limit, clamp.alpha) : act(g) * u);
  const hidden = gate ? gate.map((g, i) => glu(g, up[i] as number)) : up.map(act);
  return product("ffn_down", hidden);
}

function mixture(
  x: readonly number[],
  traits: ReferenceTraits,
  find: (name: string) => Weight | undefined,
): number[] {
  const product = (stem: string, input: readonly number[]) =>
    matvec(find(`${stem}.weight`) as Weight, input, find(`${stem}.bias`));
  // Gate and up of an expert may be rows of one tensor.
  const both = find("ffn_gate_up_exps.weight");
  const ofExpert = (e: number) => (stem: string, input: readonly number[]) => {
    if (both && stem !== "ffn_down") {
      const biases = find("ffn_gate_up_exps.bias");
      const rows = matvec(partOf(both, e), input, biases && partOf(biases, e));
      return stem === "ffn_gate" ? rows.slice(0, rows.length / 2) : rows.slice(rows.length / 2);
    }
    const bias = find(`${stem}_exps.bias`);
    return matvec(partOf(find(`${stem}_exps.weight`) as Weight, e), input, bias && partOf(bias, e));
  };
  const out = x.map(() => 0);
  const add = (y: readonly number[], share: number) =>
    y.forEach((value, i) => {
      out[i] = (out[i] as number) + share * value;
    });
  const picks = picksOf(
    product("ffn_gate_inp", x),
    traits.experts as RouterTraits,
    find("exp_probs_b.bias")?.values,
  );
  for (const { expert, share } of picks) add(feedForward(x, traits, ofExpert(expert)), share);
  if (find("ffn_up_shexp.weight")) {
    const gate = find("ffn_gate_inp_shexp.weight")?.values;
    const share = gate ? sigmoid(x.reduce((sum, value, i) => sum + value * (gate[i] as number), 0)) : 1;
    add(
      feedForward(x, traits, (stem, input) => product(`${stem}_shexp`, input)),
      share,
    );
  }
  return out;
}
