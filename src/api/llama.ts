// A loaded model: the class `Llama` of the public API.
import type { Chat } from "../chat/chat.ts";
import { decodeChat } from "../chat/chat_bytes.ts";
import { type ChatOptions, checkChatOptions } from "../chat/options.ts";
import type { ModelTemplate } from "../chat/template/model_template.ts";
import { Engine, type Preparation } from "../engine/engine.ts";
import { type ModelSource, type OpenModelOptions, openModel } from "../format/open_model.ts";
import type { LoadedTokenizer } from "../format/tokenizer_file.ts";
import type { KernelChoices, Tuner } from "../kernels/tune/tuner.ts";
import type { ModelConfig } from "../model/config.ts";
import { DEFAULT_MODEL } from "../package.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { wholeOptions } from "../session/generation.ts";
import type { Completion, GenerateOptions, Piece, Prompt } from "../session/options.ts";
import { encodePrompt } from "../session/prompt.ts";
import { completionOf, Session, type SessionModel } from "../session/session.ts";
import { companionOptions } from "../source/open.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import { describeValue } from "../util/describe.ts";
import { ContextError, EngineError, SamplingError, UsageError } from "../util/errors.ts";
import { inspectSymbol, oneLine } from "../util/inspect.ts";
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSignal,
  type OptionNames,
  wrongOption,
} from "../util/options.ts";
import type { LoadOptions } from "./load_options.ts";
import { checkLoadOptions } from "./load_options.ts";
import { progressReport } from "./load_progress.ts";
import { type ModelTalk, modelTalk, newChat } from "./model_talk.ts";
import { modelTokenizer } from "./model_tokenizer.ts";

/** What {@link Llama.perplexity} measures. */
export interface Perplexity {
  /** Mean negative log-likelihood of a token, in nats. */
  readonly nll: number;
  /** e^nll. */
  readonly perplexity: number;
  /** Tokens that were scored. */
  readonly tokens: number;
}

/** Options of {@link Llama.perplexity}. */
export interface PerplexityOptions {
  /** Tokens that are scored from one empty cache. Default: the context length. */
  window?: number;
  /** Parse special tokens such as "<s>" in a text. Default false. */
  special?: boolean;
  /** Called after each token that was scored, in order; `tokens` is how many will be. */
  onProgress?: (progress: { readonly scored: number; readonly tokens: number }) => void;
  /** Gives the scoring up. */
  signal?: AbortSignal;
}

const perplexityNames: OptionNames<PerplexityOptions> = {
  window: true,
  special: true,
  onProgress: true,
  signal: true,
};

/**
 * A language model, loaded and ready.
 *
 * ```ts
 * await using llama = await Llama.load("model.gguf");
 * for await (const piece of llama.generate("Once upon a time", { maxTokens: 64 })) write(piece.text);
 * ```
 */
export class Llama implements AsyncDisposable {
  /** Text to ids and back, as this model was trained with. */
  readonly tokenizer: Tokenizer;
  /** The name that the file gives the model: "tales-chat"; undefined if it gives none. */
  readonly name: string | undefined;
  /** What makes prompts of messages: the model's chat template. It is there also if the model has none, and says so. */
  readonly template: ModelTemplate;
  /** Milliseconds that loading took. */
  readonly loadMs: number;
  /** Hyper-parameters of the model. */
  readonly config: ModelConfig;
  /** Positions that a prompt and its continuation may have. */
  readonly contextLength: number;
  /** What the file says wrongly and was passed over, a sentence each: special ids outside the vocabulary. */
  readonly warnings: readonly string[];
  #loaded: Engine | undefined;
  readonly #tuner: Tuner;
  readonly #talk: ModelTalk;

  private constructor(
    engine: Engine,
    { tokenizer, warnings }: LoadedTokenizer,
    talk: ModelTalk,
    loadMs: number,
  ) {
    this.#talk = talk;
    this.name = talk.name;
    this.#loaded = engine;
    this.tokenizer = tokenizer;
    this.template = talk.template;
    this.warnings = warnings;
    this.loadMs = loadMs;
    this.config = engine.layout.config;
    this.contextLength = engine.layout.contextLength;
    this.#tuner = engine.tuner;
  }

  get #engine(): Engine {
    if (!this.#loaded) throw new EngineError("Cannot use a model that was disposed");
    return this.#loaded;
  }

