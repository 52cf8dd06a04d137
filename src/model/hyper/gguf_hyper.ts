// Hyper-parameters in GGUF's vocabulary: the same keys below each architecture's name.
import type { ModelFile } from "../../format/model_file.ts";
import { ggufName } from "../arch/gguf_names.ts";
import { type Hyper, MAX_DIM, MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS } from "../config.ts";
import { checkKeys } from "../config_keys.ts";
import { ropeConfig } from "../rope_config.ts";
import { type ExpertVocabulary, expertConfig, expertKeys, expertNumbers } from "./experts.ts";
import { checkHeads } from "./heads.ts";
import { ropeScaling } from "./rope_scaling.ts";
import { atLeastOne, contextLength, integer, layerInteger, real, vocabulary } from "./values.ts";

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
  /** Whether q, k and v, and gate and up, may be rows of one tensor each; the layers must be told of `Hyper.fused`. */
  readonly fused?: boolean;
  /** Whether layers may have no heads of keys and values. The layers must be told which. */
  readonly headless?: boolean;
  /** Whether values may be shorter than keys: those of latent attention are parts of them. */
  readonly shortValues?: boolean;
  /** Whether files have experts; without it they are refused. The layers must be told of `Hyper.experts`. */
  readonly experts?: ExpertVocabulary;
  /** Whether the growth of YaRN goes into the scores of attention, as DeepSeek's does. */
  readonly yarnInScores?: boolean;
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
  const { partialRope = false, shortValues = false, headless = false } = vocabularyOf;
  const at = (key: string) => `${prefix}.${key}`;
  const dim = integer(file, at("embedding_length"), { min: 2, max: MAX_DIM });
  const nLayers = integer(file, at("block_count"), { min: 1, max: MAX_LAYERS });
  const nHeads = layerInteger(file, at("attention.head_count"), { min: 1, max: MAX_HEADS }, nLayers);
  const kvHeads = { min: 1, max: nHeads, fallback: nHeads };
  const headDim = integer(file, at("attention.key_length"), {
    min: 2,
    max: MAX_HEAD_DIM,
    fallback: dim / nHeads,
  });
  const hiddenDim = layerInteger(file, at("feed_forward_length"), { min: 1, max: MAX_DIM }, nLayers);
  const experts = expertNumbers(file, vocabularyOf.experts, { hiddenDim, nLayers });
  const ropeDim = integer(file, at("rope.dimension_count"), { min: 1, max: MAX_DIM, fallback: headDim });
  const theta = atLeastOne(file, at("rope.freq_base"), 10000);
  const { scaling, trainedContext, hasFactors } = ropeScaling(
    file,
    theta,
    vocabularyOf.yarnInScores ?? false,
  );
  const rope = { dim: ropeDim, theta, ...scaling };
  const config = {
    architecture: file.architecture,
    dim,
    hiddenDim,
    nLayers,
    nHeads,
    nKvHeads: layerInteger(file, at("attention.head_count_kv"), kvHeads, nLayers, headless),
    headDim,
    vocabSize: vocabulary(file, vocabularyOf.embedding),
    contextLength: contextLength(file, at("context_length")),
    ...ropeConfig(rope, hasFactors ? "llama3" : undefined),
    normEps: real(file, at(vocabularyOf.epsilon), { min: MIN_EPS, max: MAX_EPS }),
    ...(experts && expertConfig(experts)),
  };
  const valueDim = integer(file, at("attention.value_length"), { min: 1, max: MAX_DIM, fallback: headDim });
  checkHeads(file, config, { ropeDim, valueDim, partialRope, shortValues });
  const { reads = [] } = vocabularyOf;
  checkKeys(
    file,
    prefix,
    config,
    experts ? [...reads, ...expertKeys(vocabularyOf.experts as ExpertVocabulary)] : reads,
  );
  const fused = vocabularyOf.fused && {
    qkv: file.tensors.has(ggufName("qkv.weight", 0)),
    gateUp:
      !file.tensors.has(ggufName("gate.weight", 0)) &&
      file.tensors.get(ggufName("gateUp.weight", 0))?.shape[0] === 2 * hiddenDim,
  };
  return {
    config,
    rope,
    ...(fused && { fused }),
    ...(trainedContext && { trainedContext }),
    ...(experts && { experts }),
  };
}
