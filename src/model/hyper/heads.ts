// Checks that the numbers of a model's heads agree with each other and with what kernels compute.
import type { ModelFile } from "../../format/model_file.ts";
import { FormatError } from "../../util/errors.ts";
import { MAX_HEAD_DIM, type ModelConfig } from "../config.ts";

/** What a file says of its heads besides the configuration. */
export interface HeadParts {
  /** Leading values of a head that are rotated. */
  readonly ropeDim: number;
  /** Length of a head's value. */
  readonly valueDim: number;
  /** Whether `ropeDim` may be less than a head. */
  readonly partialRope: boolean;
  /** Whether `valueDim` may be less than a head. */
  readonly shortValues?: boolean;
}

/** @throws FormatError */
export function checkHeads(file: ModelFile, config: ModelConfig, parts: HeadParts): void {
  const fail = (expected: string) => {
    throw new FormatError(`Cannot load ${file.source.name}: Expected ${expected}`);
  };
  const { dim, nHeads, nKvHeads, headDim } = config;
  const { ropeDim, valueDim, partialRope, shortValues } = parts;
  if (!Number.isInteger(headDim) || headDim > MAX_HEAD_DIM || headDim < 2) {
    fail(`dim ${dim} / nHeads ${nHeads} to be a head size in [2, ${MAX_HEAD_DIM}], got ${headDim}`);
  }
  if (headDim % 2) fail(`an even head size, got ${headDim}`);
  if (nHeads % nKvHeads) fail(`nHeads to be a multiple of nKvHeads ${nKvHeads}, got ${nHeads}`);
  if (partialRope) {
    if (ropeDim > headDim || ropeDim % 2) {
      fail(`rope to rotate an even number of values, at most ${headDim}, got ${ropeDim}`);
    }
  } else if (ropeDim !== headDim) fail(`rope to rotate the whole head of ${headDim}, got ${ropeDim}`);
  if (shortValues ? valueDim > headDim : valueDim !== headDim)
    fail(`values as long as keys (${headDim}), got ${valueDim}`);
}
