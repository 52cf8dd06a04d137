// Reads how many experts a file's layers have.
import type { ModelFile } from "../../format/model_file.ts";
import { UnsupportedError } from "../../util/errors.ts";
import type { Presence } from "../arch/spec.ts";
import { type ExpertNumbers, MAX_DIM } from "../config.ts";
import { integer } from "./values.ts";

const MAX_EXPERTS = 65536;
// Each costs a pass over all.
const MAX_USED = 256;

/** Keys that {@link expertNumbers} reads if there are experts, without the architecture's name before them. */
export const expertKeys: readonly string[] = ["expert_used_count", "expert_feed_forward_length"];

/**
 * The experts of a GGUF file; undefined if it has none.
 * @param presence what the architecture asks for; undefined: it knows no experts
 * @param hiddenDim length of a row inside an expert if the file does not say
 * @throws FormatError; UnsupportedError for experts of an architecture that knows none
 */
export function expertNumbers(
  file: ModelFile,
  presence: Presence | undefined,
  hiddenDim: number,
): ExpertNumbers | undefined {
  const at = (key: string) => `${file.architecture}.${key}`;
  const most = { max: MAX_EXPERTS };
  const range = presence === "required" ? { min: 1, ...most } : { min: 0, ...most, fallback: 0 };
  const n = integer(file, at("expert_count"), range);
  if (n === 0) return undefined;
  if (!presence) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported mixture of ${n} experts; supported: dense models`,
    );
  }
  return {
    n,
    used: integer(file, at("expert_used_count"), { min: 1, max: Math.min(n, MAX_USED) }),
    hiddenDim: integer(file, at("expert_feed_forward_length"), { min: 1, max: MAX_DIM, fallback: hiddenDim }),
  };
}
