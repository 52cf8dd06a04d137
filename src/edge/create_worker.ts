// A server of one model for edge runtimes.

import type { Llama } from "../api/llama.ts";
import { checkLoadOptions } from "../api/load_options.ts";
import { allKinds } from "../format/all_kinds.ts";
import { provideOtherKinds } from "../format/other_kinds.ts";
import { HttpError } from "../server/http/errors.ts";
import type { Guard } from "../server/http/guard.ts";
import { guardOf } from "../server/http/guard_options.ts";
import { RequestHandler } from "../server/http/handler.ts";
import { errorResponse } from "../server/http/responses.ts";
import { allRoutes } from "../server/routes/all.ts";
import type { Session } from "../session/session.ts";
import { huggingFaceKind } from "../tokenizer/huggingface/kind.ts";
import { provideJsonKind } from "../tokenizer/json_kind.ts";
import { UsageError } from "../util/errors.ts";
import { checkOptions, type OptionNames, wrongOption } from "../util/options.ts";
import { Answer, type Slice } from "./answer.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { type EdgeCall, EdgeModels } from "./edge_models.ts";
import { type ExecutionContext, SharedModel, type WorkerLoadOptions, type WorkerModel } from "./model.ts";
import { RequestQueue, type Ticket } from "./queue.ts";
import { checkHeaders, type GenerateRequest, readBody, readGenerateRequest } from "./request.ts";
import { describeError, errorAnswer, eventStream, json, RequestError } from "./responses.ts";
import { EdgeModel } from "./served_model.ts";

/** Where snapshots are kept between the requests of one generation: a key-value store of the platform. */
export interface SnapshotStore {
  get(key: string): Promise<ArrayBuffer | Uint8Array | null | undefined>;
  put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<unknown>;
}

/** Options of {@link createWorker}. */
export interface WorkerOptions<Env = unknown> extends WorkerLoadOptions {
  /** The model, or what finds it among the bindings: `(env) => env.ASSETS.fetch("https://assets/model.gguf")`. */
  model: WorkerModel | ((env: Env) => WorkerModel | Promise<WorkerModel>);
  /**
   * Most bytes of memory in all: linear memory, the model's file if it is in memory too, and 32 MiB for everything
   * else. A model that does not fit is refused before anything is allocated. Default: 128 MiB, as Cloudflare has it.
   */
  memoryBytes?: number;
  /** Ends a request before its generation; the next one goes on. Default: no end. */
  slice?: Slice;
  /** Most tokens that a generation may have. Default: to the end of the context. */
  maxTokens?: number;
  /** Requests that compute at once and share steps; fewer if memory has no room. Default 8. */
  concurrency?: number;
  /** Requests that may wait beyond those; more are answered with 503. Default 32. */
  queue?: number;
  /** Keeps snapshots; without it the client gets them. */
  store?: SnapshotStore | ((env: Env) => SnapshotStore);
  /** The model's name for clients of OpenAI's routes. Default: what its file calls it, or "cria". */
  name?: string;
  /** Keys that every route needs but `/` and `/health`, or what finds them among the bindings. Default: none. */
  apiKeys?: readonly string[] | ((env: Env) => readonly string[]);
  /** Origins of pages that may use OpenAI's routes; "*" for all. Default: none. */
  cors?: string | readonly string[];
}

/** What runtimes call a worker: `export default createWorker({ model })`, `Deno.serve(worker.fetch)`. */
export interface Worker<Env = unknown> {
  fetch(request: Request, env?: Env, context?: ExecutionContext): Promise<Response>;
}

const DEFAULT_MEMORY_BYTES = 128 << 20;
const DEFAULT_CONCURRENCY = 8;
const DEFAULT_QUEUE = 32;
/** Longest JSON of a request, without a snapshot. */
const MAX_BODY_BYTES = 64 << 10;
/** The same of OpenAI's routes: conversations are sent whole. */
const MAX_OPENAI_BYTES = 1 << 20;
const KEEP_ALIVE_MS = 15_000;
/** Longest that a body may take to arrive. */
const BODY_MS = 10_000;
/** Longest that a client may read nothing while others wait. */
const IDLE_MS = 30_000;
// Copies of a session that a request may need at once: its pages and its bytes, and if the client keeps it, its
// text as well, in and out.
const COPIES_STORED = 2;
const COPIES_SENT = 8;

