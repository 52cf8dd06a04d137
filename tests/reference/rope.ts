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
}

/** Frequencies that YaRN scales in part, and what cosines and sines are multiplied by (Peng et al. 2023, arXiv:2309.00071). */
export function yarnFreqs(
  theta: number,
  dim: number,
  { factor, context, fast = 32, slow = 1, logMultiplier = 0 }: ReferenceYarn,
): { freqs: Float64Array; growth: number } {
  const pair = (turns: number) => (dim * Math.log(context / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(0, Math.floor(pair(fast)));
  const high = Math.min(dim - 1, Math.ceil(pair(slow)));
  const freqs = ropeFreqs(theta, dim).map((freq, i) => {
    const interpolated = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
    return freq * (1 - interpolated) + (freq / factor) * interpolated;
  });
  const grown = (k: number) => 1 + 0.1 * k * Math.log(factor);
  return { freqs, growth: grown(1) / grown(logMultiplier) };
}
