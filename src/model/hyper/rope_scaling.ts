// Reads by what a file scales its rotary positions.
import type { ModelFile } from "../../format/model_file.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { ggufName } from "../arch/gguf_names.ts";
import { MAX_CONTEXT } from "../config.ts";
import type { RopeScaling, YarnSpec } from "../rope.ts";
import { atLeastOne, flag, integer, real, scalar, text } from "./values.ts";

/** What a file says of the scaling of its positions. */
export interface FileScaling {
  readonly scaling: RopeScaling;
  /** Positions of the context that the model was trained for before it was scaled; undefined: its context. */
  readonly trainedContext: number | undefined;
  /** Whether the file has factors as Llama 3.1 has them. */
  readonly hasFactors: boolean;
}

// Turns between which yarn passes from one to the other: far beyond any that makes sense.
const TURNS = { min: 2 ** -20, max: 2 ** 20 };
const FROM_ONE = { min: 1, max: Number.MAX_VALUE };
// Theta grows with a power of it.
const LONGER = { min: 1, max: MAX_CONTEXT, fallback: 1 };
const GROWTH = { min: 2 ** -10, max: 2 ** 10, fallback: 1 };
// Below 0: not set.
const EXTRAPOLATION = { min: -1, max: 1, fallback: -1 };
const kinds = ["none", "linear", "yarn", "longrope"];

/**
 * The scaling of a GGUF file's rotary positions, with what llama.cpp makes of its keys. `rope.scaling.dynamic_factor` and
 * `rope.scaling.yarn_truncate` are cria's own, for what config.json says and GGUF has no word for.
 * @param inScores DeepSeek's way: the growth of YaRN goes into the scores, and files hold a tenth of its multiplier
 * @throws FormatError; UnsupportedError for other kinds
 */
export function ropeScaling(file: ModelFile, theta: number, inScores: boolean): FileScaling {
  const prefix = `${file.architecture}.rope.`;
  const type = text(file, `${prefix}scaling.type`, "linear");
  if (!kinds.includes(type)) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${prefix}scaling.type ${quoted(type)}; supported: ${kinds.join(", ")}`,
    );
  }
  const has = (role: "ropeFactors" | "longFactors" | "shortFactors") =>
    file.tensors.has(ggufName(`${role}.weight`, 0));
  const isLong = has("longFactors") || has("shortFactors") || type === "longrope";
  const factor = factorOf(file, prefix, type);
  const yarn = type === "yarn" && factor > 0 ? yarnOf(file, prefix, theta, inScores) : undefined;
  const longer = real(file, `${prefix}scaling.dynamic_factor`, LONGER);
  const dynamic = longer > 1 ? { factor: longer, context: trained(file) } : undefined;
  const growth = real(file, `${prefix}scaling.attn_factor`, GROWTH) * (yarn?.growth ?? 1);
  const isScaled = isLong || dynamic !== undefined || factor > 1;
  return {
    scaling: {
      scale: factor || 1,
      ...(yarn?.spec && { yarn: yarn.spec }),
      ...(dynamic && { dynamic }),
      ...(growth !== 1 && { growth }),
      factors: isLong ? { context: trained(file) } : "optional",
    },
    trainedContext: isScaled ? trained(file) : undefined,
    hasFactors: has("ropeFactors"),
  };
}

// By what positions are divided; 0: by nothing. Under either of its names 0 says that there is no scaling.
function factorOf(file: ModelFile, prefix: string, type: string): number {
  if (type === "none") return 0;
  // The first of its names counts.
  const names = [`${prefix}scaling.factor`, `${prefix}scale_linear`];
  const key = names.find((name) => file.metadata.has(name)) ?? (type === "yarn" ? names[0] : undefined);
  if (key === undefined || scalar(file, key) === 0) return 0;
  // Yarn has no meaning without it.
  return type === "yarn" ? real(file, key, FROM_ONE) : atLeastOne(file, key, 1);
}

// Positions that the model was trained for before it was scaled: those of its context if the file does not say.
function trained(file: ModelFile): number {
  const own = integer(file, `${file.architecture}.context_length`, { min: 1, max: Number.MAX_SAFE_INTEGER });
  const key = `${file.architecture}.rope.scaling.original_context_length`;
  return integer(file, key, { min: 1, max: own, fallback: own });
}

// The keys' values in files that do not say are llama.cpp's.
function yarnOf(
  file: ModelFile,
  prefix: string,
  theta: number,
  inScores: boolean,
): { readonly spec?: YarnSpec; readonly growth?: number } {
  const at = (key: string) => `${prefix}scaling.${key}`;
  if (theta === 1) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${prefix}freq_base to be more than 1 with yarn, got 1`,
    );
  }
  const stated = real(file, at("yarn_ext_factor"), EXTRAPOLATION);
  const extrapolation = stated < 0 ? 1 : stated;
  // It counts only if nothing is extrapolated: otherwise the logarithm of the scale takes its place.
  const growth = real(file, at("yarn_attn_factor"), GROWTH);
  const logMultiplier = real(file, at("yarn_log_multiplier"), { min: 0, max: 100, fallback: 0 });
  const spec: YarnSpec = {
    context: trained(file),
    fast: real(file, at("yarn_beta_fast"), { ...TURNS, fallback: 32 }),
    slow: real(file, at("yarn_beta_slow"), { ...TURNS, fallback: 1 }),
    logMultiplier: inScores ? 10 * logMultiplier : logMultiplier,
    ...(extrapolation !== 1 && { extrapolation }),
    ...(!flag(file, at("yarn_truncate"), true) && { fractional: true }),
    ...(inScores && { inScores }),
  };
  return extrapolation === 0 ? { growth } : { spec };
}
