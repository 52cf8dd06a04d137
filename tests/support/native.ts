// Numbers of native llama.cpp: lines of JSON beside the models that they are of.
import { existsSync, readFileSync } from "node:fs";
import { sharedPath } from "./shared.ts";

/** Lines of a shared file; none if it is absent. */
export function nativeLines<T>(name: string): T[] {
  const path = sharedPath(name);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** Natural log-probabilities of logits. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  const all = Array.from(logits);
  const most = all.reduce((a, b) => Math.max(a, b));
  const sum = all.reduce((total, z) => total + Math.exp(z - most), 0);
  return Float64Array.from(all, (z) => z - most - Math.log(sum));
}
