// Scalar f64 twins of what chooses experts (assembly/plan/ops/route.ts), and of clamped SwiGLU.
import { sigmoid } from "./math.ts";

export interface RouterTraits {
  readonly used: number;
  readonly gate: "softmax" | "sigmoid" | "softmax of chosen";
  readonly normalize: boolean;
  readonly scale?: number;
}

/** An expert of a token and its share. */
export interface Pick {
  readonly expert: number;
  readonly share: number;
}

/** The experts of the largest logits, the largest first (of equal ones the lower index), and their shares. */
export function picksOf(
  logits: readonly number[],
  { used, gate, normalize, scale = 1 }: RouterTraits,
): Pick[] {
  const order = logits
    .map((_, e) => e)
    .sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  const chosen = order.slice(0, used);
  const top = logits[order[0] as number] as number;
  const weight = (e: number) => Math.exp((logits[e] as number) - top);
  const sum = (over: readonly number[]) => over.reduce((all, e) => all + weight(e), 0);
  const whole = gate === "softmax" ? sum(order) : sum(chosen);
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
