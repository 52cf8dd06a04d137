// The tokens that may still be chosen, and their order.
import { SamplingError } from "../util/errors.ts";
import type { SampleKernels } from "./kernels.ts";

/** Where a sampler's arrays lie in linear memory; byte addresses, multiples of 4. */
export interface SampleMemory {
  readonly memory: WebAssembly.Memory;
  /** f32 logits [rows]; changed during a call and restored before it returns. */
  readonly logitsPtr: number;
  /** `samplerBytes(vocabSize)` bytes, in use only during a call: samplers may share them. */
  readonly scratchPtr: number;
  /** Tokens that can be chosen: the first logits. */
  readonly vocabSize: number;
  /**
   * Logits that the model has, at least `vocabSize` (the default): files pad the embedding. A row without a token is
   * never chosen, but it takes its part of the probability.
   */
  readonly rows?: number;
}

/** Bytes of scratch that a sampler over `vocabSize` logits needs: i32 ids and f32 values in sorted order. */
export function samplerBytes(vocabSize: number): number {
  return 8 * vocabSize;
}

/** How much of the order is worked out first, and by what factor more if that was not enough. */
const FIRST_SORTED = 256;
const SORTED_GROWTH = 8;

/**
 * The tokens that may still be chosen: all of the vocabulary at first, in the order of their ids and weighed
 * by their logits in place. A filter needs them by descending logit (ties by ascending id) but seldom many
 * of them: `grow` works out a longer and longer beginning of that order, `keepFirst` ends at a part of it.
 */
export class Candidates {
  /** How many are sorted. */
  count = 0;
  /** Whether the sorted ones are all there are; else every token with a logit over -Infinity is one. */
  complete = false;
  /** Largest logit. */
  max = 0;
  /** Candidate i has weight exp((logit - max) * scale). */
  scale = 1;
  /** Ids of the sequence so far, of which the first `historyLength` count. */
  history: ArrayLike<number> = [];
  historyLength = 0;
  /** Byte address of the logits. */
  logitsPtr: number;
  readonly vocabSize: number;

  readonly #rows: number;
  readonly #kernels: SampleKernels;
  readonly #memory: WebAssembly.Memory;
  readonly #idsPtr: number;
  readonly #valuesPtr: number;
  // Views of the whole memory, made anew when it has grown.
  #floats: Float32Array;
  #words: Int32Array;
  #changed = 0;
  readonly #changedIds: number[] = [];
  readonly #changedLogits: number[] = [];

  constructor(kernels: SampleKernels, place: SampleMemory) {
    this.#kernels = kernels;
    this.#memory = place.memory;
    this.vocabSize = place.vocabSize;
    this.#rows = place.rows ?? place.vocabSize;
    this.logitsPtr = place.logitsPtr;
    this.#idsPtr = place.scratchPtr;
    this.#valuesPtr = place.scratchPtr + 4 * place.vocabSize;
    this.#floats = new Float32Array(place.memory.buffer);
    this.#words = new Int32Array(place.memory.buffer);
  }

  /** All tokens again, for the logits that memory holds now. */
  reset(history: ArrayLike<number>, historyLength: number): void {
    this.count = 0;
    this.complete = false;
    this.scale = 1;
    this.history = history;
    this.historyLength = historyLength;
    this.#changed = 0;
  }

  /** The logit of a token. */
  logit(id: number): number {
    this.#refreshViews();
    return this.#floats[this.logitsPtr / 4 + id] as number;
  }

  /** Changes a logit until `restore`; before anything is sorted. */
  setLogit(id: number, value: number): void {
    this.#changedIds[this.#changed] = id;
    this.#changedLogits[this.#changed] = this.logit(id);
    this.#changed++;
    this.#floats[this.logitsPtr / 4 + id] = value;
  }

  /** How often `setLogit` was called. */
  get changes(): number {
    return this.#changed;
  }

