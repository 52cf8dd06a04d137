// The model of an isolate as a server's routes ask for it: a request computes for itself, by promises and timers of its own.
import type { Llama } from "../api/llama.ts";
import { resolveSampling } from "../sample/registry.ts";
import { tokenEvent } from "../server/jobs/job_run.ts";
import { QueueError } from "../server/jobs/queue_error.ts";
import { LocalModel } from "../server/local_model.ts";
import type {
  Job,
  JobEvent,
  JobPrompt,
  ModelFacts,
  ModelStatus,
  ServedModel,
  TokenText,
} from "../server/model.ts";
import type { Completion, GenerateOptions } from "../session/options.ts";
import type { Session } from "../session/session.ts";
import { yieldToRequests } from "../util/yield.ts";
import type { Slice } from "./answer.ts";
import type { RequestQueue, Ticket } from "./queue.ts";

/** What a served model needs of its worker. */
export interface EdgeModelOptions {
  readonly llama: Llama;
  /** Its name for clients. */
  readonly id: string;
  readonly queue: RequestQueue;
  /** How much a request may compute; what it has then is its answer. */
  readonly slice: Slice;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  onToken(): void;
  /** Called if a generation fails. */
  onError(): void;
}

// Events that follow each other more quickly than this are one batch.
const BATCH_MS = 20;
const PROMPT_END_CHARS = 256;

/** A job under way. */
interface Running {
  readonly job: Job;
  readonly ids: readonly number[];
  readonly options: GenerateOptions;
  readonly ticket: Ticket;
  readonly sessions: Session[];
  /** What the slice allows yet. */
  tokens: number;
  millis: number;
}

/** A model of this isolate. Choices are computed one after another. */
export class EdgeModel implements ServedModel {
  readonly facts: ModelFacts;
  readonly #options: EdgeModelOptions;
  // Its queue is not used: in workerd no request may wait for another one.
  readonly #local: LocalModel;
  readonly #totals = { promptTokens: 0, cachedTokens: 0, tokens: 0 };

  constructor(options: EdgeModelOptions) {
    const { llama, id } = options;
    this.#options = options;
    this.#local = new LocalModel(llama, { id });
    this.facts = this.#local.facts;
  }

  render(prompt: JobPrompt): Promise<{ readonly text: string; readonly ids: readonly number[] }> {
    return this.#local.render(prompt);
  }

  encode(
    text: string,
    options: { readonly special: boolean; readonly bos: boolean },
  ): Promise<readonly TokenText[]> {
    return this.#local.encode(text, options);
  }

  decode(ids: readonly number[]): Promise<string> {
    return this.#local.decode(ids);
  }

  async status(): Promise<ModelStatus> {
    const { queue } = this.#options;
    const { totals, kvPages } = await this.#local.status();
    const { active, waiting, places } = queue;
    const slots = Array.from({ length: places }, (_, id) => ({
      id,
      busy: id < active,
      promptTokens: 0,
      tokens: 0,
    }));
    return { state: "ready", slots, waiting, kvPages, totals: { ...totals, ...this.#totals } };
  }

  async close(): Promise<void> {}

  async *run(job: Job, signal: AbortSignal): AsyncGenerator<readonly JobEvent[], void> {
    const { slice } = this.#options;
    const sessions: Session[] = [];
    const dispose = () => {
      for (const session of sessions) session.dispose();
    };
    const ticket = this.#enter(dispose, job.before);
    try {
      await ticket.ready(signal);
      const { text, ids } = await this.#local.render(job.prompt);
      const { maxTokens = Number.POSITIVE_INFINITY, maxMillis = Number.POSITIVE_INFINITY } = slice;
      const options = this.#generation(job, signal);
      const running = { job, ids, options, ticket, sessions, tokens: maxTokens, millis: maxMillis };
      const seed = options.seed as number;
      yield* this.#batches(running, { promptEnd: text.slice(-PROMPT_END_CHARS), seed });
    } catch (error) {
      this.#options.onError();
      throw error;
    } finally {
      dispose();
      ticket.leave();
    }
  }

  #enter(onLost: () => void, before: number | undefined): Ticket {
    try {
      return this.#options.queue.enter(onLost, before);
    } catch (error) {
      throw new QueueError((error as Error).message, "full", 1);
    }
  }

  #generation(job: Job, signal: AbortSignal): GenerateOptions {
    const most = Math.min(job.maxTokens ?? Number.POSITIVE_INFINITY, this.#options.maxTokens);
    const sampling = resolveSampling(job.sampling);
    const { stop, logprobs = false } = job;
    return { ...sampling, stop, logprobs, signal, ...(Number.isFinite(most) && { maxTokens: most }) };
  }

  async *#batches(
    running: Running,
    begin: { readonly promptEnd: string; readonly seed: number },
  ): AsyncGenerator<readonly JobEvent[], void> {
    const { job, ids, sessions } = running;
    const { llama } = this.#options;
    const base = llama.session();
    sessions.push(base);
    const cachedTokens = base.recall(ids);
    this.#totals.promptTokens += ids.length;
    this.#totals.cachedTokens += cachedTokens;
    let batch: JobEvent[] = [{ kind: "begin", promptTokens: ids.length, cachedTokens, ...begin }];
    let rest = ids.slice(cachedTokens);
    if (job.n > 1) {
      const { signal } = running.options;
      if (rest.length > 1) await base.append(rest.slice(0, -1), signal && { signal });
      rest = rest.slice(-1);
    }
    for (let choice = 0; choice < job.n; choice++) {
      const session = choice === job.n - 1 ? base : base.fork();
      if (session !== base) sessions.push(session);
      let since = Date.now();
      for await (const event of this.#choose(running, session, rest, choice)) {
        batch.push(event);
        if (Date.now() - since < BATCH_MS && event.kind !== "end") continue;
        yield batch;
        running.ticket.follow();
        batch = [];
        since = Date.now();
      }
      session.dispose();
    }
    if (batch.length > 0) yield batch;
  }

  async *#choose(
    running: Running,
    session: Session,
    ids: readonly number[],
    choice: number,
  ): AsyncGenerator<JobEvent> {
    const { ticket, options } = running;
    const generation = session.generate(ids, { ...options, choice });
    for (let tokens = 0; ; tokens++) {
      ticket.beat();
      if (running.tokens <= 0 || running.millis <= 0) {
        yield { kind: "end", choice, finishReason: "length", tokens };
        return;
      }
      const begin = Date.now();
      const { done, value } = await generation.next();
      // Other requests come to share the next step, and the runtime may tell that this client has left.
      await yieldToRequests();
      running.millis -= Date.now() - begin;
      if (done) {
        yield endOf(choice, value);
        return;
      }
      running.tokens--;
      this.#totals.tokens++;
      this.#options.onToken();
      yield tokenEvent(this.#options.llama.tokenizer, choice, value, options.logprobs !== false);
    }
  }
}

function endOf(choice: number, { finishReason, stop, usage }: Completion): JobEvent {
  const tokens = usage.generatedTokens;
  return { kind: "end", choice, finishReason, ...(stop !== undefined && { stop }), tokens };
}
