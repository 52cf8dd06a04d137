// Opens engines to measure, and counts the work of their steps.
import { Engine, type EngineOptions } from "../src/engine/engine.ts";
import { openModelFile } from "../src/format/detect.ts";
import type { Sequence } from "../src/model/kv_cache.ts";
import { type Matrix, type ModelWeights, sharedInputs } from "../src/model/weights/weights.ts";
import { embeddedModelUrl } from "../src/package.ts";
import { detectRuntime } from "../src/runtime/detect.ts";
import { resolveSampling } from "../src/sample/registry.ts";
import { samplerOf } from "../src/session/sampler.ts";
import { openSource } from "../src/source/open.ts";

/** The model that comes with cria. */
export const embeddedModel: URL = embeddedModelUrl();

/** An engine, and how many milliseconds it took to load. */
export interface Loaded {
  readonly engine: Engine;
  readonly loadMs: number;
}

/** Loads a model without its tokenizer. */
export async function loadEngine(file: URL | string, options: EngineOptions): Promise<Loaded> {
  const begin = performance.now();
  const source = await openSource(file, detectRuntime());
  try {
    const engine = await Engine.create(await openModelFile(source), options);
    return { engine, loadMs: performance.now() - begin };
  } finally {
    await source.close();
  }
}

/** The work of the matrices that every token goes through, and of the one that only tokens with logits go through. */
export interface MatrixWork {
  readonly layerBytes: number;
  readonly layerMacs: number;
  readonly outputBytes: number;
  readonly outputMacs: number;
}

/** Counts the bytes of a model's weight tiles, and its multiplications without padding. */
export function matrixWork(weights: Pick<ModelWeights, "layers" | "output">): MatrixWork {
  const bytesOf = ({ strips, blocks, format }: Matrix) => strips * blocks * format.tileBytes;
  const matrices = weights.layers.flatMap((layer) => sharedInputs(layer, false).flat());
  return {
    layerBytes: matrices.reduce((sum, matrix) => sum + bytesOf(matrix), 0),
    layerMacs: matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    outputBytes: bytesOf(weights.output),
    outputMacs: weights.output.rows * weights.output.cols,
  };
}

/** Ids to fill a context with, the same in every run. */
export function someIds(n: number, vocabSize: number): number[] {
  let state = 1;
  return Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabSize);
  });
}

/**
 * A call that decodes `tokens` tokens greedily after the ids of a sequence, and then restores the sequence.
 * @param stepMs called with the time of each token
 */
export function greedyDecoder(
  engine: Engine,
  sequence: Sequence,
  ids: number[],
  tokens: number,
  stepMs?: (ms: number) => void,
) {
  const sampler = samplerOf(engine, resolveSampling({ temperature: 0 }), engine.layout.config.vocabSize);
  const begin = sequence.length;
  const all = ids.slice(0, begin + 1);
  return async (): Promise<void> => {
    for (let i = begin; i < begin + tokens; i++) {
      const segment = { sequence, ids: all, begin: i, end: i + 1, outputs: "last" } as const;
      const before = performance.now();
      all[i + 1] = await engine.step([segment], () => sampler.sample(all, i + 1));
      stepMs?.(performance.now() - before);
    }
    sequence.rollback(begin);
  };
}
