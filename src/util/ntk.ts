// NTK-aware scaling of rotary frequencies.
import { power } from "./elementary.ts";

/**
 * Theta that makes the slowest of `dim / 2` pairs turn `factor` times as slowly, and the fastest as before.
 * Source: the "NTK-aware" scaling that Peng et al. 2023, "YaRN", arXiv:2309.00071, section 3.1, describe
 */
export function ntkTheta(theta: number, dim: number, factor: number): number {
  // A single pair turns by 1 whatever theta is.
  return dim > 2 ? theta * factor * power(factor, 2 / (dim - 2)) : theta;
}
