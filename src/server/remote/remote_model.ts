// A model that computes in another thread, for a server: the thread that listens never waits for a step.
import { EngineError } from "../../util/errors.ts";
import { EventBuffer } from "../jobs/event_buffer.ts";
import { QueueError } from "../jobs/queue_error.ts";
import type { Job, JobEvent, JobPrompt, ModelFacts, ModelStatus, ServedModel, TokenText } from "../model.ts";
import {
  type EnginePort,
  type EngineReply,
  type EngineRequest,
  errorOf,
  type RemoteMethod,
} from "./protocol.ts";

/** A thread that runs `serveEngine`. */
export interface EngineThread {
  readonly port: EnginePort;
  /** Ends the thread, whatever it does. */
  stop(): void;
}

/** Starts a thread, and calls `onDeath` when it ends without being stopped. */
export type StartEngine = (onDeath: (reason: string) => void) => EngineThread;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface RunningJob {
  readonly events: EventBuffer;
  /** Batches that came and were not read. */
  batches: number;
}

/** Seconds after which to ask again while a thread is started anew. */
const RESTART_SECONDS = 2;
/** Most time that a thread has to end by itself. */
const CLOSE_MS = 1000;

/**
 * A model behind a port. If its thread dies, jobs that run fail, and another thread is started; until it is there, new jobs are
 * refused.
 */
export class RemoteModel implements ServedModel {
  readonly facts: ModelFacts;
  readonly #start: StartEngine;
  readonly #calls = new Map<number, Waiting>();
  readonly #jobs = new Map<number, RunningJob>();
  #thread: EngineThread;
  #state: "ready" | "loading" | "failed" | "closed" = "ready";
  #next = 0;
  // Sums of threads that have died, and those that were told last, with them.
  #before: Totals = noTotals;
  #totals: Totals = noTotals;

  private constructor(facts: ModelFacts, start: StartEngine, thread: EngineThread) {
    this.facts = facts;
    this.#start = start;
    this.#thread = thread;
  }

  /**
   * Starts a thread and waits until its model is there.
   * @throws what loading throws there; EngineError if the thread dies before
   */
  static async start(start: StartEngine): Promise<RemoteModel> {
    let model: RemoteModel | undefined;
    const { thread, facts } = await begin(start, (reason) => {
      if (model) model.#onDeath(reason);
    });
    model = new RemoteModel(facts, start, thread);
    model.#listen();
    return model;
  }

  async render(prompt: JobPrompt): Promise<{ readonly text: string; readonly ids: readonly number[] }> {
    return (await this.#call("render", prompt)) as { text: string; ids: number[] };
  }

  async encode(
    text: string,
    options: { readonly special: boolean; readonly bos: boolean },
  ): Promise<readonly TokenText[]> {
    return (await this.#call("encode", text, options)) as TokenText[];
  }

  async decode(ids: readonly number[]): Promise<string> {
    return (await this.#call("decode", ids)) as string;
  }

  async *run(job: Job, signal: AbortSignal): AsyncGenerator<readonly JobEvent[], void> {
    signal.throwIfAborted();
    this.#checkReady();
    const id = this.#next++;
    const running: RunningJob = { events: new EventBuffer(), batches: 0 };
    this.#jobs.set(id, running);
    const onAbort = () => running.events.fail(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      this.#post({ kind: "run", id, job });
      for (let events = await running.events.take(); events; events = await running.events.take()) {
        yield events;
        if (!this.#jobs.has(id)) continue;
        this.#post({ kind: "read", id, batches: running.batches });
        running.batches = 0;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (this.#jobs.delete(id)) this.#post({ kind: "abort", id });
    }
  }

  async status(): Promise<ModelStatus> {
    if (this.#state !== "ready") {
      const kvPages = { used: 0, total: 0 };
      return { state: this.#state, slots: [], waiting: 0, kvPages, totals: this.#totals };
    }
    const status = (await this.#call("status")) as ModelStatus;
    const { promptTokens, cachedTokens, tokens, steps } = status.totals;
    const before = this.#before;
    this.#totals = {
      promptTokens: before.promptTokens + promptTokens,
      cachedTokens: before.cachedTokens + cachedTokens,
      tokens: before.tokens + tokens,
      steps: before.steps + steps,
    };
    return { ...status, totals: this.#totals };
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const closing = this.#state === "ready" ? this.#call("close") : Promise.resolve();
    this.#state = "closed";
    this.#failAll(new QueueError("Cannot go on: the server stops", "closed"), true);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([closing.catch(() => {}), limit]);
    clearTimeout(timer);
    this.#failAll(new QueueError("Cannot go on: the server stops", "closed"));
    this.#thread.stop();
  }

  #post(message: EngineRequest): void {
    this.#thread.port.postMessage(message);
  }

  #call(method: RemoteMethod, ...args: readonly unknown[]): Promise<unknown> {
    this.#checkReady();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#post({ kind: "call", id, method, args });
    });
  }

  #checkReady(): void {
    if (this.#state === "ready") return;
    if (this.#state === "closed") throw new QueueError("Cannot go on: the server stops", "closed");
    if (this.#state === "failed") throw new EngineError("Cannot go on: the engine's thread has died");
    throw new QueueError("Cannot go on: the model is loaded again", "loading", RESTART_SECONDS);
  }

  #listen(): void {
    this.#thread.port.onmessage = ({ data }: { readonly data: EngineReply }) => {
      if (data.kind === "ready" || data.kind === "failed") return;
      const job = this.#jobs.get(data.id);
      if (data.kind === "events") {
        if (!job) return;
        job.batches++;
        for (const event of data.events) job.events.push(event);
        return;
      }
      const called = this.#calls.get(data.id);
      this.#calls.delete(data.id);
      this.#jobs.delete(data.id);
      if (data.kind === "done") {
        called?.resolve(data.value);
        job?.events.end();
      } else {
        const error = errorOf(data.error);
        called?.reject(error);
        job?.events.fail(error);
      }
    };
  }

  #failAll(error: Error, jobsOnly = false): void {
    for (const { events } of this.#jobs.values()) events.fail(error);
    this.#jobs.clear();
    if (jobsOnly) return;
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }

  #onDeath(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "loading";
    this.#before = this.#totals;
    this.#failAll(new EngineError(`Cannot go on: the engine's thread died (${reason})`));
    begin(this.#start, (again) => this.#onDeath(again)).then(
      ({ thread }) => {
        if (this.#isClosed) {
          thread.stop();
          return;
        }
        this.#thread = thread;
        this.#listen();
        this.#state = "ready";
      },
      () => {
        if (!this.#isClosed) this.#state = "failed";
      },
    );
  }

  // States change while others are waited for.
  get #isClosed(): boolean {
    return this.#state === "closed";
  }
}

type Totals = ModelStatus["totals"];
const noTotals: Totals = { promptTokens: 0, cachedTokens: 0, tokens: 0, steps: 0 };

// Starts a thread, and waits for its first message.
function begin(
  start: StartEngine,
  onDeath: (reason: string) => void,
): Promise<{ readonly thread: EngineThread; readonly facts: ModelFacts }> {
  return new Promise((resolve, reject) => {
    let isReady = false;
    const thread = start((reason) => {
      if (isReady) onDeath(reason);
      else reject(new EngineError(`Cannot start the engine: its thread died (${reason})`));
    });
    thread.port.onmessage = ({ data }: { readonly data: EngineReply }) => {
      if (data.kind === "ready") {
        isReady = true;
        resolve({ thread, facts: data.facts });
      } else if (data.kind === "failed") {
        thread.stop();
        reject(errorOf(data.error));
      }
    };
  });
}
