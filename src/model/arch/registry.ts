// The architectures that cria knows: one line for each.
import type { ModelFile } from "../../format/model_file.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { nearestName } from "../../util/nearest.ts";
import { gptOss } from "./gpt_oss.ts";
import { llama } from "./llama.ts";
import type { Architecture } from "./spec.ts";

export const architectures: readonly Architecture[] = [
  llama, //
  gptOss,
];

/**
 * The architecture of a file.
 * @throws FormatError if the file names none; UnsupportedError that lists the known ones
 */
export function architectureOf(file: ModelFile, known: readonly Architecture[]): Architecture {
  const { architecture: name, source } = file;
  if (name === "") {
    throw new FormatError(`Cannot load ${source.name}: Expected metadata key general.architecture, got none`);
  }
  const found = known.find((architecture) => architecture.name === name);
  if (found) return found;
  const names = known.map((each) => each.name);
  const near = nearestName(name, names);
  throw new UnsupportedError(
    `Cannot load ${source.name}: Unsupported architecture ${quoted(name)}; supported: ${names.join(", ")}${near ? `; the nearest: ${near}` : ""}`,
  );
}