  /** Whether `setLogit` has changed a token's logit since there were so many {@link changes}. */
  isChanged(id: number, since: number): boolean {
    for (let i = since; i < this.#changed; i++) if (this.#changedIds[i] === id) return true;
    return false;
  }

  /** Gives changed logits their old values. */
  restore(): void {
    while (this.#changed > 0) {
      this.#changed--;
      const id = this.#changedIds[this.#changed] as number;
      this.#floats[this.logitsPtr / 4 + id] = this.#changedLogits[this.#changed] as number;
    }
  }

  /**
   * The id of the largest logit, ties to the lowest id; sets `max`.
   * @throws SamplingError if a logit is NaN (which one) or none is over -Infinity.
   */
  findBest(): number {
    const best = this.#kernels.argmax(this.logitsPtr, this.vocabSize);
    if (best < 0) throw this.#refusal();
    this.max = this.logit(best);
    return best;
  }

  /** Sorts more of the candidates; false if all are. */
  grow(): boolean {
    if (this.complete) return false;
    this.#sort(this.count === 0 ? FIRST_SORTED : this.count * SORTED_GROWTH);
    return true;
  }

  /** Leaves the first `count` of the order, or all if there are fewer. */
  keepFirst(count: number): void {
    if (!this.complete && this.count < count) this.#sort(count);
    this.count = Math.min(this.count, count);
    this.complete = true;
  }

  /** Sum of the weights of all candidates, at least 1. */
  sumWeights(): number {
    if (this.complete) return this.#kernels.sum_exp(this.#valuesPtr, this.count, this.max, this.scale);
    return this.#kernels.sum_exp(this.logitsPtr, this.vocabSize, this.max, this.scale);
  }

  /** How many sorted candidates precede the one at which their running sum of weights reaches `target`. */
  walkSorted(target: number): number {
    return this.#kernels.walk_exp(this.#valuesPtr, this.count, this.max, this.scale, target);
  }

  /** How many sorted candidates weigh at least `weight`. */
  countHeavy(weight: number): number {
    return this.#kernels.min_p_count(this.#valuesPtr, this.count, this.scale, weight);
  }

  /** The token at which the running sum of all candidates' weights reaches `target`, in (0, sumWeights()]. */
  walk(target: number): number {
    if (this.complete) return this.id(this.walkSorted(target));
    return this.#kernels.walk_exp(this.logitsPtr, this.vocabSize, this.max, this.scale, target);
  }

  /** The id of sorted candidate i. */
  id(i: number): number {
    this.#refreshViews();
    return this.#words[this.#idsPtr / 4 + i] as number;
  }

  /**
   * log(sum(exp(logits))) over all rows, with and without a token.
   * @throws SamplingError if a logit is NaN (which one) or none is over -Infinity.
   */
  logSumExp(): number {
    const total = this.#kernels.log_sum_exp(this.logitsPtr, this.#rows);
    if (!(total > -Infinity)) throw this.#refusal();
    return total;
  }

  #sort(count: number): void {
    const k = Math.min(count, this.vocabSize);
    this.count = this.#kernels.top_k(this.logitsPtr, this.vocabSize, k, this.#idsPtr, this.#valuesPtr);
    this.complete = this.count < k || k === this.vocabSize;
  }

  #refreshViews(): void {
    const { buffer } = this.#memory;
    if (this.#floats.buffer === buffer) return;
    this.#floats = new Float32Array(buffer);
    this.#words = new Int32Array(buffer);
  }

  #refusal(): SamplingError {
    for (let id = 0; id < this.#rows; id++) {
      if (Number.isNaN(this.logit(id))) {
        return new SamplingError(`Cannot sample: Expected logits that are numbers, got NaN for token ${id}`);
      }
    }
    return new SamplingError(
      `Cannot sample: Expected a logit over -Infinity, got none among ${this.vocabSize}`,
    );
  }
}
