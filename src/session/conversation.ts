// What a session and its generations share: ids, the cache of their keys and values, and who may change them.
import type { Engine } from "../engine/engine.ts";
import type { Sequence } from "../model/kv_cache.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import { EngineError, UsageError } from "../util/errors.ts";
import type { Generation } from "./generation.ts";
import type { MessageEncoder } from "./prompt.ts";

/** What a session has of the model it belongs to. */
export interface SessionModel {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly loadMs: number;
  /** What makes ids of messages. */
  readonly template: MessageEncoder;
}

/** Tokens so far, and the state of what is done with them. */
export class Conversation {
  readonly model: SessionModel;
  readonly sequence: Sequence;
  /** All tokens so far. Those from `sequence.length` on are not cached yet. */
  readonly ids: number[];
  /** The generation that can be resumed, if there is one. */
  generation: Generation | undefined;
  /** Whether it disposes itself with the last token of a generation. */
  readonly once: boolean;
  /** Positions that were found in the prefix cache since this was set to 0. */
  cachedTokens = 0;
  #isBusy = false;
  #isDisposed = false;

  constructor(model: SessionModel, sequence: Sequence, ids: number[], once: boolean) {
    this.model = model;
    this.sequence = sequence;
    this.ids = ids;
    this.once = once;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** @throws EngineError if it was disposed; UsageError while a token is computed */
  check(doing: string): void {
    if (this.#isDisposed) throw disposed(doing);
    if (this.#isBusy) {
      throw new UsageError(`Cannot ${doing}: Expected a session that is idle, this one computes a token`);
    }
  }

  /** Begins work that changes the ids. @throws what {@link check} throws */
  enter(): void {
    this.check("generate");
    this.#isBusy = true;
  }

  /** Ends what {@link enter} began. */
  leave(): void {
    this.#isBusy = false;
  }

  /** What a caller is told of an error: that the session was disposed, if that is why. */
  explain(error: unknown, doing: string): unknown {
    return this.#isDisposed ? disposed(doing) : error;
  }

  /** The first id that a step has to take: of those that are not cached, or the last one. */
  rewind(): number {
    const { sequence, ids } = this;
    // Nobody keeps logits: if all ids are cached, the last is computed again, to the same bits.
    if (sequence.length === ids.length) sequence.rollback(ids.length - 1);
    if (sequence.length === 0) this.cachedTokens += this.model.engine.prefixCache?.recall(sequence, ids) ?? 0;
    return sequence.length;
  }

  /**
   * Computes ids up to a checkpoint, if there is one before the last id: keys and values are kept there for other prompts.
   * Models whose layers see everything need none, because they can go on from any position. Undefined if there is nothing to do.
   */
  feed(signal: AbortSignal | undefined): Promise<void> | undefined {
    const { engine } = this.model;
    if (!engine.prefixCache) return undefined;
    const next = this.sequence.length - (this.sequence.length % CHECKPOINT) + CHECKPOINT;
    const isSimple = () =>
      engine.pool.classes.every(({ window, isState }) => window === undefined && !isState);
    if (next >= this.ids.length || isSimple()) return undefined;
    return this.#feedUpTo(next, signal);
  }

  async #feedUpTo(end: number, signal: AbortSignal | undefined): Promise<void> {
    const { sequence, ids, model } = this;
    for (; end < ids.length; end += CHECKPOINT) {
      const segment = { sequence, ids, begin: sequence.length, end, outputs: "none" } as const;
      await model.engine.scheduler.compute(segment, () => {}, signal);
      this.keep();
    }
  }

  /** Leaves what is computed to prompts that begin alike. */
  keep(): void {
    this.model.engine.prefixCache?.add(this.sequence, this.ids, true);
  }

  /** Forgets every token from position `pos` on. */
  forget(pos: number): void {
    this.ids.length = pos;
    this.sequence.rollback(Math.min(pos, this.sequence.length));
  }

  /** Gives the memory back. Safe to call twice. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.generation = undefined;
    this.model.engine.release(this.sequence, this.ids);
  }
}

// Positions between two checkpoints: a multiple of a page and of a step.
const CHECKPOINT = 256;

function disposed(doing: string): EngineError {
  return new EngineError(`Cannot ${doing}: the session was disposed`);
}
