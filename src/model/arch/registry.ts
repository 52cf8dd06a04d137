import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { llama } from "./llama.ts";
import type { ArchSpec } from "./spec.ts";

const specs: ReadonlyMap<string, ArchSpec> = new Map([llama].map((spec) => [spec.name, spec]));

/**
 * The specification of an architecture.
 * @throws FormatError where the file names none; UnsupportedError that lists the known ones
 */
export function archSpec(name: string, fileName: string): ArchSpec {
  if (name === "") {
    throw new FormatError(`Cannot load ${fileName}: Expected metadata key general.architecture, got none`);
  }
  const spec = specs.get(name);
  if (!spec) {
    throw new UnsupportedError(
      `Cannot load ${fileName}: Unsupported architecture ${quoted(name)}; supported: ${[...specs.keys()].join(", ")}`,
    );
  }
  return spec;
}
