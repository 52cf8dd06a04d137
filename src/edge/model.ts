// The one model of an isolate, loaded when it is first needed.
import { Llama } from "../api/llama.ts";
import type { LoadOptions } from "../api/load_options.ts";
import type { SourceLike } from "../source/options.ts";
import { EngineError, MemoryError } from "../util/errors.ts";
import { untilNextLook } from "./look.ts";

/** Where a worker's model comes from: what `Llama.load` takes, or the bytes of a data module. */
export type WorkerModel = SourceLike | ArrayBuffer;

/** What the runtime hands over with a request. */
export interface ExecutionContext {
  waitUntil?(promise: Promise<unknown>): void;
}

/** The options of a load that a worker takes. */
export type WorkerLoadOptions = Pick<
  LoadOptions,
  | "contextLength"
  | "ropeScaling"
  | "gelu"
  | "precision"
  | "kv"
  | "tokenizer"
  | "chatTemplate"
  | "sha256"
  | "http"
>;

/**
 * What an isolate needs besides linear memory and the model's file: code, the garbage-collected heap, texts of requests
 * under way.
 */
const RESERVED_BYTES = 32 << 20;

// A load that made no progress for so long went down with its request.
const STALLED_MS = 30_000;

interface Attempt {
  seen: number;
  error: unknown;
  failed: boolean;
  readonly abort: AbortController;
}

function asSource(model: WorkerModel): SourceLike {
  return model instanceof ArrayBuffer ? new Uint8Array(model) : model;
}

/** The one model of an isolate, loaded when the first request needs it. */
export class SharedModel<Env> {
  readonly #source: WorkerModel | ((env: Env) => WorkerModel | Promise<WorkerModel>);
  readonly #options: WorkerLoadOptions;
  readonly #memoryBytes: number;
  #llama: Llama | undefined;
  #attempt: Attempt | undefined;
  #failure: unknown;

  constructor(
    source: WorkerModel | ((env: Env) => WorkerModel | Promise<WorkerModel>),
    options: WorkerLoadOptions,
    memoryBytes: number,
  ) {
    this.#source = source;
    this.#options = options;
    this.#memoryBytes = memoryBytes;
  }

  /** The model, if it is loaded. */
  get loaded(): Llama | undefined {
    return this.#llama;
  }

  /** Whether a request loads it now. */
  get loading(): boolean {
    return this.#attempt !== undefined;
  }

  /** Why the last load failed. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * The model. Requests that come while another one loads it wait with timers of their own. If that load stalls, one of
   * them begins anew: in workerd a load ends with its request.
   * @throws what Llama.load throws
   */
  async get(env: Env, context: ExecutionContext | undefined): Promise<Llama> {
    for (;;) {
      if (this.#llama) return this.#llama;
      if (!this.#attempt) return this.#load(env, context);
      const attempt = this.#attempt;
      await untilNextLook();
      if (attempt.failed) throw attempt.error;
      if (Date.now() - attempt.seen > STALLED_MS && this.#attempt === attempt) {
        attempt.abort.abort(new EngineError("Cannot load the model: the load stalled and was begun again"));
        this.#attempt = undefined;
      }
    }
  }

  /** Releases a model that cannot be used any more, so that the next request loads it again. */
  forget(llama: Llama): void {
    if (this.#llama !== llama) return;
    this.#llama = undefined;
    llama.dispose();
  }

  async #load(env: Env, context: ExecutionContext | undefined): Promise<Llama> {
    const attempt: Attempt = {
      seen: Date.now(),
      error: undefined,
      failed: false,
      abort: new AbortController(),
    };
    this.#attempt = attempt;
    const loading = this.#open(env, attempt);
    context?.waitUntil?.(loading.catch(() => {}));
    try {
      const llama = await loading;
      this.#llama = llama;
      this.#failure = undefined;
      return llama;
    } catch (error) {
      attempt.failed = true;
      attempt.error = error;
      this.#failure = error;
      throw error;
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined;
    }
  }

  async #open(env: Env, attempt: Attempt): Promise<Llama> {
    const source = this.#source;
    const model = typeof source === "function" ? await source(env) : source;
    // A file that is in memory already counts too.
    const inMemory = model instanceof ArrayBuffer || model instanceof Uint8Array ? model.byteLength : 0;
    const maxBytes = this.#memoryBytes - RESERVED_BYTES - inMemory;
    if (maxBytes < 1) {
      const file = inMemory > 0 ? ` and ${inMemory} of the file in memory` : "";
      throw new MemoryError(
        `Cannot load the model: Expected memoryBytes above ${RESERVED_BYTES + inMemory} (${RESERVED_BYTES} for all that is no model${file}), got ${this.#memoryBytes}`,
      );
    }
    return Llama.load(asSource(model), {
      ...this.#options,
      threads: 1,
      maxBytes,
      signal: attempt.abort.signal,
      onProgress: () => {
        attempt.seen = Date.now();
      },
    });
  }
}