const sliceNames: OptionNames<Slice> = { maxTokens: true, maxMillis: true };

const workerNames: OptionNames<WorkerOptions> = {
  model: true,
  memoryBytes: true,
  slice: true,
  maxTokens: true,
  concurrency: true,
  queue: true,
  store: true,
  name: true,
  apiKeys: true,
  cors: true,
  contextLength: true,
  ropeScaling: true,
  gelu: true,
  precision: true,
  kv: true,
  tokenizer: true,
  chatTemplate: true,
  sha256: true,
  http: true,
};

function count(name: string, value: number | undefined, fallback: number, min: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw wrongOption("create a worker", name, `an integer of at least ${min}`, value);
}

class EdgeWorker<Env> {
  readonly #options: WorkerOptions<Env>;
  readonly #memoryBytes: number;
  readonly #concurrency: number;
  readonly #maxTokens: number;
  readonly #queue: RequestQueue;
  readonly #model: SharedModel<Env>;
  #openai: { readonly guard: Guard; readonly handler: RequestHandler } | undefined;
  #requests = 0;
  #tokens = 0;

  constructor(options: WorkerOptions<Env>) {
    checkOptions("create a worker", options, workerNames);
    const { model, memoryBytes, slice = {}, maxTokens, concurrency, queue, store } = options;
    checkOptions("create a worker with slice", slice, sliceNames);
    if (model === undefined || model === null) {
      throw new UsageError(`Cannot create a worker: Expected a model, got ${model}`);
    }
    if (store !== undefined && typeof store !== "function" && !isStore(store)) {
      throw wrongOption("create a worker", "store", "an object with get and put, or a function", store);
    }
    this.#options = options;
    this.#memoryBytes = count("memoryBytes", memoryBytes, DEFAULT_MEMORY_BYTES, 1);
    this.#maxTokens = count("maxTokens", maxTokens, Number.POSITIVE_INFINITY, 1);
    this.#concurrency = count("concurrency", concurrency, DEFAULT_CONCURRENCY, 1);
    count("slice.maxTokens", slice.maxTokens, 0, 1);
    count("slice.maxMillis", slice.maxMillis, 0, 1);
    this.#queue = new RequestQueue(this.#concurrency, count("queue", queue, DEFAULT_QUEUE, 0), IDLE_MS);
    const { contextLength, ropeScaling, gelu, precision, kv, tokenizer, chatTemplate, sha256, http } =
      options;
    const load = { contextLength, ropeScaling, gelu, precision, kv, tokenizer, chatTemplate, sha256, http };
    const given = Object.fromEntries(Object.entries(load).filter(([, value]) => value !== undefined));
    checkLoadOptions(given);
    this.#model = new SharedModel(model, given, this.#memoryBytes);
  }

  async fetch(request: Request, env: Env, context: ExecutionContext | undefined): Promise<Response> {
    try {
      const { pathname } = new URL(request.url);
      if (pathname === "/") return this.#health(request);
      const { guard, handler } = this.#routes(env);
      if (pathname === "/generate") {
        await guard.owner(request);
        return await this.#generate(request, env, context);
      }
      if (isRoute(pathname)) return await handler.fetch(request, { env, context } satisfies EdgeCall<Env>);
      throw new RequestError(
        404,
        "NOT_FOUND",
        "Cannot answer: Expected path / or /generate, or one of OpenAI's such as /v1/chat/completions",
      );
    } catch (error) {
      return error instanceof HttpError ? errorResponse(error) : errorAnswer(error);
    }
  }

