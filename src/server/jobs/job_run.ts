// One job over a model: its prompt, which is computed once, and its choices.
import type { Llama } from "../../api/llama.ts";
import type { GenerateOptions, Piece } from "../../session/options.ts";
import type { Session } from "../../session/session.ts";
import type { Tokenizer } from "../../tokenizer/core/tokenizer.ts";
import type { Job, JobEvent, TokenText } from "../model.ts";
import { EventBuffer } from "./event_buffer.ts";
import { type FairQueue, GENERATED_WEIGHT, type Place } from "./fair_queue.ts";
import { QueueError } from "./queue_error.ts";

/** Sums over all jobs. */
export interface Totals {
  promptTokens: number;
  cachedTokens: number;
  tokens: number;
}

/** A job that is ready to be queued: its prompt is known, its options are checked. */
export interface ReadyJob extends Pick<Job, "n" | "owner" | "before" | "deadlineMs"> {
  readonly ids: readonly number[];
  /** The end of the prompt's text. */
  readonly promptEnd: string;
  /** Options of each choice; with a seed. */
  readonly options: GenerateOptions & { readonly seed: number };
}

/** What jobs share. */
export interface JobHost {
  /** The model, once the job has a place. @throws QueueError if there is none now */
  model(): Llama;
  readonly queue: FairQueue;
  readonly totals: Totals;
  /** Called with what a job failed with. */
  onError(llama: Llama, error: unknown): void;
}

/** A job under way. */
export class JobRun {
  readonly events: EventBuffer = new EventBuffer();
  readonly #job: ReadyJob;
  readonly #host: JobHost;
  readonly #abort = new AbortController();
  readonly #onAbort: () => void;
  readonly #signal: AbortSignal;
  readonly #deadline: ReturnType<typeof setTimeout> | undefined;

