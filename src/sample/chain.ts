import { UsageError } from "../util/errors.ts";
import { Candidates, type SampleMemory } from "./candidates.ts";
import { draw } from "./draw.ts";
import type { SampleKernels } from "./kernels.ts";
import type { ResolvedSampling } from "./options.ts";
import { samplers } from "./registry.ts";
import { Rng } from "./rng.ts";

const logitSamplers = samplers.filter((sampler) => sampler.acts === "logits");
const candidateSamplers = samplers.filter((sampler) => sampler.acts === "candidates");

/** A token and how likely it is. */
export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm of the model's probability among all its rows, before any sampler. */
  readonly logprob: number;
}

/** Chooses tokens from the logits that linear memory holds. */
export interface Sampler {
  /** Byte address of the f32 logits [vocabSize]; may be moved between calls. */
  logitsPtr: number;
  /** The generator of the draws; its state is all that a sampler remembers between tokens. */
  readonly rng: Rng;
  /**
   * The id of the next token. Logits read at the call and, when it returns, are as before.
   * @param history ids of the sequence so far, prompt and continuation
   * @param length how many of them count, from the first; all by default
   * @throws SamplingError if a logit is NaN (which one) or none is over -Infinity
   */
  sample(history: ArrayLike<number>, length?: number): number;
  /**
   * Natural logarithm of the probability that the model itself, before any sampler, gives a token: what a softmax
   * over all its logits says, also of rows that have no token. Worked out at the call, from the logits that memory
   * then holds.
   * @throws SamplingError if a logit is NaN or none is over -Infinity
   * @throws UsageError if `id` is not in the vocabulary
   */
  logprob(id: number): number;
  /**
   * The `n` tokens that the model itself finds most likely, likeliest first, ties by lowest id; fewer where
   * fewer are possible. Worked out as {@link logprob} is.
   * @throws SamplingError if a logit is NaN or none is over -Infinity
   */
  mostLikely(n: number): TokenLogprob[];
}

export { type SampleMemory, samplerBytes } from "./candidates.ts";

class Chain implements Sampler {
  readonly rng: Rng;
  private readonly options: ResolvedSampling;
  private readonly candidates: Candidates;

  constructor(options: ResolvedSampling, kernels: SampleKernels, place: SampleMemory) {
    this.options = options;
    this.rng = new Rng(options.seed);
    this.candidates = new Candidates(kernels, place);
  }

  get logitsPtr(): number {
    return this.candidates.logitsPtr;
  }

  set logitsPtr(address: number) {
    this.candidates.logitsPtr = address;
  }

  sample(history: ArrayLike<number>, length: number = history.length): number {
    const { candidates, options } = this;
    candidates.reset(history, length);
    try {
      for (const sampler of logitSamplers) sampler.apply(candidates, options);
      const best = candidates.findBest();
      // Infinity has no differences to weigh by: it wins.
      if (options.temperature === 0 || candidates.max === Infinity) return best;
      for (const sampler of candidateSamplers) sampler.apply(candidates, options);
      return draw(candidates, this.rng);
    } finally {
      candidates.restore();
    }
  }

  logprob(id: number): number {
    const { vocabSize } = this.candidates;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new UsageError(`Cannot give a log-probability: Expected an id in [0, ${vocabSize}), got ${id}`);
    }
    return this.relativeTo(this.candidates.logSumExp(), id);
  }

  mostLikely(n: number): TokenLogprob[] {
    const { candidates } = this;
    const total = candidates.logSumExp();
    candidates.reset([], 0);
    candidates.keepFirst(n);
    const found: TokenLogprob[] = [];
    for (let i = 0; i < candidates.count; i++) {
      const id = candidates.id(i);
      found.push({ id, logprob: this.relativeTo(total, id) });
    }
    return found;
  }

  private relativeTo(total: number, id: number): number {
    const logit = this.candidates.logit(id);
    if (total === Infinity) return logit === Infinity ? 0 : -Infinity;
    return logit - total;
  }
}

/**
 * A sampler over the logits at `place`: the samplers of the registry in their order, then a draw; at
 * temperature 0 only those that act on logits, then the largest logit (ties: lowest id).
 * The same options, logits and history give the same ids on every engine and kernel variant.
 */
export function createSampler(
  options: ResolvedSampling,
  kernels: SampleKernels,
  place: SampleMemory,
): Sampler {
  return new Chain(options, kernels, place);
}
