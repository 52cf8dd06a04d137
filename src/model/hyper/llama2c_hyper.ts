// Hyper-parameters in llama2.c's vocabulary: the numbers of its header, and what its code fixes.
import type { ModelFile } from "../../format/model_file.ts";
import { type Hyper, MAX_DIM, MAX_HEADS, MAX_LAYERS } from "../config.ts";
import { checkHeads } from "./heads.ts";
import { contextLength, integer, vocabulary } from "./values.ts";

/**
 * Hyper-parameters of a llama2.c file, translated and checked.
 * @throws FormatError if a number is out of its interval or contradicts another
 */
export function llama2cHyper(file: ModelFile, embedding: string): Hyper {
  const dim = integer(file, "dim", { min: 2, max: MAX_DIM });
  const nHeads = integer(file, "n_heads", { min: 1, max: MAX_HEADS });
  const headDim = dim / nHeads;
  const config = {
    architecture: file.architecture,
    dim,
    hiddenDim: integer(file, "hidden_dim", { min: 1, max: MAX_DIM }),
    nLayers: integer(file, "n_layers", { min: 1, max: MAX_LAYERS }),
    nHeads,
    nKvHeads: integer(file, "n_kv_heads", { min: 1, max: nHeads }),
    headDim,
    vocabSize: vocabulary(file, embedding),
    contextLength: contextLength(file, "seq_len"),
    ropeTheta: 10000,
    ropeScale: 1,
    normEps: 1e-5,
  };
  checkHeads(file, config, { ropeDim: headDim, valueDim: headDim, partialRope: false });
  return { config, rope: { dim: headDim, theta: config.ropeTheta, scale: 1 } };
}
