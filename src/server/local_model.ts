// A model that computes in this thread, for a server: the queue of its jobs, and what runs them.
import type { Llama } from "../api/llama.ts";
import { chatDefaults } from "../chat/defaults.ts";
import { checkSampling } from "../sample/chain.ts";
import { resolveSampling, samplingNames } from "../sample/registry.ts";
import { resolveGeneration } from "../session/generation.ts";
import { checkRoom, encodeBeginning } from "../session/prompt.ts";
import { EngineError } from "../util/errors.ts";
import { checkFunction, checkOptions, type OptionNames, wrongOption } from "../util/options.ts";
import { FairQueue } from "./jobs/fair_queue.ts";
import { type JobHost, JobRun, type ReadyJob, type Totals, tokenText } from "./jobs/job_run.ts";
import { QueueError } from "./jobs/queue_error.ts";
import type { Job, JobEvent, JobPrompt, ModelFacts, ModelStatus, ServedModel, TokenText } from "./model.ts";

/** Options of {@link LocalModel}. */
export interface LocalModelOptions {
  /** Its name for clients. */
  id: string;
  /** Choices that compute at once. Default 8, as many as a step takes. */
  parallel?: number;
  /** Jobs that may wait beyond those. Default 64. */
  queue?: number;
  /** Loads the model again after its engine has failed; without it the model stays failed. */
  reload?: () => Promise<Llama>;
  /** Most tokens of an answer that does not say how many. Default: as in chats (220 of tales-chat), else to the end of the context. */
  defaultMaxTokens?: number | undefined;
}

const names: OptionNames<LocalModelOptions> = {
  id: true,
  parallel: true,
  queue: true,
  reload: true,
  defaultMaxTokens: true,
};

const DEFAULT_PARALLEL = 8;
const DEFAULT_QUEUE = 64;
/** Most choices of a job. */
const MOST_CHOICES = 128;
/** How much of a prompt's end is told. */
const PROMPT_END_CHARS = 256;
/** Seconds after which to ask again while the model is loaded. */
const RELOAD_SECONDS = 2;

/** @throws UsageError for what is no loaded model: a promise of one, say. A Llama of another bundle is one as well. */
export function checkLoaded(action: string, llama: unknown): void {
  if (Object(Object(llama).tokenizer).vocabSize) return;
  throw wrongOption(action, "llama", "a loaded Llama: await Llama.load(...)", llama);
}

/** A model of this thread behind a server. It disposes the model when it is closed. */
export class LocalModel implements ServedModel {
  readonly facts: ModelFacts;
  readonly #queue: FairQueue;
  readonly #totals: Totals = { promptTokens: 0, cachedTokens: 0, tokens: 0 };
  readonly #reload: (() => Promise<Llama>) | undefined;
  readonly #host: JobHost;
  readonly #runs = new Set<JobRun>();
  #llama: Llama;
  #state: ModelStatus["state"] = "ready";
  // Steps of engines that have failed.
  #oldSteps = 0;

