import { UnsupportedError } from "../../util/errors.ts";
import { llama } from "./llama.ts";
import type { ArchSpec } from "./spec.ts";

const specs: ReadonlyMap<string, ArchSpec> = new Map([llama].map((spec) => [spec.name, spec]));

/** The specification of an architecture. @throws UnsupportedError that lists the known ones. */
export function archSpec(name: string, fileName: string): ArchSpec {
  const spec = specs.get(name);
  if (!spec) {
    throw new UnsupportedError(
      `Cannot load ${fileName}: Unsupported architecture ${JSON.stringify(name)}; supported: ${[...specs.keys()].join(", ")}`,
    );
  }
  return spec;
}
