// Samplers over the logits of an engine.
import type { Engine } from "../engine/engine.ts";
import { createSampler, type Sampler, type SamplerSetup } from "../sample/chain.ts";
import type { ResolvedSampling } from "../sample/registry.ts";

/**
 * A sampler that chooses among the first `vocabSize` logits of a row: of the first, until its `logitsPtr` is set to
 * another row's address. All samplers of an engine share their scratch, which is in use only during a call.
 */
export function samplerOf(
  engine: Engine,
  options: ResolvedSampling,
  vocabSize: number,
  setup?: SamplerSetup,
): Sampler {
  const { exports, memory } = engine.kernel;
  const place = {
    memory,
    logitsPtr: engine.logitsAddress(0),
    scratchPtr: engine.layout.sampler,
    vocabSize,
    rows: engine.layout.config.vocabSize,
  };
  return createSampler(options, exports, place, setup);
}