  /**
   * Loads a model: a file (GGUF or llama2.c), any part of a model in several GGUF files, a folder or repository of
   * safetensors, or files by their names; without a source "cria:tales", which comes with cria and continues stories.
   * "cria:tales-chat" comes with it too, and talks. Files stream into memory once; they are never held as a whole. With `sha256` no model of another digest is returned.
   * @throws SourceError, FormatError, UnsupportedError, MemoryError, UsageError; see their documentation
   */
  static async load(source?: ModelSource, options: LoadOptions = {}): Promise<Llama> {
    const begin = performance.now();
    checkLoadOptions(options);
    const { signal, sha256, cache, http, maxBytes, onProgress } = options;
    signal?.throwIfAborted();
    const report = onProgress && progressReport(onProgress);
    const open: OpenModelOptions = { signal, sha256, cache, http, maxBytes, onBytes: report?.onBytes };
    const opened = await openModel(source === undefined ? DEFAULT_MODEL : source, detectRuntime(), open);
    let prepared: Preparation | undefined;
    try {
      // Threads start while the header is read and the tokenizer is built.
      prepared = Engine.prepare(options, opened.size);
      const file = await opened.read();
      const tokenizer = await modelTokenizer(file, options.tokenizer, companionOptions(source, options));
      const talk = modelTalk(file, options.chatTemplate, tokenizer.tokenizer);
      const engine = await Engine.create(file, { ...options, onProgress: report?.onWeights }, prepared);
      try {
        await opened.finish();
        report?.onEnd();
      } catch (error) {
        engine.retire(new EngineError("Cannot use a model whose loading failed"));
        throw error;
      }
      return new Llama(engine, tokenizer, talk, performance.now() - begin);
    } catch (error) {
      prepared?.pool.stop();
      throw error;
    } finally {
      await opened.close();
    }
  }

  /** Threads that may compute: at most the cores there are, without those that could not be started. */
  get threads(): number {
    return this.#loaded?.threads ?? 0;
  }

  /** What it computes with on this machine, as it is now: build, form of the dot product, streams, splats, threads. */
  get kernel(): KernelChoices {
    return this.#tuner.choices;
  }

  /** Bytes of linear memory: weights, KV cache and everything else. */
  get memoryBytes(): number {
    return this.#engine.kernel.memory.buffer.byteLength;
  }

  /** Whether it can compute no more: it was disposed, a kernel trapped or a thread died. */
  get failed(): boolean {
    return this.#loaded?.failed ?? true;
  }

  /** Bytes that linear memory may grow to; less than was asked for if the runtime gives less. */
  get maxBytes(): number {
    return this.#engine.maxBytes;
  }

  /** Bytes of keys and values of a session that fills its context. */
  get sessionBytes(): number {
    return this.#engine.layout.kv.sequenceBytes;
  }

  /** @internal What it does, for servers: steps so far, and pages of keys and values that are in use, of how many. */
  get work(): {
    readonly steps: number;
    readonly kvPages: { readonly used: number; readonly total: number };
  } {
    const { steps = 0, pool } = this.#loaded ?? {};
    return { steps, kvPages: { used: pool?.used ?? 0, total: pool?.total ?? 0 } };
  }

