// Scalar f64 twins of assembly/plan/ops/rope.ts (Su et al. 2021, arXiv:2104.09864).

/** theta ^ (-2 i / dim) for i in [0, dim / 2). */
export function ropeFreqs(theta: number, dim: number): Float64Array {
  return Float64Array.from({ length: dim / 2 }, (_, i) => theta ** ((-2 * i) / dim));
}

/** The pairs (x[2i], x[2i + 1]) turned by pos * freqs[i]. */
export function ropeAdjacent(x: ArrayLike<number>, freqs: ArrayLike<number>, pos: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length / 2; i++) turn(x, out, 2 * i, 2 * i + 1, pos * (freqs[i] as number));
  return out;
}

/** The pairs (x[i], x[n / 2 + i]) turned by pos * freqs[i]. */
export function ropeHalves(x: ArrayLike<number>, freqs: ArrayLike<number>, pos: number): Float64Array {
  const half = x.length / 2;
  const out = new Float64Array(x.length);
  for (let i = 0; i < half; i++) turn(x, out, i, half + i, pos * (freqs[i] as number));
  return out;
}

function turn(x: ArrayLike<number>, out: Float64Array, i: number, j: number, angle: number): void {
  const a = x[i] as number;
  const b = x[j] as number;
  out[i] = a * Math.cos(angle) - b * Math.sin(angle);
  out[j] = a * Math.sin(angle) + b * Math.cos(angle);
}

export interface ReferenceYarn {
  readonly factor: number;
  /** Positions that the model was trained for before it was scaled. */
  readonly context: number;
  readonly fast?: number;
  readonly slow?: number;
  readonly logMultiplier?: number;
  /** Part of the fast pairs that is not scaled. Default 1. */
  readonly extrapolation?: number;
  /** Whether the borders of the ramp are whole pairs. Default true. */
  readonly truncate?: boolean;
}

/** Frequencies that YaRN scales in part, and what cosines and sines are multiplied by (Peng et al. 2023, arXiv:2309.00071). */
export function yarnFreqs(
  theta: number,
  dim: number,
  yarn: ReferenceYarn,
): { freqs: Float64Array; growth: number } {
  const {
    factor,
    context,
    fast = 32,
    slow = 1,
    logMultiplier = 0,
    extrapolation = 1,
    truncate = true,
  } = yarn;
  const pair = (turns: number) => (dim * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(0, truncate ? Math.floor(pair(fast)) : pair(fast));
  const high = Math.min(dim - 1, truncate ? Math.ceil(pair(slow)) : pair(slow));
  const freqs = ropeFreqs(theta, dim).map((freq, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
    const interpolated = 1 - (1 - ramp) * extrapolation;
    return freq * (1 - interpolated) + (freq / factor) * interpolated;
  });
  const grown = (k: number) => 1 + 0.1 * k * Math.log(factor);
  return { freqs, growth: grown(1) / grown(logMultiplier) };
}

/** Frequencies of dynamic NTK scaling for so many positions (huggingface/transformers, modeling_rope_utils.py). */
export function dynamicFreqs(
  theta: number,
  dim: number,
  { factor, context, length }: { readonly factor: number; readonly context: number; readonly length: number },
): Float64Array {
  const longest = Math.max(length, context);
  return ropeFreqs(theta * ((factor * longest) / context - (factor - 1)) ** (dim / (dim - 2)), dim);
}
