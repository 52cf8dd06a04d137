// Runs a generation to its end, token by token.
import type { Engine } from "../engine/engine.ts";
import type { Work } from "../engine/step_queue.ts";
import type { Sequence } from "../model/kv_cache.ts";
import type { TokenLogprob } from "../sample/chain.ts";
import { UsageError } from "../util/errors.ts";
import type { Conversation } from "./conversation.ts";
import { alternativesOf, type Generation, type RunOptions } from "./generation.ts";
import type { Completion, FinishReason, Piece } from "./options.ts";
import { GeneratedPiece } from "./piece.ts";
import { Stopwatch } from "./stopwatch.ts";

/**
 * Goes on with a conversation's generation until it ends. Each token is a piece; text that is not certain yet
 * comes with a later one, the rest of it with the last. A caller that stops listening leaves the generation open, and so
 * does an abort. A stop string's tokens are taken off the conversation again, see {@link Generation.seenEnd}.
 * @param prompt what the result says of the prompt: its tokens, and how many of them the session had already
 * @throws SamplingError for logits that are no numbers; UsageError if another generation has begun
 *   meanwhile; the signal's reason when it is aborted, unless `stopOnAbort`
 */
export async function* runGeneration(
  conversation: Conversation,
  generation: Generation,
  prompt: { readonly promptTokens: number; readonly keptTokens: number },
  options: RunOptions,
): AsyncGenerator<Piece, Completion> {
  const run = new Run(conversation, generation, prompt, options);
  conversation.generation = generation;
  if (run.isAborted) return run.finish("abort");
  if (run.isLong) {
    conversation.generation = undefined;
    return run.finish("length");
  }
  try {
    for (;;) {
      run.enter();
      try {
        const rest = run.step();
        if (rest) await rest;
        run.accept();
      } catch (error) {
        if (run.isAborted && error === options.signal?.reason) return run.finish("abort");
        throw conversation.explain(error, "generate");
      } finally {
        conversation.leave();
      }
      yield run.piece();
      if (run.result) return run.result;
    }
  } finally {
    run.leave();
  }
}

// A token that is drawn from the last id's logits. It is made once for a generation: a model of 70 us a token would
// notice objects that each token leaves.
class NextToken implements Work {
  readonly sequence: Sequence;
  readonly ids: readonly number[];
  readonly outputs = "last";
  begin = 0;
  end = 0;
  lastStep = 0;
  id = 0;
  logprob = Number.NaN;
  alternatives: readonly TokenLogprob[] = [];
  readonly #engine: Engine;
  readonly #generation: Generation;
  readonly #nAlternatives: number | undefined;

  constructor({ model, sequence, ids }: Conversation, generation: Generation, options: RunOptions) {
    this.sequence = sequence;
    this.ids = ids;
    this.#engine = model.engine;
    this.#generation = generation;
    this.#nAlternatives = alternativesOf(options);
  }