  /** Joins the queue. */
  constructor(job: ReadyJob, host: JobHost, signal: AbortSignal) {
    this.#job = job;
    this.#host = host;
    this.#signal = signal;
    this.#onAbort = () => this.cancel(signal.reason);
    signal.addEventListener("abort", this.#onAbort);
    const { deadlineMs } = job;
    if (deadlineMs !== undefined) {
      const late = () =>
        this.cancel(new QueueError(`Cannot end the job within ${deadlineMs} ms`, "deadline"));
      this.#deadline = setTimeout(late, Math.min(deadlineMs, MOST_TIMER_MS));
    }
    if (signal.aborted) this.#onAbort();
    void this.#run();
  }

  /** Ends it with an error, at once. Later calls change nothing. */
  cancel(reason: unknown): void {
    this.events.fail(reason);
    this.#abort.abort(reason);
  }

  async #run(): Promise<void> {
    const { owner, ids, n, before } = this.#job;
    let place: Place | undefined;
    try {
      place = await this.#host.queue.enter(owner, ids.length, this.#abort.signal, before);
      await (n === 1 ? this.#single(place) : this.#several(place));
      this.events.end();
    } catch (error) {
      this.cancel(error);
    } finally {
      place?.release();
      clearTimeout(this.#deadline);
      this.#signal.removeEventListener("abort", this.#onAbort);
    }
  }

  async #single(place: Place): Promise<void> {
    const llama = this.#host.model();
    const session = llama.session();
    try {
      const rest = this.#begin(session, place);
      await this.#choose(llama, session, rest, 0, place, this.#abort.signal);
    } catch (error) {
      this.#host.onError(llama, error);
      throw error;
    } finally {
      session.dispose();
    }
  }

  // All choices begin with forks of one session, which has all of the prompt but its last id.
  async #several(place: Place): Promise<void> {
    const llama = this.#host.model();
    const base = llama.session();
    const choices: Promise<void>[] = [];
    try {
      const rest = this.#begin(base, place);
      const last = rest.slice(-1);
      if (rest.length > 1) await base.append(rest.slice(0, -1), { signal: this.#abort.signal });
      for (let i = 0; i < this.#job.n; i++)
        choices.push(this.#fork(llama, base, last, i, i === 0 ? place : undefined));
      await Promise.all(choices);
    } catch (error) {
      this.#host.onError(llama, error);
      this.cancel(error);
      throw error;
    } finally {
      await Promise.allSettled(choices);
      base.dispose();
    }
  }

  async #fork(
    llama: Llama,
    base: Session,
    last: readonly number[],
    choice: number,
    given: Place | undefined,
  ): Promise<void> {
    const { owner, ids } = this.#job;
    // Node warns of more than ten listeners of one signal.
    const signal = AbortSignal.any([this.#abort.signal]);
    const place = given ?? (await this.#host.queue.again(owner, signal));
    place.promptTokens = ids.length;
    let session: Session | undefined;
    try {
      session = base.fork();
      await this.#choose(llama, session, last, choice, place, signal);
    } finally {
      session?.dispose();
      place.release();
    }
  }

  // The job is computed from now on. What of its prompt the session has not.
  #begin(session: Session, place: Place): readonly number[] {
    const { totals } = this.#host;
    const { ids, owner, promptEnd, options } = this.#job;
    const cachedTokens = session.recall(ids);
    this.#host.queue.charge(owner, -cachedTokens);
    place.promptTokens = ids.length;
    totals.promptTokens += ids.length;
    totals.cachedTokens += cachedTokens;
    const { seed } = options;
    this.events.push({ kind: "begin", promptTokens: ids.length, cachedTokens, promptEnd, seed });
    return ids.slice(cachedTokens);
  }

  async #choose(
    llama: Llama,
    session: Session,
    ids: readonly number[],
    choice: number,
    place: Place,
    signal: AbortSignal,
  ): Promise<void> {
    const { events } = this;
    const { owner, options } = this.#job;
    const { queue, totals } = this.#host;
    const generation = session.generate(ids, { ...options, choice, signal });
    for (;;) {
      const { done, value } = await generation.next();
      if (done) {
        const { finishReason, stop, usage } = value;
        const tokens = usage.generatedTokens;
        events.push({ kind: "end", choice, finishReason, ...(stop !== undefined && { stop }), tokens });
        return;
      }
      place.tokens++;
      totals.tokens++;
      queue.charge(owner, GENERATED_WEIGHT);
      events.push(tokenEvent(llama.tokenizer, choice, value, options.logprobs !== false));
      if (events.isFull) await this.#pause(place, signal);
    }
  }

  // Nobody reads: others may compute meanwhile.
  async #pause(place: Place, signal: AbortSignal): Promise<void> {
    place.release();
    await this.events.drained(signal);
    await place.retake(signal);
  }
}

// Timers of more than 31 bits fire at once.
const MOST_TIMER_MS = 2 ** 31 - 1;

/** What happened with a token. @param isDetailed whether log-probabilities are asked for */
export function tokenEvent(
  tokenizer: Tokenizer,
  choice: number,
  { id, text, logprob, alternatives }: Piece,
  isDetailed: boolean,
): JobEvent {
  if (!isDetailed) return { kind: "token", choice, text };
  return {
    kind: "token",
    choice,
    text,
    logprob,
    token: generatedText(tokenizer, id),
    alternatives: alternatives.map((other) => ({
      ...generatedText(tokenizer, other.id),
      logprob: other.logprob,
    })),
  };
}

// Bytes are those that the token adds to an answer. Control tokens add none, nor does one that ends it.
function generatedText(tokenizer: Tokenizer, id: number): TokenText {
  const isHidden = id >= tokenizer.vocabSize || tokenizer.eosIds.includes(id);
  return { ...tokenText(tokenizer, id), bytes: isHidden ? [] : [...tokenizer.bytes(id)] };
}

/** A token as text and bytes; control tokens as they are spelled. Ids without a token are rows that a model is padded with. */
export function tokenText(tokenizer: Tokenizer, id: number): TokenText {
  const bytes = id < tokenizer.vocabSize ? tokenizer.bytes(id, { special: true }) : new Uint8Array();
  return { id, text: new TextDecoder().decode(bytes), bytes: [...bytes] };
}
