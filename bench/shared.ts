// Finds reference data (models, vocabularies and texts of others). It is not part of the repository: it lies in ../shared,
// beside the checkout. Benchmarks that need it are skipped if it is absent.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { embeddedModelUrl } from "../src/package.ts";

/** The path of a file of the reference data; undefined if it is absent. */
export function sharedPath(name: string): string | undefined {
  const path = fileURLToPath(new URL(`../../shared/${name}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

/**
 * tales with the weights that it was trained to, for what is said of precision. Without the reference data it is the embedded
 * model, whose weights are rounded already.
 */
export const trainedTales: string =
  sharedPath("models/tales/tales-f32.gguf") ?? fileURLToPath(embeddedModelUrl());
