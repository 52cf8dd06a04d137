// Where a server's model comes from: it is there, it is loaded, or it could not be.
import { asHttpError, unavailable } from "./http/errors.ts";
import type { ServedModel } from "./model.ts";

/** Gives requests the model. */
export interface ModelSource {
  /** The model if it is there. */
  readonly loaded: ServedModel | undefined;
  /**
   * The model, for a request.
   * @param info what the runtime handed over with the request
   * @throws HttpError 503 while there is none
   */
  get(info: unknown): Promise<ServedModel>;
  close(): Promise<void>;
}

/** A model that was given, or is being loaded: requests are refused until it is there. */
export class GivenModel implements ModelSource {
  #model: ServedModel | undefined;
  #failure: unknown;
  #isClosed = false;

  constructor(model: ServedModel | Promise<ServedModel>) {
    if (!("then" in model)) {
      this.#model = model;
      return;
    }
    model.then(
      (loaded) => {
        if (this.#isClosed) loaded.close().catch(() => {});
        else this.#model = loaded;
      },
      (error) => {
        this.#failure = error;
      },
    );
  }

  get loaded(): ServedModel | undefined {
    return this.#model;
  }

  async get(): Promise<ServedModel> {
    if (this.#model) return this.#model;
    if (this.#failure === undefined)
      throw unavailable("Cannot answer: The model is being loaded", "loading", 2);
    const { message } = asHttpError(this.#failure);
    throw unavailable(`Cannot answer: The model could not be loaded. ${message}`, "model_failed", 60);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#model?.close();
  }
}
