// DeepSeek 2 and 3: latent attention, a dense first layer, experts in groups with a shared one.
import type { ModelFile } from "../../../format/model_file.ts";
import { FormatError, UnsupportedError } from "../../../util/errors.ts";
import { type Hyper, MAX_DIM, MAX_HEAD_DIM } from "../../config.ts";
import { integer } from "../../hyper/values.ts";
import { attention, expertsOf, gated, rms, rmsHyper, rmsUsual } from "../parts.ts";
import type { Architecture, LatentSpec } from "../spec.ts";

const [QUERY_RANK, RANK, OWN_DIM, VALUE_DIM] = [
  "attention.q_lora_rank",
  "attention.kv_lora_rank",
  "attention.key_length_mla",
  "attention.value_length_mla",
];

interface DeepseekHyper extends Hyper {
  readonly latent: LatentSpec;
}

// Products are written in whole strips of rows, side by side.
const STRIP = 8;

function latentOf(file: ModelFile, { config, rope }: Hyper): LatentSpec {
  const { dim: ropeDim } = rope;
  const at = (key: string) => `${file.architecture}.${key}`;
  const fail = (expected: string) => {
    throw new FormatError(`Cannot load ${file.source.name}: Expected ${expected}`);
  };
  if (!file.metadata.has(at(OWN_DIM as string))) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported tensors of keys and values from before ${at(OWN_DIM as string)}; convert the model anew, or take a newer file of its repository`,
    );
  }
  const queryRank = integer(file, at(QUERY_RANK as string), { min: 0, max: MAX_DIM, fallback: 0 });
  const rank = integer(file, at(RANK as string), { min: 1, max: MAX_HEAD_DIM });
  const own = integer(file, at(OWN_DIM as string), { min: 2, max: MAX_HEAD_DIM });
  const valueDim = integer(file, at(VALUE_DIM as string), { min: 1, max: MAX_HEAD_DIM });
  if (config.nKvHeads !== 1) fail(`${at("attention.head_count_kv")} to be 1, got ${config.nKvHeads}`);
  if (rank + ropeDim !== config.headDim) {
    fail(
      `${at("attention.key_length")} to be ${at(RANK as string)} ${rank} and ${ropeDim} that are rotated, got ${config.headDim}`,
    );
  }
  if (own <= ropeDim)
    fail(`${at(OWN_DIM as string)} to be more than the ${ropeDim} that are rotated, got ${own}`);
  for (const [key, value] of [
    [RANK, rank],
    [VALUE_DIM, valueDim],
  ] as const) {
    if (value % STRIP) fail(`${at(key as string)} to be a multiple of ${STRIP}, got ${value}`);
  }
  return { ...(queryRank && { queryRank }), rank, plainDim: own - ropeDim, ropeDim, valueDim };
}

/**
 * Source: DeepSeek-AI 2024, "DeepSeek-V2", arXiv:2405.04434, and "DeepSeek-V3", arXiv:2412.19437; names of keys and tensors:
 * llama.cpp
 */
export const deepseek2: Architecture<DeepseekHyper> = {
  name: "deepseek2",
  ...rmsUsual,
  hyper(file: ModelFile): DeepseekHyper {
    const usual = rmsHyper(file, {
      partialRope: true,
      shortValues: true,
      yarnInScores: true,
      experts: { presence: "optional", shared: "if stated", normalize: false },
      reads: [QUERY_RANK, RANK, OWN_DIM, VALUE_DIM] as string[],
    });
    return { ...usual, latent: latentOf(file, usual) };
  },
  layer: (i, hyper) => ({
    norm: rms(hyper),
    attention: attention(hyper, "adjacent", {
      latent: hyper.latent,
      scale: 1 / Math.sqrt(hyper.latent.plainDim + hyper.latent.ropeDim),
    }),
    feedForward: gated(hyper, "silu", expertsOf(i, hyper, { choiceBias: "optional" })),
  }),
};
