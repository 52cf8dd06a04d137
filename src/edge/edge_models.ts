// Gives a server's routes the model of their isolate, which the first request loads.
import type { Llama } from "../api/llama.ts";
import { asHttpError, unavailable } from "../server/http/errors.ts";
import type { ServedModel } from "../server/model.ts";
import type { ModelSource } from "../server/model_source.ts";
import type { ExecutionContext, SharedModel } from "./model.ts";

/** What a worker's fetch() was called with beside the request. */
export interface EdgeCall<Env> {
  readonly env: Env;
  readonly context: ExecutionContext | undefined;
}

/** The model of an isolate for routes. */
export class EdgeModels<Env> implements ModelSource {
  readonly #shared: SharedModel<Env>;
  readonly #serve: (llama: Llama) => ServedModel;
  #served: { readonly llama: Llama; readonly model: ServedModel } | undefined;

  /** @param serve makes a loaded model one that is served */
  constructor(shared: SharedModel<Env>, serve: (llama: Llama) => ServedModel) {
    this.#shared = shared;
    this.#serve = serve;
  }

  get loaded(): ServedModel | undefined {
    return this.#shared.loaded && this.#of(this.#shared.loaded);
  }

  async get(info: unknown): Promise<ServedModel> {
    const { env, context } = info as EdgeCall<Env>;
    try {
      return this.#of(await this.#shared.get(env, context));
    } catch (error) {
      const { message } = asHttpError(error);
      throw unavailable(`Cannot answer: The model could not be loaded. ${message}`, "model_failed", 10);
    }
  }

  async close(): Promise<void> {}

  #of(llama: Llama): ServedModel {
    if (this.#served?.llama !== llama) this.#served = { llama, model: this.#serve(llama) };
    return this.#served.model;
  }
}
