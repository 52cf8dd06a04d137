// The chain of samplers: from the logits of a row to an id.

import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import { Candidates, type SampleMemory } from "./candidates.ts";
import { draw } from "./draw.ts";
import type { SampleKernels } from "./kernels.ts";
import { type ResolvedSampling, samplers } from "./registry.ts";
import { Rng } from "./rng.ts";
import type { SamplerSpec, SamplerStage, Vocabulary } from "./spec.ts";

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
  /**
   * The id of the next token. Logits are read at the call and, when it returns, are as before. The same call gives the
   * same id again, until {@link accept}.
   * @param history ids of the sequence so far, prompt and continuation
   * @param length how many of them count, from the first; all by default. It is the position whose random numbers
   *   are drawn.
   * @throws SamplingError if a logit is NaN (which one) or none is over -Infinity
   */
  sample(history: ArrayLike<number>, length?: number): number;
  /** Takes note of a token that the generation goes on with: some samplers have a state. */
  accept(id: number): void;
  /** The states of samplers by name, in JSON, between two tokens. */
  save(): SamplerStates;
  /**
   * Continues from what {@link save} gave, of a chain with the same options.
   * @throws UsageError for anything else
   */
  load(states: unknown): void;
  /**
   * Natural logarithm of the probability that the model itself, before any sampler, gives a token: what a softmax
   * over all its logits says, also of rows that have no token. Worked out at the call, from the logits that memory
   * then holds.
   * @throws SamplingError if a logit is NaN or none is over -Infinity
   * @throws UsageError if `id` is not in the vocabulary
   */
  logprob(id: number): number;
  /**
   * The `n` tokens that the model itself finds most likely, likeliest first, ties by lowest id; fewer if
   * fewer are possible. Worked out as {@link logprob} is.
   * @throws SamplingError if a logit is NaN or none is over -Infinity
   */
  mostLikely(n: number): TokenLogprob[];
}

export { type SampleMemory, samplerBytes } from "./candidates.ts";

interface NamedStage {
  readonly name: string;
  readonly acts: "logits" | "candidates";
  readonly stage: SamplerStage;
}

class Chain implements Sampler {
  readonly #isGreedy: boolean;
  readonly #stages: readonly NamedStage[];
  readonly #logitStages: readonly SamplerStage[];
  readonly #candidateStages: readonly SamplerStage[];
  readonly #rng: Rng;
  readonly #candidates: Candidates;

  constructor(options: ResolvedSampling, kernels: SampleKernels, place: SampleMemory, setup: SamplerSetup) {
    const { vocabulary = withoutText(place.vocabSize), choice, specs = samplers } = setup;
    this.#isGreedy = options.temperature === 0;
    this.#stages = specs.flatMap(({ name, acts, create }) => {
      const stage = create(options, vocabulary);
      return stage ? [{ name, acts, stage }] : [];
    });
    const acting = (on: string) => this.#stages.filter(({ acts }) => acts === on).map(({ stage }) => stage);
    this.#logitStages = acting("logits");
    this.#candidateStages = acting("candidates");
    this.#rng = new Rng(options.seed, choice);
    this.#candidates = new Candidates(kernels, place);
  }

  get logitsPtr(): number {
    return this.#candidates.logitsPtr;
  }

  set logitsPtr(address: number) {
    this.#candidates.logitsPtr = address;
  }

  sample(history: ArrayLike<number>, length: number = history.length): number {
    const candidates = this.#candidates;
    const rng = this.#rng;
    candidates.reset(history, length);
    rng.seek(length);
    try {
      for (const stage of this.#logitStages) stage.apply(candidates, rng);
      const best = candidates.findBest();
      // Infinity has no differences to weigh by: it wins.
      if (this.#isGreedy || candidates.max === Infinity) return best;
      for (const stage of this.#candidateStages) stage.apply(candidates, rng);
      return draw(candidates, rng);
    } finally {
      candidates.restore();
    }
  }

  accept(id: number): void {
    for (const { stage } of this.#stages) stage.accept?.(id);
  }

  save(): SamplerStates {
    const withState = this.#stages.filter(({ stage }) => stage.save);
    return Object.fromEntries(withState.map(({ name, stage }) => [name, stage.save?.()]));
  }

  load(states: unknown): void {
    const withState = this.#stages.filter(({ stage }) => stage.load);
    const names = withState.map(({ name }) => name);
    const got = typeof states === "object" && states !== null ? Object.keys(states) : undefined;
    if (got?.length !== names.length || !names.every((name) => got.includes(name))) {
      const expected = names.length === 0 ? "no states of samplers" : `the states of ${names.join(", ")}`;
      throw new UsageError(
        `Cannot continue to sample: Expected ${expected}, got ${got ? `those of ${got.join(", ") || "none"}` : describeValue(states)}`,
      );
    }
    for (const { name, stage } of withState) stage.load?.((states as SamplerStates)[name]);
  }

  logprob(id: number): number {
    const { vocabSize } = this.#candidates;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new UsageError(`Cannot give a log-probability: Expected an id in [0, ${vocabSize}), got ${id}`);
    }
    return this.#relativeTo(this.#candidates.logSumExp(), id);
  }

  mostLikely(n: number): TokenLogprob[] {
    const candidates = this.#candidates;
    const total = candidates.logSumExp();
    candidates.reset([], 0);
    candidates.keepFirst(n);
    const found: TokenLogprob[] = [];
    for (let i = 0; i < candidates.count; i++) {
      const id = candidates.id(i);
      found.push({ id, logprob: this.#relativeTo(total, id) });
    }
    return found;
  }

  #relativeTo(total: number, id: number): number {
    const logit = this.#candidates.logit(id);
    if (total === Infinity) return logit === Infinity ? 0 : -Infinity;
    return logit - total;
  }
}

/** States of samplers by name, in JSON. */
export type SamplerStates = Readonly<Record<string, unknown>>;

/** What a sampler is made with, besides its options and memory. */
export interface SamplerSetup {
  /** Default: tokens without text, enough for samplers that look at logits alone. */
  readonly vocabulary?: Vocabulary;
  /** Which of several continuations of one prompt; default 0. Each draws other random numbers. */
  readonly choice?: number;
  /** Default: the registry's. */
  readonly specs?: readonly SamplerSpec<ResolvedSampling>[];
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
  setup: SamplerSetup = {},
): Sampler {
  return new Chain(options, kernels, place, setup);
}

/** @throws UsageError for options that say something of the vocabulary which is not so */
export function checkSampling(options: ResolvedSampling, vocabulary: Vocabulary): void {
  for (const { create } of samplers) create(options, vocabulary);
}

function withoutText(vocabSize: number): Vocabulary {
  return { vocabSize, eosIds: [], bytes: () => new Uint8Array() };
}
