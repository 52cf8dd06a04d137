// Conversations: the public class, over what conversation.ts holds and continuation.ts runs.
import type { Sequence } from "../model/kv_cache.ts";
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import { inspectSymbol, oneLine } from "../util/inspect.ts";
import { checkBoolean, checkOptions, checkSignal, type OptionNames } from "../util/options.ts";
import { runGeneration } from "./continuation.ts";
import { Conversation, type SessionModel } from "./conversation.ts";
import { checkResume, Generation, type RunOptions, resolveGeneration, wholeOptions } from "./generation.ts";
import type { Message } from "./messages.ts";
import type { Completion, GenerateOptions, Piece, Prompt } from "./options.ts";
import { checkRoom, encodeBeginning, encodePrompt, haveText, isMessages } from "./prompt.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot/snapshot.ts";

export type { SessionModel } from "./conversation.ts";

type AppendOptions = Pick<GenerateOptions, "signal" | "special">;

const appendNames: OptionNames<AppendOptions> = { signal: true, special: true };

/**
 * A conversation whose keys and values stay in memory: what is generated goes on from all that was said before,
 * and only what is new is computed. Made by `llama.session()`, `llama.restore()` and `fork()`.
 *
 * ```ts
 * using session = llama.session();
 * await session.complete("Once upon a time", { maxTokens: 40 });
 * const bytes = session.save();
 * await session.complete(" One day,", { maxTokens: 40 });
 * ```
 */
export class Session implements Disposable {
  readonly #state: Conversation;

  /**
   * @internal `llama.session()` makes sessions.
   * @param once whether it disposes itself when a generation has drawn its last token
   */
  constructor(
    model: SessionModel,
    sequence: Sequence = model.engine.sequence(),
    ids: number[] = [],
    once = false,
  ) {
    this.#state = new Conversation(model, sequence, ids, once);
  }

  /**
   * A session that disposes itself when its first generation has drawn its last token, before that token is handed
   * over: a caller that stops listening there leaves nothing behind.
   * @internal
   */
  static once(model: SessionModel): Session {
    return new Session(model, model.engine.sequence("generation"), [], true);
  }

  /**
   * The session that {@link save} made bytes of, over a model that must be the same; `llama.restore()` calls it.
   * @internal
   * @throws SnapshotError if the bytes are damaged, or of another model or other settings; MemoryError if
   *   the memory budget has no room for it
   */
  static restore(model: SessionModel, bytes: Uint8Array): Session {
    const { engine, tokenizer } = model;
    const { sequence, ids, generation } = decodeSnapshot(engine, tokenizer, bytes);
    const session = new Session(model, sequence, ids);
    session.#state.generation = generation;
    return session;
  }

  /**
   * Tokens so far, prompts and continuations: a copy. An end-of-text token is one of them. The tokens of a stop
   * string are not: they are taken off, up to the last token that carries text which was seen. Of a token that
   * began with seen text and went on into the stop string, the whole stays.
   */
  get ids(): number[] {
    return this.#state.ids.slice();
  }

  /** How many tokens there are: the position of the next one. */
  get pos(): number {
    return this.#state.ids.length;
  }

  /** @internal How many of them have their keys and values in memory. */
  get cached(): number {
    return this.#state.sequence.length;
  }

  /** Whether a generation was left before its end, so that {@link resume} goes on with it. */
  get resumable(): boolean {
    return this.#state.generation !== undefined;
  }

