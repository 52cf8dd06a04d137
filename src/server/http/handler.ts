// From a request to its answer: guards, routes, methods, errors, and what is under way.
import { PatternRouter } from "hono/router/pattern-router";
import { quoted } from "../../util/bytes.ts";
import type { ModelSource } from "../model_source.ts";
import { type BodyLimits, readFields } from "./body.ts";
import { asHttpError, badRequest, clientLeft, HttpError, unavailable } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import { errorResponse } from "./responses.ts";
import type { Exchange, ExchangeLimits, Handler, Route, Work } from "./route.ts";

/** What a handler is made of. */
export interface HandlerParts {
  readonly routes: readonly Route[];
  readonly models: ModelSource;
  readonly guard: Guard;
  readonly limits: ExchangeLimits & { readonly body: BodyLimits };
  /** Told of errors that nobody expected; they hold nothing that clients sent. */
  onError(error: unknown): void;
}

const SERVER_ENDS = "Cannot answer: The server ends; other requests go to another one";

/** Answers requests by routes. */
export class RequestHandler {
  readonly #metrics = new Metrics();
  readonly #parts: HandlerParts;
  readonly #router = new PatternRouter<Route>();
  readonly #work = new Set<AbortController>();
  #isDraining = false;
  #onIdle: (() => void) | undefined;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
    // Methods are told apart later, so that a wrong one is not an unknown path.
    for (const route of parts.routes) this.#router.add("ALL", route.path, route);
  }

  /** The answer to a request. @param info what the runtime hands over beside it */
  async fetch(request: Request, info: unknown): Promise<Response> {
    let route: Route | undefined;
    let response: Response;
    const { guard } = this.#parts;
    try {
      const url = urlOf(request);
      guard.checkHost(request, url, addressOf(info));
      const [[matched, params] = []] = this.#router.match("ALL", url.pathname)[0];
      route = matched;
      if (request.method === "OPTIONS" && route) return guard.preflight(request, methodsOf(route).join(", "));
      const owner = route?.isPublic ? undefined : await guard.owner(request);
      const handler = handlerOf(request, url, route);
      const id = decoded((params as { id?: string } | undefined)?.id ?? "");
      response = await handler(this.#exchange(request, info, url, id, owner ?? clientOf(request, info)));
    } catch (error) {
      const known = asHttpError(error);
      if (known.status === 500) this.#parts.onError(error);
      response = errorResponse(known);
    }
    this.#metrics.request(route?.path ?? "none", response.status);
    for (const [name, value] of Object.entries(guard.corsHeaders(request))) response.headers.set(name, value);
    return request.method === "HEAD" ? new Response(null, response) : response;
  }

  /** Takes no new work, and waits until the last has ended. Other requests are still answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#work.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Ends all work at once. */
  abort(): void {
    this.#isDraining = true;
    for (const controller of this.#work) controller.abort(unavailable(SERVER_ENDS, "server_closed"));
  }

  #exchange(request: Request, info: unknown, url: URL, id: string, owner: string): Exchange {
    const { models, limits } = this.#parts;
    return {
      url,
      id,
      owner,
      began: performance.now(),
      metrics: this.#metrics,
      limits,
      fields: () => readFields(request, limits.body),
      model: () => models.get(info),
      loaded: models.loaded,
      isDraining: this.#isDraining,
      begin: () => this.#begin(request, info),
    };
  }

  #begin(request: Request, info: unknown): Work {
    if (this.#isDraining) throw unavailable(SERVER_ENDS, "server_draining");
    // Bun ends connections on which nothing happens, also while an answer is computed.
    const runtime = Object(info) as RuntimeInfo;
    if (typeof runtime.timeout === "function") runtime.timeout(request, 0);
    const left = request.signal;
    const controller = new AbortController();
    const { signal } = controller;
    const onLeft = () => controller.abort(clientLeft());
    if (left.aborted) onLeft();
    left.addEventListener("abort", onLeft);
    this.#work.add(controller);
    return {
      signal,
      abort: (reason) => controller.abort(reason),
      end: () => {
        left.removeEventListener("abort", onLeft);
        this.#work.delete(controller);
        if (this.#work.size === 0) this.#onIdle?.();
      },
    };
  }
}

// HTTP/1.0 may leave Host out; Bun gives the path alone then. It is asked for as this machine: browsers always send Host, so
// no page's name leads here that way.
function urlOf({ url, headers }: Request): URL {
  const whole = url.startsWith("/") && !headers.has("host") ? `http://localhost${url}` : url;
  if (URL.canParse(whole)) return new URL(whole);
  throw badRequest(null, `Cannot answer: Expected a URL, got ${quoted(url)}`, "invalid_url");
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function methodsOf({ get, post }: Route): readonly string[] {
  return [...(get ? ["GET", "HEAD"] : []), ...(post ? ["POST"] : []), "OPTIONS"];
}

function handlerOf({ method }: Request, { pathname }: URL, route: Route | undefined): Handler {
  if (!route) {
    throw new HttpError(
      404,
      `Cannot answer: Expected a route, got ${quoted(pathname)}; docs/serving.md lists them`,
      {
        code: "unknown_url",
      },
    );
  }
  const handler =
    method === "POST" ? route.post : method === "GET" || method === "HEAD" ? route.get : undefined;
  if (handler) return handler;
  const allow = methodsOf(route).join(", ");
  throw new HttpError(405, `Cannot answer: Expected method ${allow}, got ${quoted(method)}`, {
    code: "method_not_allowed",
    headers: { allow },
  });
}

// What Bun, Deno, @hono/node-server and Cloudflare say of who asks, and where it is listened.
interface RuntimeInfo {
  readonly hostname?: string;
  readonly remoteAddr?: { readonly hostname?: string };
  readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } };
  timeout?(request: Request, seconds: number): void;
  requestIP?(request: Request): { readonly address: string } | null;
}

function addressOf(info: unknown): string | undefined {
  const { hostname } = Object(info) as RuntimeInfo;
  return typeof hostname === "string" ? hostname : undefined;
}

function clientOf(request: Request, info: unknown): string {
  const runtime = Object(info) as RuntimeInfo;
  const address =
    runtime.remoteAddr?.hostname ??
    runtime.incoming?.socket?.remoteAddress ??
    (typeof runtime.requestIP === "function" ? runtime.requestIP(request)?.address : undefined) ??
    request.headers.get("cf-connecting-ip");
  return `address ${address ?? "unknown"}`;
}
