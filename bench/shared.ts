// Reference data lies in ../shared beside a checkout and is not part of the repository: what needs it is
// skipped where it is absent.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The path of a file of the reference data; undefined where it is absent. */
export function sharedPath(name: string): string | undefined {
  const path = fileURLToPath(new URL(`../../shared/${name}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}