  /** @throws UsageError */
  constructor(llama: Llama, options: LocalModelOptions) {
    checkLoaded("serve", llama);
    checkOptions("serve", options, names);
    const { id, parallel = DEFAULT_PARALLEL, queue = DEFAULT_QUEUE, reload, defaultMaxTokens } = options;
    if (typeof id !== "string" || id === "") throw wrongOption("serve", "id", "a name", id);
    checkCount("parallel", parallel, 1);
    checkCount("queue", queue, 0);
    if (defaultMaxTokens !== undefined) checkCount("defaultMaxTokens", defaultMaxTokens, 0);
    checkFunction("serve", "reload", reload);
    this.#llama = llama;
    this.#reload = reload;
    this.#queue = new FairQueue(parallel, queue);
    this.facts = factsOf(llama, id, defaultMaxTokens);
    this.#host = {
      model: () => this.#ready(),
      queue: this.#queue,
      totals: this.#totals,
      onError: (failed) => this.#onError(failed),
    };
  }

  async render(prompt: JobPrompt): Promise<{ readonly text: string; readonly ids: readonly number[] }> {
    const llama = this.#ready();
    if ("messages" in prompt) {
      const { messages, tools, variables } = prompt;
      const rendered = llama.template.render(messages, { tools, variables });
      checkRoom("generate", 0, rendered.ids.length, llama.contextLength);
      return rendered;
    }
    const given = "ids" in prompt ? prompt.ids : prompt.text;
    const ids = encodeBeginning(
      given,
      {
        action: "generate",
        tokenizer: llama.tokenizer,
        vocabSize: llama.config.vocabSize,
        special: "text" in prompt ? prompt.special : undefined,
      },
      llama.contextLength,
    );
    return { text: typeof given === "string" ? given : "", ids };
  }

  async encode(
    text: string,
    options: { readonly special: boolean; readonly bos: boolean },
  ): Promise<readonly TokenText[]> {
    const { tokenizer } = this.#ready();
    const ids = tokenizer.encode(text, { ...options, eos: false });
    // One object for each id: a text of a megabyte has a million tokens, and what is shared is also sent once.
    const texts = new Map([...new Set(ids)].map((id) => [id, tokenText(tokenizer, id)]));
    return ids.map((id) => texts.get(id) as TokenText);
  }

  async decode(ids: readonly number[]): Promise<string> {
    return this.#ready().tokenizer.decode(ids, { special: true });
  }

  async *run(job: Job, signal: AbortSignal): AsyncGenerator<readonly JobEvent[], void> {
    signal.throwIfAborted();
    const run = new JobRun(await this.#prepare(job), this.#host, signal);
    this.#runs.add(run);
    try {
      for (let batch = await run.events.take(); batch; batch = await run.events.take()) yield batch;
    } finally {
      this.#runs.delete(run);
      run.cancel(new QueueError("Cannot go on: nobody reads the answer", "closed"));
    }
  }

  async status(): Promise<ModelStatus> {
    const { steps, kvPages } = this.#llama.work;
    return {
      state: this.#state,
      slots: this.#queue.places.map((place, id) => ({
        id,
        busy: place !== undefined,
        promptTokens: place?.promptTokens ?? 0,
        tokens: place?.tokens ?? 0,
      })),
      waiting: this.#queue.waiting,
      kvPages,
      totals: { ...this.#totals, steps: this.#oldSteps + steps },
    };
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const error = new QueueError("Cannot go on: the server stops", "closed");
    for (const run of this.#runs) run.cancel(error);
    this.#llama.dispose();
  }

  async #prepare(job: Job): Promise<ReadyJob> {
    const { n, owner, before, deadlineMs, stop, logprobs = false } = job;
    if (!(Number.isInteger(n) && n >= 1 && n <= MOST_CHOICES)) {
      throw wrongOption("generate", "n", `an integer in [1, ${MOST_CHOICES}]`, n);
    }
    checkOptions("generate", job.sampling, samplingNames);
    const sampling = resolveSampling(job.sampling);
    const maxTokens = job.maxTokens ?? this.facts.defaultMaxTokens;
    const options = { ...sampling, stop, maxTokens, logprobs };
    resolveGeneration(options);
    checkSampling(sampling, this.#ready().tokenizer);
    const { text, ids } = await this.render(job.prompt);
    return { n, owner, before, deadlineMs, ids, promptEnd: text.slice(-PROMPT_END_CHARS), options };
  }

  #ready(): Llama {
    this.#onError(this.#llama);
    if (this.#state === "ready") return this.#llama;
    if (this.#state === "closed") throw new QueueError("Cannot go on: the server stops", "closed");
    if (this.#state === "failed") throw new EngineError("Cannot go on: the model has failed");
    throw new QueueError("Cannot go on: the model is loaded again", "loading", RELOAD_SECONDS);
  }

  // An engine that failed is of no use. Those that run find out by themselves; those that wait are told.
  #onError(llama: Llama): void {
    if (!llama.failed || llama !== this.#llama || this.#state !== "ready") return;
    const error = new EngineError("Cannot go on: the engine has failed");
    this.#state = "failed";
    this.#queue.fail(error);
    for (const run of this.#runs) run.cancel(error);
    if (this.#reload) void this.#loadAgain(this.#reload);
  }

  async #loadAgain(reload: () => Promise<Llama>): Promise<void> {
    this.#state = "loading";
    this.#oldSteps += this.#llama.work.steps;
    this.#llama.dispose();
    try {
      const llama = await reload();
      if (this.#is("closed")) {
        llama.dispose();
        return;
      }
      this.#llama = llama;
      this.#state = "ready";
    } catch {
      if (!this.#is("closed")) this.#state = "failed";
    }
  }

  // States change while others are waited for.
  #is(state: ModelStatus["state"]): boolean {
    return this.#state === state;
  }
}

function checkCount(name: string, value: unknown, min: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= min) return;
  throw wrongOption("serve", name, `an integer of at least ${min}`, value);
}

function factsOf(
  { name, tokenizer, template, contextLength, config }: Llama,
  id: string,
  maxTokens: number | undefined,
): ModelFacts {
  let longest = 1;
  for (let i = 0; i < tokenizer.vocabSize; i++) {
    longest = Math.max(longest, tokenizer.bytes(i, { special: true }).length);
  }
  return {
    id,
    created: Math.floor(Date.now() / 1000),
    contextLength,
    vocabSize: config.vocabSize,
    maxPromptBytes: longest * contextLength,
    hasTemplate: template.source !== undefined,
    answerFormat: template.format,
    defaultMaxTokens: maxTokens ?? chatDefaults(name).maxTokens,
  };
}