  read(row: number): void {
    const { sampler } = this.#generation;
    sampler.logitsPtr = this.#engine.logitsAddress(row);
    this.id = sampler.sample(this.ids, this.ids.length);
    if (this.#nAlternatives !== undefined) this.logprob = sampler.logprob(this.id);
    if (this.#nAlternatives) this.alternatives = sampler.mostLikely(this.#nAlternatives);
  }
}

// One call of runGeneration: what it has generated, and what ends it.
class Run {
  /** Set with the last piece. */
  result: Completion | undefined;
  readonly #conversation: Conversation;
  readonly #generation: Generation;
  readonly #promptTokens: number;
  readonly #options: RunOptions;
  readonly #token: NextToken;
  readonly #eos: ReadonlySet<number>;
  // How many ids there were.
  readonly #first: number;
  readonly #watch: Stopwatch;
  #text = "";

  constructor(
    conversation: Conversation,
    generation: Generation,
    { promptTokens, keptTokens }: { readonly promptTokens: number; readonly keptTokens: number },
    options: RunOptions,
  ) {
    const { tokenizer, loadMs } = conversation.model;
    this.#conversation = conversation;
    this.#generation = generation;
    this.#promptTokens = promptTokens;
    this.#options = options;
    this.#token = new NextToken(conversation, generation, options);
    this.#eos = new Set(generation.settings.ignoreEos ? [] : tokenizer.eosIds);
    this.#first = conversation.ids.length;
    conversation.cachedTokens = keptTokens;
    this.#watch = new Stopwatch(loadMs);
  }

  /** Whether an abort ended it that is no error. */
  get isAborted(): boolean {
    const { signal, stopOnAbort = false } = this.#options;
    return stopOnAbort && signal?.aborted === true;
  }

  /** Whether it has all of its tokens. */
  get isLong(): boolean {
    return this.#conversation.ids.length - this.#generation.begin >= this.#generation.settings.maxTokens;
  }

  /** @throws UsageError if the conversation is another generation's now, or busy */
  enter(): void {
    this.#conversation.enter();
    this.#watch.start();
  }

  /** Computes what is not cached and draws a token. Undefined if that is over at the return. */
  step(): Promise<void> | undefined {
    const conversation = this.#conversation;
    if (conversation.generation !== this.#generation) {
      throw new UsageError(
        "Cannot go on with a generation: its session has begun another or was rolled back",
      );
    }
    conversation.rewind();
    const { signal } = this.#options;
    const fed = conversation.feed(signal);
    return fed ? fed.then(() => this.#submit()) : this.#submit();
  }

  #submit(): Promise<void> | undefined {
    const { sequence, ids, model } = this.#conversation;
    this.#token.begin = sequence.length;
    this.#token.end = ids.length;
    return model.engine.scheduler.submit(this.#token, this.#options.signal);
  }

  /** Adds the token that was drawn. */
  accept(): void {
    const { ids } = this.#conversation;
    ids.push(this.#token.id);
    this.#generation.sampler.accept(this.#token.id);
    if (ids.length === this.#first + 1) {
      this.#watch.prefilled();
      this.#conversation.keep();
    } else this.#watch.decoded();
  }

  /** The token with the text that it makes certain. With the last one, all ends. */
  piece(): Piece {
    const { id, logprob, alternatives } = this.#token;
    const { matcher } = this.#generation;
    const reason = this.#reasonAt(id);
    let text = reason === "eos" ? "" : this.#generation.push(id);
    const isLast = matcher.matched || reason !== undefined;
    if (isLast && !matcher.matched) text += this.#generation.flush();
    this.#text += text;
    if (isLast) this.#end(matcher.matched ? "stop" : (reason as FinishReason));
    return new GeneratedPiece(id, text, logprob, alternatives);
  }

  /** The result so far. */
  finish(finishReason: FinishReason): Completion {
    const { ids } = this.#conversation;
    const { found } = this.#generation.matcher;
    const generatedTokens = ids.length - this.#first;
    return {
      text: this.#text,
      ids: ids.slice(this.#first),
      finishReason,
      ...(found !== undefined && { stop: found }),
      usage: {
        promptTokens: this.#promptTokens,
        cachedTokens: this.#conversation.cachedTokens,
        generatedTokens,
      },
      timings: this.#watch.timings(this.#promptTokens, generatedTokens),
    };
  }

  /** No other token is asked for soon. */
  leave(): void {
    this.#conversation.model.engine.scheduler.leave(this.#token);
  }

  // Why the generation ends with this token, stop strings aside.
  #reasonAt(id: number): FinishReason | undefined {
    const { sequence, model } = this.#conversation;
    if (this.#eos.has(id)) return "eos";
    if (sequence.length === model.engine.layout.contextLength) return "context";
    return this.isLong ? "length" : undefined;
  }

  #end(reason: FinishReason): void {
    const conversation = this.#conversation;
    conversation.generation = undefined;
    this.result = this.finish(reason);
    this.leave();
    if (reason === "stop") conversation.forget(this.#generation.seenEnd(conversation.ids));
    if (conversation.once) conversation.dispose();
  }
}
