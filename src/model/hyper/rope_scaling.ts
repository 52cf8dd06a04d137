// Reads by what a file scales its rotary positions.
import type { ModelFile } from "../../format/model_file.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { describeMeta } from "../config_keys.ts";
import type { RopeSpec, YarnSpec } from "../rope.ts";
import { atLeastOne, integer, real, scalar, text } from "./values.ts";

// Turns between which yarn passes from one to the other: far beyond any that makes sense.
const TURNS = { min: 2 ** -20, max: 2 ** 20 };

/**
 * The scaling of a GGUF file's rotary positions.
 * @param yarn whether the architecture knows YaRN
 * @throws FormatError; UnsupportedError for other kinds
 */
export function ropeScaling(file: ModelFile, theta: number, yarn: boolean): Pick<RopeSpec, "scale" | "yarn"> {
  const prefix = `${file.architecture}.rope.`;
  const type = text(file, `${prefix}scaling.type`, "linear");
  if (type === "none") return { scale: 1 };
  if (type !== "linear" && !(yarn && type === "yarn")) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${prefix}scaling.type ${quoted(type)}; supported: none, linear${yarn ? ", yarn" : ""}`,
    );
  }
  // The first of its names counts. Under either, 0 says that there is no scaling.
  const names = [`${prefix}scaling.factor`, `${prefix}scale_linear`];
  const key = names.find((name) => file.metadata.has(name)) ?? (type === "yarn" ? names[0] : undefined);
  if (key === undefined || scalar(file, key) === 0) return { scale: 1 };
  // Yarn has no meaning without it.
  if (type === "yarn") return { scale: real(file, key, FROM_ONE), yarn: yarnOf(file, prefix, theta) };
  return { scale: atLeastOne(file, key, 1) };
}

const FROM_ONE = { min: 1, max: Number.MAX_VALUE };

// The keys' values in files that do not say are llama.cpp's.
function yarnOf(file: ModelFile, prefix: string, theta: number): YarnSpec {
  const at = (key: string) => `${prefix}scaling.${key}`;
  if (theta === 1) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${prefix}freq_base to be more than 1 with yarn, got 1`,
    );
  }
  for (const key of ["yarn_ext_factor", "yarn_attn_factor"].map(at)) {
    if (!file.metadata.has(key) || scalar(file, key) === 1) continue;
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${key} with yarn: ${describeMeta(file.metadata.get(key))}; supported: 1`,
    );
  }
  const positions = { min: 1, max: Number.MAX_SAFE_INTEGER };
  const own = integer(file, `${file.architecture}.context_length`, positions);
  return {
    context: integer(file, at("original_context_length"), { ...positions, fallback: own }),
    fast: real(file, at("yarn_beta_fast"), { ...TURNS, fallback: 32 }),
    slow: real(file, at("yarn_beta_slow"), { ...TURNS, fallback: 1 }),
    logMultiplier: real(file, at("yarn_log_multiplier"), { min: 0, max: 100, fallback: 0 }),
  };
}
