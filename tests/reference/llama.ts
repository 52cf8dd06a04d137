// A whole Llama forward pass in f64, one position at a time, without a cache: what the engine computes,
// written as plainly as can be.

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

type Weights = ReadonlyMap<string, Weight>;

function get(weights: Weights, name: string): Weight {
  const weight = weights.get(name);
  if (!weight) throw new Error(`reference model: no tensor ${name}`);
  return weight;
}

// W (rows, cols) @ x (cols) -> (rows)
function matvec({ shape, values }: Weight, x: readonly number[]): number[] {
  const [rows, cols] = shape as [number, number];
  return Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += (values[r * cols + c] as number) * (x[c] as number);
    return sum;
  });
}

function rmsnorm(x: readonly number[], { values }: Weight, eps: number): number[] {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return x.map((v, i) => (v / Math.sqrt(mean + eps)) * (values[i] as number));
}

// Rotates the pairs (2i, 2i + 1) of each head.
function rope(x: number[], headDim: number, pos: number, theta: number): number[] {
  const out = [...x];
  for (let i = 0; i < x.length; i += 2) {
    const angle = pos * theta ** (-(i % headDim) / headDim);
    const a = x[i] as number;
    const b = x[i + 1] as number;
    out[i] = a * Math.cos(angle) - b * Math.sin(angle);
    out[i + 1] = a * Math.sin(angle) + b * Math.cos(angle);
  }
  return out;
}

function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

/** Logits after every id. */
export function referenceLogits(
  weights: Weights,
  config: ReferenceConfig,
  ids: readonly number[],
): number[][] {
  const embedding = get(weights, "token_embd.weight");
  const dim = embedding.shape[1] as number;
  const headDim = dim / config.nHeads;
  const kvMul = config.nHeads / config.nKvHeads;
  let states = ids.map((id) =>
    Array.from({ length: dim }, (_, c) => embedding.values[id * dim + c] as number),
  );
  for (let layer = 0; layer < config.nLayers; layer++) {
    const w = (name: string) => get(weights, `blk.${layer}.${name}.weight`);
    const norms = states.map((x) => rmsnorm(x, w("attn_norm"), config.normEps));
    const q = norms.map((a, pos) => rope(matvec(w("attn_q"), a), headDim, pos, config.ropeTheta));
    const k = norms.map((a, pos) => rope(matvec(w("attn_k"), a), headDim, pos, config.ropeTheta));
    const v = norms.map((a) => matvec(w("attn_v"), a));
    states = states.map((x, pos) => {
      const heads: number[] = [];
      for (let h = 0; h < config.nHeads; h++) {
        const kv = Math.floor(h / kvMul) * headDim;
        const scores = k.slice(0, pos + 1).map((key) => {
          let dot = 0;
          for (let d = 0; d < headDim; d++) {
            dot += (q[pos]?.[h * headDim + d] as number) * (key[kv + d] as number);
          }
          return dot / Math.sqrt(headDim);
        });
        const p = softmax(scores);
        for (let d = 0; d < headDim; d++) {
          heads.push(p.reduce((sum, weight, i) => sum + weight * (v[i]?.[kv + d] as number), 0));
        }
      }
      const attended = matvec(w("attn_output"), heads).map((y, i) => y + (x[i] as number));
      const a = rmsnorm(attended, w("ffn_norm"), config.normEps);
      const up = matvec(w("ffn_up"), a);
      const gated = matvec(w("ffn_gate"), a).map((g, i) => (g / (1 + Math.exp(-g))) * (up[i] as number));
      return matvec(w("ffn_down"), gated).map((y, i) => y + (attended[i] as number));
    });
  }
  const output = weights.get("output.weight") ?? embedding;
  return states.map((x) => matvec(output, rmsnorm(x, get(weights, "output_norm.weight"), config.normEps)));
}
