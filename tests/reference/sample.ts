// Scalar f64 twins of assembly/sample.ts and a naive form of the whole chain.
import type { ResolvedSampling } from "../../src/sample/registry.ts";

/** A token that may be chosen, with its logit. */
export interface ReferenceCandidate {
  readonly id: number;
  readonly logit: number;
}

/** Every token over -Infinity, by descending logit, ties by ascending id. */
export function sortedCandidates(logits: ArrayLike<number>): ReferenceCandidate[] {
  return Array.from(logits, (logit, id) => ({ id, logit }))
    .filter(({ logit }) => logit > -Infinity)
    .sort((a, b) => b.logit - a.logit || a.id - b.id);
}

/** exp((x - shift) * scale) of each value. */
export function weights(x: ArrayLike<number>, shift: number, scale: number): number[] {
  return Array.from(x, (value) => Math.exp((value - shift) * scale));
}

/** Sums of the first 1, 2, ... terms. */
export function runningSums(terms: readonly number[]): number[] {
  let sum = 0;
  return terms.map((term) => {
    sum += term;
    return sum;
  });
}

/** Probabilities of logits. */
export function softmax(logits: ArrayLike<number>): number[] {
  const terms = weights(logits, largest(logits), 1);
  const total = runningSums(terms).at(-1) ?? 0;
  return terms.map((term) => term / total);
}

/** Largest value, -Infinity of none. */
export function largest(x: ArrayLike<number>): number {
  let max = -Infinity;
  for (let i = 0; i < x.length; i++) max = Math.max(max, x[i] as number);
  return max;
}

/** log(sum(exp(logits))). */
export function logSumExp(logits: ArrayLike<number>): number {
  const max = largest(logits);
  return max + Math.log(runningSums(weights(logits, max, 1)).at(-1) ?? 0);
}

/** A copy of the logits with those of the last 64 tokens penalised, rounded to f32 as memory is. */
export function penalise(
  logits: ArrayLike<number>,
  history: readonly number[],
  penalty: number,
): Float32Array {
  const out = Float32Array.from(logits);
  for (const id of new Set(history.slice(-64))) {
    const logit = out[id] as number;
    out[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
  return out;
}

/** The candidates that top-k, top-p and min-p leave, in the order in which they are walked. */
export function filtered(logits: ArrayLike<number>, options: ResolvedSampling): ReferenceCandidate[] {
  let kept = sortedCandidates(logits);
  if (options.topK > 0) kept = kept.slice(0, options.topK);
  if (options.topP < 1) {
    const sums = runningSums(softmax(kept.map(({ logit }) => logit)));
    kept = kept.slice(0, sums.findIndex((sum) => sum >= options.topP) + 1 || kept.length);
  }
  if (options.minP > 0) {
    const max = (kept[0] as ReferenceCandidate).logit;
    kept = kept.filter(({ logit }, i) => i === 0 || Math.exp(logit - max) >= options.minP);
  }
  const anyFilter = options.topK > 0 || options.topP < 1 || options.minP > 0;
  return anyFilter ? kept : kept.sort((a, b) => a.id - b.id);
}

/** The token that a draw of `u` in [0, 1) chooses. */
export function choose(
  logits: ArrayLike<number>,
  history: readonly number[],
  options: ResolvedSampling,
  u: number,
): number {
  const penalised = penalise(logits, history, options.repeatPenalty);
  if (options.temperature === 0) return (sortedCandidates(penalised)[0] as ReferenceCandidate).id;
  const kept = filtered(penalised, options);
  const p = softmax(kept.map(({ logit }) => logit / options.temperature));
  const index = runningSums(p).findIndex((sum) => sum >= 1 - u);
  return (kept.at(index) as ReferenceCandidate).id;
}
