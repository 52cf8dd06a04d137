// Scalar f64 twins of what chooses experts (assembly/plan/ops/route.ts), and of clamped SwiGLU.
import { sigmoid } from "./math.ts";

export interface RouterTraits {
  readonly used: number;
  readonly gate: "softmax" | "sigmoid" | "softmax of chosen";
  readonly normalize: boolean;
  readonly scale?: number;
  /** Groups of as many experts each, and how many of them a token chooses from. */
  readonly groups?: { readonly n: number; readonly used: number };
}

/** An expert of a token and its share. */
export interface Pick {
  readonly expert: number;
  readonly share: number;
}

// Indexes of the largest values, the largest first; of equal ones the lower index.
function largest(values: readonly number[], n: number): number[] {
  const order = values
    .map((_, i) => i)
    .sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
  return order.slice(0, n);
}

// Without the experts that are outside of the groups whose two best add up to most.
function inGroups(values: readonly number[], { n, used }: { n: number; used: number }): number[] {
  const size = values.length / n;
  const sums = Array.from({ length: n }, (_, g) => {
    const group = values.slice(g * size, (g + 1) * size);
    return largest(group, 2).reduce((sum, i) => sum + (group[i] as number), 0);
  });
  const kept = largest(sums, used);
  return values.map((value, e) => (kept.includes(Math.floor(e / size)) ? value : Number.NEGATIVE_INFINITY));
}

/**
 * The experts of the largest logits, or of the largest shares and what `bias` adds to them, the largest first (of equal
 * ones the lower index), and their shares.
 */
export function picksOf(
  logits: readonly number[],
  { used, gate, normalize, scale = 1, groups }: RouterTraits,
  bias?: ArrayLike<number>,
): Pick[] {
  const top = Math.max(...logits);
  const weight = (e: number) => Math.exp((logits[e] as number) - top);
  const sum = (over: readonly number[]) => over.reduce((all, e) => all + weight(e), 0);
  const all = sum(logits.map((_, e) => e));
  const chances = logits.map((logit, e) => {
    if (!bias && !groups) return logit;
    const share = gate === "softmax" ? weight(e) / all : gate === "sigmoid" ? sigmoid(logit) : logit;
    return share + (bias?.[e] ?? 0);
  });
  const chosen = largest(groups ? inGroups(chances, groups) : chances, used);
  const whole = gate === "softmax" ? all : sum(chosen);
  const shares = chosen.map((e) => (gate === "sigmoid" ? sigmoid(logits[e] as number) : weight(e) / whole));
  const total = normalize
    ? Math.max(
        2 ** -14,
        shares.reduce((a, b) => a + b),
      )
    : 1;
  return chosen.map((expert, r) => ({ expert, share: ((shares[r] as number) / total) * scale }));
}

/** g sigmoid(alpha g) (u + 1), with the gate at most `limit` and up within it both ways. */
export function clampedGlu(gate: number, up: number, limit: number, alpha: number): number {
  const g = Math.min(gate, limit);
  const u = Math.max(-limit, Math.min(up, limit));
  return g * sigmoid(alpha * g) * (u + 1);
}
