// Attention as the formula has it: all scores of a query, their softmax in two passes, the mean of V; f64.

export interface AttentionShape {
  /** Query heads in a row of q. */
  nHeads: number;
  /** Heads in a row of k and of v. */
  nKvHeads: number;
  headDim: number;
  /** The kv head that a query head reads. */
  kvHeadOf: (head: number) => number;
  /** Position of the first query. */
  pos: number;
  /** Queries, at consecutive positions. */
  tokens: number;
  scale: number;
}

/** Causal attention. q [tokens][nHeads][headDim]; k, v [pos + tokens][nKvHeads][headDim]; result as q. */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  shape: AttentionShape,
): Float64Array {
  const { nHeads, nKvHeads, headDim, kvHeadOf, pos, tokens, scale } = shape;
  const out = new Float64Array(tokens * nHeads * headDim);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < nHeads; h++) {
      const qAt = (t * nHeads + h) * headDim;
      const kvAt = (p: number) => (p * nKvHeads + kvHeadOf(h)) * headDim;
      const scores: number[] = [];
      for (let p = 0; p <= pos + t; p++) {
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += (q[qAt + d] as number) * (k[kvAt(p) + d] as number);
        scores.push(dot * scale);
      }
      const top = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - top));
      const sum = weights.reduce((a, b) => a + b);
      weights.forEach((w, p) => {
        for (let d = 0; d < headDim; d++) {
          out[qAt + d] = (out[qAt + d] as number) + (w / sum) * (v[kvAt(p) + d] as number);
        }
      });
    }
  }
  return out;
}