  // Bindings are known with the first request, and stay the same.
  #routes(env: Env): { readonly guard: Guard; readonly handler: RequestHandler } {
    if (this.#openai) return this.#openai;
    const { apiKeys = [], cors = [] } = this.#options;
    const guard = guardOf("create a worker", {
      apiKeys: typeof apiKeys === "function" ? apiKeys(env) : apiKeys,
      cors,
    });
    const models = new EdgeModels(this.#model, (llama) => this.#served(llama));
    const handler = new RequestHandler({
      routes: allRoutes,
      models,
      guard,
      limits: {
        body: { bytes: MAX_OPENAI_BYTES, ms: BODY_MS },
        keepAliveMs: KEEP_ALIVE_MS,
        idleMs: IDLE_MS,
        deadlineMs: undefined,
      },
      onError: () => {},
    });
    this.#openai = { guard, handler };
    return this.#openai;
  }

  #served(llama: Llama): EdgeModel {
    const { name = llama.name ?? "cria", slice = {} } = this.#options;
    // Only now is it known how many requests memory has room for.
    this.#queue.places = this.#places(llama);
    return new EdgeModel({
      llama,
      id: name,
      queue: this.#queue,
      slice,
      maxTokens: this.#maxTokens,
      onToken: () => {
        this.#tokens++;
      },
      onError: () => this.#onError(llama),
    });
  }

  #health({ method }: Request): Response {
    if (method !== "GET" && method !== "HEAD") throw wrongMethod("GET, HEAD");
    const { loaded, loading, failure } = this.#model;
    const failed = loaded === undefined && failure !== undefined;
    const status = loaded ? "ready" : loading ? "loading" : failed ? "failed" : "idle";
    const answer = json(
      {
        status,
        ...(failed && !loading && describeError(failure)),
        ...(loaded && describeModel(loaded)),
        memoryBudget: this.#memoryBytes,
        concurrency: this.#queue.places,
        active: this.#queue.active,
        waiting: this.#queue.waiting,
        requests: this.#requests,
        tokens: this.#tokens,
      },
      status === "failed" ? 503 : 200,
    );
    return method === "HEAD" ? new Response(null, answer) : answer;
  }

  async #generate(request: Request, env: Env, context: ExecutionContext | undefined): Promise<Response> {
    if (request.method !== "POST") throw wrongMethod("POST");
    const { signal } = request;
    const known = this.#model.loaded;
    checkHeaders(request.headers, known ? this.#bodyBytes(known) : Number.POSITIVE_INFINITY);
    let answer: Answer | undefined;
    let isLost = false;
    const ticket = this.#queue.enter(() => {
      isLost = true;
      answer?.end();
    });
    // If the runtime tells at all that a client has left.
    const onAbort = () => (answer ? answer.end() : ticket.leave());
    signal.addEventListener("abort", onAbort);
    this.#requests++;
    let llama: Llama | undefined;
    try {
      await ticket.ready(signal);
      llama = await this.#model.get(env, context);
      // Only now is it known how many requests memory has room for.
      this.#queue.places = this.#places(llama);
      await ticket.ready(signal);
      const body = await readBody(request, this.#bodyBytes(llama), BODY_MS);
      answer = await this.#begin(readGenerateRequest(body, this.#maxTokens), llama, env, ticket, signal);
      if (isLost) answer.end();
      return eventStream(await answer.start());
    } catch (error) {
      if (answer) answer.end();
      else ticket.leave();
      this.#onError(llama);
      throw error;
    }
  }

  async #begin(
    asked: GenerateRequest,
    llama: Llama,
    env: Env,
    ticket: Ticket,
    signal: AbortSignal,
  ): Promise<Answer> {
    const session = "resume" in asked ? llama.restore(await this.#saved(asked.resume, env)) : llama.session();
    return new Answer({
      session,
      generation: this.#generation(asked, session, signal),
      ticket,
      slice: this.#options.slice ?? {},
      save: (bytes) => this.#save(bytes, env),
      onToken: () => {
        this.#tokens++;
      },
      onError: () => this.#onError(llama),
    });
  }

  #generation(asked: GenerateRequest, session: Session, signal: AbortSignal) {
    return "resume" in asked
      ? session.resume({ logprobs: false, signal })
      : session.generate(asked.prompt, { ...asked.options, signal });
  }

  // An engine that failed is of no use to the requests that follow.
  #onError(llama: Llama | undefined): void {
    if (llama?.failed) this.#model.forget(llama);
  }

  #store(env: Env): SnapshotStore | undefined {
    const { store } = this.#options;
    return typeof store === "function" ? store(env) : store;
  }

  async #save(bytes: Uint8Array<ArrayBuffer>, env: Env): Promise<string> {
    const store = this.#store(env);
    if (!store) return toBase64(bytes);
    const key = crypto.randomUUID();
    await store.put(key, bytes);
    return key;
  }

  async #saved(resume: string, env: Env): Promise<Uint8Array> {
    const store = this.#store(env);
    const bytes = store ? await fromStore(store, resume) : fromBase64(resume);
    if (bytes) return bytes;
    throw new RequestError(
      404,
      "NOT_FOUND",
      "Cannot resume: Expected what a request has answered, got something else",
    );
  }

  // Longest body: the client brings its session along if nobody else keeps it.
  #bodyBytes({ sessionBytes }: Llama): number {
    return MAX_BODY_BYTES + (this.#options.store ? 0 : Math.ceil((sessionBytes + MAX_BODY_BYTES) / 3) * 4);
  }

  // The first session has its place in linear memory already.
  #places({ memoryBytes, maxBytes, sessionBytes }: Llama): number {
    const each = sessionBytes * (this.#options.store ? COPIES_STORED : COPIES_SENT);
    const more = Math.floor((maxBytes - memoryBytes) / Math.max(1, each));
    return Math.max(1, Math.min(this.#concurrency, 1 + more));
  }
}

function isRoute(path: string): boolean {
  return path.startsWith("/v1/") || allRoutes.some((route) => route.path === path);
}

function isStore(value: unknown): value is SnapshotStore {
  const { get, put } = Object(value);
  return typeof get === "function" && typeof put === "function";
}

async function fromStore(store: SnapshotStore, key: string): Promise<Uint8Array | undefined> {
  // Nothing but what #save has made is a key: a store may hold other things too.
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key)) return undefined;
  const bytes = await store.get(key);
  if (!bytes) return undefined;
  return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
}

