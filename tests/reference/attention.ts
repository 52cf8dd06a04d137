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
  /** Positions that a query sees, its own and those before it. Default: all. */
  window?: number;
  /** A score of each head that takes part in the softmax and has no value. */
  sinks?: ArrayLike<number>;
}

/** Causal attention. q [tokens][nHeads][headDim]; k, v [pos + tokens][nKvHeads][headDim]; result as q. */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  shape: AttentionShape,
): Float64Array {
  const { nHeads, nKvHeads, headDim, kvHeadOf, pos, tokens, scale, window, sinks } = shape;
  const out = new Float64Array(tokens * nHeads * headDim);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < nHeads; h++) {
      const qAt = (t * nHeads + h) * headDim;
      const kvHead = kvHeadOf(h);
      const kvAt = (p: number) => (p * nKvHeads + kvHead) * headDim;
      const scores: number[] = [];
      const first = Math.max(0, pos + t + 1 - (window ?? Number.POSITIVE_INFINITY));
      for (let p = first; p <= pos + t; p++) {
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += (q[qAt + d] as number) * (k[kvAt(p) + d] as number);
        scores.push(dot * scale);
      }
      const sink = sinks?.[h] ?? Number.NEGATIVE_INFINITY;
      const top = Math.max(sink, ...scores);
      const weights = scores.map((s) => Math.exp(s - top));
      const sum = weights.reduce((a, b) => a + b, Math.exp(sink - top));
      weights.forEach((w, p) => {
        for (let d = 0; d < headDim; d++) {
          out[qAt + d] = (out[qAt + d] as number) + (w / sum) * (v[kvAt(first + p) + d] as number);
        }
      });
    }
  }
  return out;
}