  /**
   * Adds a prompt and streams what follows it. A text is encoded as a text of its own, with BOS at the
   * beginning of the session only; an empty one adds nothing if there is a token to go on from. Ids are added as
   * they are. Messages are all that was said: what the session has in common with them stays, the rest is forgotten, and
   * only what is new is computed.
   * Ended early (`break`, an abort), the generation stays open: see {@link resume}. Errors come with the first
   * `next()`; a prompt or an option that is refused leaves the session as it was.
   * @throws UsageError, UnsupportedError, ContextError, SamplingError, EngineError; the signal's reason when it is
   *   aborted, unless `stopOnAbort`
   */
  async *generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<Piece, Completion> {
    const { engine, tokenizer } = this.#state.model;
    const settings = resolveGeneration(options);
    this.#state.check("generate");
    const encoded = this.#encode("generate", prompt, options.special);
    if (!options.stopOnAbort) options.signal?.throwIfAborted();
    this.#add(encoded);
    const { ids } = this.#state;
    const generation = new Generation(engine, tokenizer, settings, ids.length, haveText(tokenizer, ids));
    return yield* runGeneration(this.#state, generation, encoded, options);
  }

  /** The whole continuation of a prompt. Errors as {@link generate}. */
  async complete(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion> {
    return completionOf(this.generate(prompt, wholeOptions(options)));
  }

  /**
   * Goes on with the generation that was left before its end, here or before a snapshot, with the options that
   * it was begun with. What comes is what would have come: the same tokens, and text cut at the same places.
   * @throws UsageError if there is none; errors as {@link generate}
   */
  async *resume(options: RunOptions = {}): AsyncGenerator<Piece, Completion> {
    checkResume(options);
    this.#state.check("resume");
    const { generation } = this.#state;
    if (!generation) {
      throw new UsageError("Cannot resume: Expected a generation that was left before its end, got none");
    }
    return yield* runGeneration(this.#state, generation, { promptTokens: 0, keptTokens: 0 }, options);
  }

  /**
   * Adds a text or ids without generating, so that forks and later generations find them in the cache.
   * @throws UsageError, UnsupportedError, ContextError, EngineError; the signal's reason when it is aborted
   */
  async append(prompt: Prompt, options: AppendOptions = {}): Promise<void> {
    checkOptions("append", options, appendNames);
    checkSignal("append", options.signal);
    checkBoolean("append", "special", options.special);
    this.#state.check("append");
    const encoded = this.#encode("append", prompt, options.special);
    options.signal?.throwIfAborted();
    this.#add(encoded);
    if (encoded.added.length > 0) await this.#feed(options.signal);
  }

  /**
   * Begins an empty session with what the prefix cache has of ids, but for the last.
   * @internal
   * @returns how many that are: the caller adds the others
   */
  recall(ids: readonly number[]): number {
    this.#state.check("recall");
    const { sequence, model } = this.#state;
    const n = model.engine.prefixCache?.recall(sequence, ids) ?? 0;
    for (let i = 0; i < n; i++) this.#state.ids.push(ids[i] as number);
    return n;
  }

  /** A second session with the same past; both go on apart, and share the memory of what they have in common. */
  fork(): Session {
    this.#state.check("fork");
    const { model, sequence, ids, generation } = this.#state;
    const { engine, tokenizer } = model;
    const copy = new Session(model, sequence.fork(), ids.slice());
    if (generation) {
      const { settings, begin, afterText, sampler } = generation;
      const again = new Generation(engine, tokenizer, settings, begin, afterText);
      again.sampler.load(sampler.save());
      again.replay(ids);
      copy.#state.generation = again;
    }
    return copy;
  }

  /**
   * Forgets every token from position `pos` on, and the generation that was open.
   * @throws UsageError for a position beyond the last token
   */
  rollback(pos: number): void {
    this.#state.check("roll back");
    const { ids } = this.#state;
    if (!Number.isInteger(pos) || pos < 0 || pos > ids.length) {
      const got = describeValue(pos);
      throw new UsageError(`Cannot roll back: Expected a position in [0, ${ids.length}], got ${got}`);
    }
    this.#state.forget(pos);
    this.#state.generation = undefined;
  }

  /**
   * The session as bytes, without the weights: tokens, their keys and values, and the open generation with its
   * samplers, stop strings and unfinished character. `llama.restore(bytes)` goes on bit for bit, in any
   * runtime, with any number of threads. Whoever has the bytes can read the conversation.
   * @throws UsageError while a token is computed
   */
  save(): Uint8Array<ArrayBuffer> {
    this.#state.check("save");
    const { model, sequence, ids, generation } = this.#state;
    const { engine, tokenizer } = model;
    return encodeSnapshot(engine, tokenizer, { sequence, ids, generation });
  }

  /** Gives the memory back to other sessions. A generation that still runs fails. Safe to call twice. */
  dispose(): void {
    this.#state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The session on one line: how many tokens it has, of how many. */
  toString(): string {
    const { contextLength } = this.#state.model.engine.layout;
    const { pos, resumable } = this;
    return oneLine("Session", {
      pos,
      contextLength,
      ...(resumable && { resumable }),
      ...(this.#state.isDisposed && { disposed: true }),
    });
  }

  /** @internal What consoles print. */
  [inspectSymbol](): string {
    return this.toString();
  }

  get [Symbol.toStringTag](): string {
    return "Session";
  }

  async #feed(signal: AbortSignal | undefined): Promise<void> {
    const { model, sequence, ids } = this.#state;
    const { scheduler } = model.engine;
    this.#state.enter();
    try {
      this.#state.rewind();
      await this.#state.feed(signal);
      const segment = { sequence, ids, begin: sequence.length, end: ids.length, outputs: "none" } as const;
      await scheduler.compute(segment, () => {}, signal);
      this.#state.keep();
    } catch (error) {
      throw this.#state.explain(error, "append");
    } finally {
      this.#state.leave();
    }
  }

  #add({ kept, added }: EncodedPrompt): void {
    const { ids } = this.#state;
    if (kept < ids.length) this.#state.forget(kept);
    for (const id of added) ids.push(id);
    this.#state.generation = undefined;
  }

  #encode(action: string, prompt: Prompt, special: boolean | undefined): EncodedPrompt {
    const { tokenizer, engine } = this.#state.model;
    if (isMessages(prompt)) return this.#encodeMessages(action, prompt);
    const { contextLength, config } = engine.layout;
    const taken = this.#state.ids.length;
    const encoding = { action, tokenizer, vocabSize: config.vocabSize, special };
    if (taken === 0) {
      const added = encodeBeginning(prompt, encoding, contextLength);
      return { kept: 0, added, promptTokens: added.length, keptTokens: 0 };
    }
    const added = encodePrompt(prompt, { ...encoding, begins: false });
    checkRoom(action, taken, added.length, contextLength);
    return { kept: taken, added, promptTokens: added.length, keptTokens: 0 };
  }

  #encodeMessages(action: string, messages: readonly Message[]): EncodedPrompt {
    const { template, engine } = this.#state.model;
    const { contextLength } = engine.layout;
    const { ids } = template.render(messages);
    checkRoom(action, 0, ids.length, contextLength);
    const past = this.#state.ids;
    let kept = 0;
    while (kept < ids.length && ids[kept] === past[kept]) kept++;
    return { kept, added: ids.slice(kept), promptTokens: ids.length, keptTokens: kept };
  }
}

/** What a prompt does to a session. */
interface EncodedPrompt {
  /** Ids of the session that stay. */
  readonly kept: number;
  /** What comes behind them. */
  readonly added: readonly number[];
  readonly promptTokens: number;
  /** Of the prompt's tokens, those that were the session's already. */
  readonly keptTokens: number;
}

/** Runs a generation to its end. */
export async function completionOf(generation: AsyncGenerator<Piece, Completion>): Promise<Completion> {
  for (;;) {
    const { done, value } = await generation.next();
    if (done) return value;
  }
}
