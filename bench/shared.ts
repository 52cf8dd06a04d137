// Finds reference data (models, vocabularies and texts of others). It is not part of the repository: it lies in ../shared,
// beside the checkout. Benchmarks that need it are skipped if it is absent.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The path of a file of the reference data; undefined if it is absent. */
export function sharedPath(name: string): string | undefined {
  const path = fileURLToPath(new URL(`../../shared/${name}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}
