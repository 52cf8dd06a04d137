// Hyper-parameters in GGUF's vocabulary: the same keys below each architecture's name.
import type { ModelFile } from "../../format/model_file.ts";
import { quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import { type Hyper, MAX_DIM, MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS } from "../config.ts";
import { checkKeys } from "../config_keys.ts";
import { checkHeads } from "./heads.ts";
import {
  atLeastOne,
  contextLength,
  integer,
  layerInteger,
  real,
  scalar,
  text,
  vocabulary,
} from "./values.ts";

// Models have 1e-12 to 1e-5. Kernels take it as f32, in which it must not vanish.
const MIN_EPS = 2 ** -126;
const MAX_EPS = 1;

/** What differs between architectures in how they use GGUF's keys. */
export interface GgufVocabulary {
  /** The key of the norms' epsilon: RMSNorm and LayerNorm have one each. */
  readonly epsilon: "attention.layer_norm_rms_epsilon" | "attention.layer_norm_epsilon";
  /** Name of the token embedding. */
  readonly embedding: string;
  /** Whether a head may be rotated in part. */
  readonly partialRope?: boolean;
  /** More keys that the architecture reads and checks itself, without its name before them. */
  readonly reads?: readonly string[];
}

/**
 * Hyper-parameters of a GGUF file, translated and checked.
 * @throws FormatError if a key is missing, of the wrong type, out of its interval or contradicts another;
 *   UnsupportedError for mixtures of experts, rotary scalings and keys that are not implemented
 */
export function ggufHyper(file: ModelFile, vocabularyOf: GgufVocabulary): Hyper {
  const prefix = file.architecture;
  const at = (key: string) => `${prefix}.${key}`;
  refuseExperts(file, at("expert_count"));
  const dim = integer(file, at("embedding_length"), { min: 2, max: MAX_DIM });
  const nLayers = integer(file, at("block_count"), { min: 1, max: MAX_LAYERS });
  const nHeads = layerInteger(file, at("attention.head_count"), { min: 1, max: MAX_HEADS }, nLayers);
  const kvHeads = { min: 1, max: nHeads, fallback: nHeads };
  const headDim = integer(file, at("attention.key_length"), {
    min: 2,
    max: MAX_HEAD_DIM,
    fallback: dim / nHeads,
  });
  const config = {
    architecture: file.architecture,
    dim,
    hiddenDim: layerInteger(file, at("feed_forward_length"), { min: 1, max: MAX_DIM }, nLayers),
    nLayers,
    nHeads,
    nKvHeads: layerInteger(file, at("attention.head_count_kv"), kvHeads, nLayers),
    headDim,
    vocabSize: vocabulary(file, vocabularyOf.embedding),
    contextLength: contextLength(file, at("context_length")),
    ropeTheta: atLeastOne(file, at("rope.freq_base"), 10000),
    ropeScale: ropeScale(file, prefix),
    normEps: real(file, at(vocabularyOf.epsilon), { min: MIN_EPS, max: MAX_EPS }),
  };
  const ropeDim = integer(file, at("rope.dimension_count"), { min: 1, max: MAX_DIM, fallback: headDim });
  const valueDim = integer(file, at("attention.value_length"), { min: 1, max: MAX_DIM, fallback: headDim });
  checkHeads(file, config, { ropeDim, valueDim, partialRope: vocabularyOf.partialRope ?? false });
  checkKeys(file, prefix, config, vocabularyOf.reads);
  return { config, ropeDim };
}

function refuseExperts(file: ModelFile, key: string): void {
  const experts = integer(file, key, { min: 0, max: 65536, fallback: 0 });
  if (experts === 0) return;
  throw new UnsupportedError(
    `Cannot load ${file.source.name}: Unsupported mixture of ${experts} experts; supported: dense models`,
  );
}

function ropeScale(file: ModelFile, prefix: string): number {
  const type = text(file, `${prefix}.rope.scaling.type`, "linear");
  if (type === "none") return 1;
  if (type !== "linear") {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${prefix}.rope.scaling.type ${quoted(type)}; supported: none, linear`,
    );
  }
  // The first of its names counts. Under either, 0 says that there is no scaling.
  const names = [`${prefix}.rope.scaling.factor`, `${prefix}.rope.scale_linear`];
  const key = names.find((name) => file.metadata.has(name));
  if (key === undefined || scalar(file, key) === 0) return 1;
  return atLeastOne(file, key, 1);
}
