// What a route is, and what it knows of the request that it answers.
import type { ServedModel } from "../model.ts";
import type { Fields } from "./body.ts";
import type { Metrics } from "./metrics.ts";

/** A request under way, and all that a route may use to answer it. */
export interface Exchange {
  readonly url: URL;
  /** The last part of the path of a route that ends with "/:id". */
  readonly id: string;
  /** Milliseconds, as performance.now() counts them, when it came. */
  readonly began: number;
  /** Whose it is, for fairness. */
  readonly owner: string;
  readonly metrics: Metrics;
  readonly limits: ExchangeLimits;
  /** The fields of its body. @throws HttpError */
  fields(): Promise<Fields>;
  /** The model. @throws HttpError 503 while there is none */
  model(): Promise<ServedModel>;
  /** The model if it is there, for routes that say what there is. */
  readonly loaded: ServedModel | undefined;
  /** Whether new requests are turned away. */
  readonly isDraining: boolean;
  /**
   * Begins work that may take long. Its signal is aborted if the client leaves, and if the server ends.
   * @throws HttpError 503 if the server takes none any more
   */
  begin(): Work;
}

/** Work that a client waits for. */
export interface Work {
  readonly signal: AbortSignal;
  /** Ends it early. */
  abort(reason: Error): void;
  /** It is over. Safe to call twice. */
  end(): void;
}

/** Limits of answers. */
export interface ExchangeLimits {
  /** Milliseconds after which a stream in which nothing happens gets a comment. */
  readonly keepAliveMs: number;
  /** Milliseconds for which a client may read nothing. */
  readonly idleMs: number;
  /** Milliseconds until a job is given up, waiting included; undefined for no limit. */
  readonly deadlineMs: number | undefined;
}

/** Answers a request. */
export type Handler = (exchange: Exchange) => Response | Promise<Response>;

/** A path, and what answers its methods; HEAD is GET without a body. */
export interface Route {
  readonly path: string;
  /** Whether no key is needed. */
  readonly isPublic?: boolean;
  readonly get?: Handler;
  readonly post?: Handler;
}