function wrongMethod(allow: string): RequestError {
  return new RequestError(405, "METHOD_NOT_ALLOWED", `Cannot answer: Expected method ${allow}`, { allow });
}

function describeModel({ config, contextLength, kernel, memoryBytes }: Llama) {
  const { architecture, dim, nLayers, vocabSize } = config;
  return { model: { architecture, dim, nLayers, vocabSize, contextLength }, kernel, threads: 1, memoryBytes };
}

/**
 * A server of one model for edge runtimes: `POST /generate` streams text as server-sent events, `GET /` answers a line
 * of JSON about its state. One thread, one model for each isolate, loaded at the first request.
 *
 * A request is JSON: `prompt`, a text or ids; `special`, `max_tokens`, `stop` and the sampling fields as they like; or
 * `resume` alone, with what the last event of an earlier answer has under that name. Events are `{"text"}`, and last `{"finish_reason", "usage"}`,
 * `finish_reason` "slice" comes with `resume`, or `{"error"}`.
 *
 * ```ts
 * import model from "./model.gguf";
 * export default createWorker({ model });
 * ```
 *
 * @throws UsageError for options that make no sense
 */
export function createWorker<Env = unknown>(options: WorkerOptions<Env>): Worker<Env> {
  provideJsonKind(huggingFaceKind);
  provideOtherKinds(allKinds);
  const worker = new EdgeWorker(options);
  return { fetch: (request, env, context) => worker.fetch(request, env as Env, context) };
}
