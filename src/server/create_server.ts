// createServer(): options, and what runtimes call.
import type { Llama } from "../api/llama.ts";
import { UsageError } from "../util/errors.ts";
import { checkFunction, checkOptions, type OptionNames, wrongOption } from "../util/options.ts";
import { guardOf } from "./http/guard_options.ts";
import { RequestHandler } from "./http/handler.ts";
import { checkLoaded, LocalModel } from "./local_model.ts";
import type { ServedModel } from "./model.ts";
import { GivenModel } from "./model_source.ts";
import { allRoutes } from "./routes/all.ts";

/** Options of {@link createServer}. Of `llama` and `model` one is needed. */
export interface ServerOptions {
  /** A loaded model, which computes in this thread. The server disposes it when it is closed. */
  llama?: Llama;
  /** The name of `llama` for clients. Default: what its file calls it, or "cria". */
  name?: string;
  /** Choices of `llama` that compute at once. Default: 8. */
  parallel?: number;
  /** Requests to `llama` that may wait beyond those; more are answered 429. Default: 64. */
  queue?: number;
  /** What runs jobs instead; or a promise of it, and until then requests are answered 503. */
  model?: ServedModel | Promise<ServedModel>;
  /** Keys that are taken, as `Authorization: Bearer KEY` or `X-Api-Key`. Default: none is needed. */
  apiKeys?: readonly string[];
  /** Origins of pages that may ask, such as "https://example.com"; "*" for all. Default: none. */
  cors?: string | readonly string[];
  /**
   * Names under which the server may be asked, "loopback" for those of the own machine. Default: any, but those of the
   * own machine if the runtime says that nothing else reaches the server (Bun).
   */
  hosts?: "loopback" | readonly string[];
  /** Largest body of a request. Default: 1 MiB. */
  maxBodyBytes?: number;
  /** Milliseconds until a request is given up, waiting included. Default: no limit. */
  deadlineMs?: number;
  /** Milliseconds for which a client may read nothing of a stream. Default: 60,000. */
  idleMs?: number;
  /** Told of errors that nobody expected, for logs; they hold nothing that clients sent. */
  onError?: (error: unknown) => void;
}

/** An OpenAI-compatible server: what Bun, Deno, Cloudflare and others call with each request. */
export interface Server {
  /** Answers a request. @param info what the runtime hands over beside it */
  fetch(request: Request, info?: unknown): Promise<Response>;
  /** Takes no new work, and waits until the last has ended, at most for `limitMs`. /health says 503 at once. */
  drain(limitMs?: number): Promise<void>;
  /** Ends all work, and the model. Safe to call twice. */
  close(): Promise<void>;
  /** What Bun listens at if a server is the default export of its main module. */
  readonly hostname: string;
  /** Seconds after which Bun ends a connection on which nothing happens. */
  readonly idleTimeout: number;
}

const MEBIBYTE = 1 << 20;
const BODY_MS = 30_000;
const KEEP_ALIVE_MS = 15_000;
const IDLE_MS = 60_000;
const DRAIN_MS = 30_000;
const LAST_WORDS_MS = 250;

const names: OptionNames<ServerOptions> = {
  llama: true,
  name: true,
  parallel: true,
  queue: true,
  model: true,
  apiKeys: true,
  cors: true,
  hosts: true,
  maxBodyBytes: true,
  deadlineMs: true,
  idleMs: true,
  onError: true,
};

const ACTION = "create a server";

function count(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw wrongOption(ACTION, name, "an integer of at least 1", value);
}

function modelOf(options: ServerOptions): ServedModel | Promise<ServedModel> {
  const { llama, model, parallel, queue } = options;
  const { run, then } = Object(model) as { run?: unknown; then?: unknown };
  if (llama !== undefined) checkLoaded(ACTION, llama);
  if (options.name !== undefined && (typeof options.name !== "string" || options.name === "")) {
    throw wrongOption(ACTION, "name", "a text of at least one character", options.name);
  }
  if (llama !== undefined && model === undefined) {
    return new LocalModel(llama, {
      id: options.name ?? llama.name ?? "cria",
      ...(parallel !== undefined && { parallel }),
      ...(queue !== undefined && { queue }),
    });
  }
  const own = Object.entries({ name: options.name, parallel, queue }).find(
    ([, value]) => value !== undefined,
  );
  if (llama === undefined && own) throw wrongOption(ACTION, own[0], "beside llama, not beside model", own[1]);
  if (llama === undefined && model && (typeof run === "function" || typeof then === "function")) return model;
  throw new UsageError(`Cannot ${ACTION}: Expected one of llama and model, got ${llama ? "both" : "none"}`);
}

async function isWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const isDone = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}

/**
 * A server of one model with OpenAI's routes, for any runtime that has `Request` and `Response`.
 *
 * ```ts
 * import { Llama } from "cria";
 * import { createServer } from "cria/server";
 *
 * const llama = await Llama.load("model.gguf");
 * const server = createServer({ llama }); // in Bun, Deno and workers: export default server
 * const health = await server.fetch(new Request("http://localhost/health"));
 * ```
 *
 * @throws UsageError for options that make no sense
 */
export function createServer(options: ServerOptions): Server {
  checkOptions(ACTION, options, names);
  checkFunction(ACTION, "onError", options.onError);
  const { maxBodyBytes, deadlineMs, idleMs, onError = () => {} } = options;
  const models = new GivenModel(modelOf(options));
  const handler = new RequestHandler({
    routes: allRoutes,
    models,
    guard: guardOf(ACTION, options),
    limits: {
      body: { bytes: count("maxBodyBytes", maxBodyBytes, MEBIBYTE), ms: BODY_MS },
      keepAliveMs: KEEP_ALIVE_MS,
      idleMs: count("idleMs", idleMs, IDLE_MS),
      deadlineMs: deadlineMs === undefined ? undefined : count("deadlineMs", deadlineMs, 1),
    },
    onError,
  });
  return {
    fetch: (request, info) => handler.fetch(request, info),
    async drain(limitMs = DRAIN_MS) {
      const idle = handler.drain();
      if (await isWithin(idle, limitMs)) return;
      handler.abort();
      // Clients that read get the error; others are not waited for.
      await isWithin(idle, LAST_WORDS_MS);
    },
    async close() {
      handler.abort();
      await models.close();
    },
    hostname: "127.0.0.1",
    idleTimeout: IDLE_MS / 1000,
  };
}
