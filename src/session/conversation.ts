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
    return sequence.length;
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
    this.model.engine.release(this.sequence);
  }
}

function disposed(doing: string): EngineError {
  return new EngineError(`Cannot ${doing}: the session was disposed`);
}