  /**
   * Streams the continuation of a prompt, token by token. The generator's return value is the whole. Errors, those
   * of options too, come with the first `next()`.
   * @throws UsageError, UnsupportedError, ContextError, SamplingError, EngineError; the signal's reason when it is
   *   aborted, unless `stopOnAbort`
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<Piece, Completion> {
    return this.#oneShot(prompt, options);
  }

  /** The whole continuation of a prompt. Errors as {@link generate}. */
  async complete(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion> {
    return completionOf(this.generate(prompt, wholeOptions(options)));
  }

  /** A conversation that keeps its keys and values between generations. Dispose it when it is over. */
  session(): Session {
    return new Session(this.#sessionModel);
  }

  /**
   * The session that `session.save()` made bytes of. It goes on bit for bit as the saved one would have.
   * @throws SnapshotError if the bytes are damaged, or of another model or other settings (precision, kv,
   *   contextLength); MemoryError if the memory budget has no room for it
   */
  restore(bytes: Uint8Array): Session {
    return Session.restore(this.#sessionModel, bytes);
  }

  /**
   * A conversation by the model's chat template, which keeps its keys and values. Dispose it when it is over.
   * @throws UsageError for wrong options; UnsupportedError if the model has no chat template and none is given
   */
  chat(options: ChatOptions = {}): Chat {
    checkChatOptions(options);
    return newChat(this.#talk, this.contextLength, options, () => this.session());
  }

  /**
   * The chat that `chat.save()` made bytes of. It goes on bit for bit as the saved one would have.
   * @throws SnapshotError, MemoryError as {@link restore}
   */
  restoreChat(bytes: Uint8Array, { onTrim }: Pick<ChatOptions, "onTrim"> = {}): Chat {
    const { options, session } = decodeChat(bytes);
    const all = { ...options, ...(onTrim && { onTrim }) };
    return newChat(this.#talk, this.contextLength, all, () => this.restore(session));
  }

  /**
   * Logits [vocabSize] of what follows `ids`, before any sampler. The ids are taken as they are: no BOS is
   * put before them.
   * @throws ContextError if there are none or too many; UsageError for ids outside the vocabulary
   */
  async logits(ids: ArrayLike<number>): Promise<Float32Array> {
    this.#checkIds(ids);
    const engine = this.#engine;
    const sequence = engine.sequence("computation");
    try {
      return await engine.prefill(sequence, ids, (row) => engine.logits(row).slice());
    } finally {
      engine.release(sequence);
    }
  }

  /**
   * How well the model predicts a text: BOS and the text's tokens, or ids as they are, in windows of `window` tokens,
   * each from an empty cache, every token scored but the first.
   * @throws ContextError for a window longer than the context; UsageError for a text with nothing to score;
   *   SamplingError if logits are NaN; the signal's reason
   */
  async perplexity(prompt: Prompt, options: PerplexityOptions = {}): Promise<Perplexity> {
    checkOptions("score", options, perplexityNames);
    const { window = this.contextLength, special } = options;
    checkBoolean("score", "special", special);
    checkFunction("score", "onProgress", options.onProgress);
    checkSignal("score", options.signal);
    options.signal?.throwIfAborted();
    if (!Number.isInteger(window) || window < 1) {
      throw wrongOption("score", "window", "a positive integer", window);
    }
    if (window > this.contextLength) {
      throw new ContextError(
        `Cannot score with a window of ${window}: Expected at most ${this.contextLength} (the context length)`,
      );
    }
    const ids = encodePrompt(prompt, {
      action: "score",
      tokenizer: this.tokenizer,
      vocabSize: this.config.vocabSize,
      special,
      begins: true,
    });
    if (ids.length < 2) {
      throw new UsageError(`Cannot score a text: Expected at least two tokens, got ${ids.length}`);
    }
    let sum = 0;
    for (let begin = 0; begin + 1 < ids.length; begin += window) {
      sum += await this.#windowNll(ids, begin, Math.min(begin + window, ids.length - 1), options);
    }
    const tokens = ids.length - 1;
    const nll = sum / tokens;
    return { nll, perplexity: this.#engine.kernel.exports.exp_f64(nll), tokens };
  }

  // Sum of -ln p over ids[begin + 1 .. end], each predicted from those before it in the window.
  async #windowNll(
    ids: readonly number[],
    begin: number,
    end: number,
    { onProgress, signal }: PerplexityOptions,
  ): Promise<number> {
    const engine = this.#engine;
    const sequence = engine.sequence("computation");
    let sum = 0;
    const read = (row: number, i: number) => {
      const { exports } = engine.kernel;
      const total = exports.log_sum_exp(engine.logitsAddress(row), engine.layout.config.vocabSize);
      if (Number.isNaN(total)) {
        throw new SamplingError(
          `Cannot score a text: Expected logits that are numbers, got NaN after token ${i}`,
        );
      }
      sum += total - (engine.logits(row)[ids[i + 1] as number] as number);
      onProgress?.({ scored: i + 1, tokens: ids.length - 1 });
    };
    try {
      await engine.scheduler.compute({ sequence, ids, begin, end, outputs: "all" }, read, signal);
      return sum;
    } finally {
      engine.release(sequence);
    }
  }

  get #sessionModel(): SessionModel {
    const { tokenizer, template, loadMs } = this;
    return { engine: this.#engine, tokenizer, template, loadMs };
  }

  // A session of one generation, whose memory is given back with the last token.
  async *#oneShot(prompt: Prompt, options: GenerateOptions): AsyncGenerator<Piece, Completion> {
    const session = Session.once(this.#sessionModel);
    try {
      return yield* session.generate(prompt, options);
    } finally {
      session.dispose();
    }
  }

  #checkIds(ids: ArrayLike<number>): void {
    if (typeof ids !== "object" || ids === null || !Number.isInteger(ids.length)) {
      throw new UsageError(`Cannot compute logits: Expected an array of ids, got ${describeValue(ids)}`);
    }
    if (ids.length < 1 || ids.length > this.contextLength) {
      throw new ContextError(
        `Cannot compute logits: Expected 1 to ${this.contextLength} ids (the context length), got ${ids.length}`,
      );
    }
    const { vocabSize } = this.config;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
        throw new UsageError(
          `Cannot compute logits: Expected ids in [0, ${vocabSize}), got ${describeValue(id)} at index ${i}`,
        );
      }
    }
  }

  /** Lets the memory go. Generations that still run fail. Safe to call twice. */
  dispose(): void {
    this.#loaded?.retire(new EngineError("Cannot use a model that was disposed"));
    this.#loaded = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** The facts of the model, for `JSON.stringify`. */
  toJSON(): Record<string, unknown> {
    const { architecture, dim, nLayers, vocabSize } = this.config;
    const { contextLength, kernel, threads, failed } = this;
    const facts = { architecture, dim, nLayers, vocabSize, contextLength, kernel, threads };
    return failed ? { ...facts, failed } : facts;
  }

  /** The model on one line. */
  toString(): string {
    return oneLine("Llama", this.toJSON());
  }

  /** @internal What consoles print. */
  [inspectSymbol](): string {
    return this.toString();
  }

  get [Symbol.toStringTag](): string {
    return "Llama";
  }
}
