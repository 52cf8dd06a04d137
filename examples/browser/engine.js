// The page's side of the engine: a worker that loads one model and answers one question at a time (worker.js).

/**
 * Milliseconds after which the page ends an engine that does not answer to a stop. A load loses nothing by that; after a run the
 * model must be loaded again, so a busy device has more time.
 */
const PATIENCE_MS = { load: 1000, run: 5000 };

/** What a task ends with that was stopped, if it leaves no result. */
export class Stopped extends Error {
  /** Whether the model must be loaded again. */
  isLost = false;
}

/** The engine in its worker. */
export class Engine {
  #worker;
  /** The current task: its number, what it is, what hears of it, and how its promise ends. */
  #task;
  #tasks = 0;
  #patience;
  /** What the worker says of its model; undefined while it has none. */
  facts;

  /** "load", "run" or undefined. */
  get doing() {
    return this.#task?.what;
  }

  /**
   * Loads a model in place of the one that there is, or that is being loaded: that load is stopped.
   * @throws Stopped; Error with the library's message
   */
  load(source, options, onProgress) {
    this.facts = undefined;
    return this.#start("load", { load: { source, options } }, { onProgress });
  }

  /**
   * Answers `{ chat: { system, messages, options } }` or continues `{ generate: { prompt, options } }`.
   * @param listener `onPieces(pieces)`, and `onForgotten(n)` if n turns do not fit the context
   * @returns finishReason, usage and timings; a stop is the finishReason "abort"
   */
  run(request, listener) {
    return this.#start("run", request, listener);
  }

  /** Ends the current task soon. A run that does not end in time ends with its worker. */
  stop() {
    if (!this.#task || this.#patience !== undefined) return;
    const { what } = this.#task;
    this.#patience = setTimeout(() => {
      const stopped = new Stopped("The engine did not answer: the model will be loaded again.");
      stopped.isLost = what === "run";
      this.#end();
      this.#settle((task) => task.reject(stopped));
    }, PATIENCE_MS[what]);
    this.#worker.postMessage({ stop: true });
  }

  /** Gives the worker one end of a channel over which it serves others. */
  connect(port) {
    this.#worker?.postMessage({ port }, [port]);
  }

  #start(what, message, listener) {
    this.#worker ??= this.#newWorker();
    if (this.#task) {
      this.#worker.postMessage({ stop: true });
      this.#settle((task) => task.reject(new Stopped("Stopped.")));
    }
    return new Promise((resolve, reject) => {
      const id = this.#tasks++;
      this.#task = { id, what, resolve, reject, ...listener };
      this.#worker.postMessage({ id, ...message });
    });
  }

  #newWorker() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => this.#receive(data));
    // A script that is missing or wrong. Some browsers give it no message.
    worker.addEventListener("error", ({ message }) => {
      this.#end();
      this.#settle((task) =>
        task.reject(
          new Error(message || "Cannot start the engine: is dist/cria.js there? (node scripts/dist.mjs)"),
        ),
      );
    });
    return worker;
  }

  #receive({ id, progress, pieces, forgotten, loaded, done, stopped, error, retired }) {
    const task = this.#task;
    // A load that another one has replaced may still say something.
    if (task?.id !== id) return;
    if (progress) task.onProgress?.(progress);
    if (pieces) task.onPieces?.(pieces);
    if (forgotten) task.onForgotten?.(forgotten);
    if (retired) this.facts = undefined;
    if (loaded) {
      this.facts = loaded;
      this.#settle(() => task.resolve(loaded));
    } else if (done) this.#settle(() => task.resolve(done));
    else if (stopped) this.#settle(() => task.reject(new Stopped("Stopped.")));
    else if (error !== undefined) this.#settle(() => task.reject(new Error(error)));
  }

  #settle(settle) {
    const task = this.#task;
    this.#task = undefined;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (task) settle(task);
  }

  /** Ends the worker with its threads, its memory and its task. It sends no messages after this. */
  #end() {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.facts = undefined;
  }
}
