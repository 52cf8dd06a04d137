// The engine's side of a channel: runs the jobs of a server in another thread.
import type { Job, JobEvent, ServedModel } from "../model.ts";
import {
  BATCHES_AHEAD,
  type EnginePort,
  type EngineReply,
  type EngineRequest,
  plainError,
  type RemoteMethod,
} from "./protocol.ts";

// Batches of a job follow each other no more quickly: each costs both threads some 20 us, and nobody reads faster.
const PACE_MS = 2;

/**
 * Loads a model and serves it to the {@link RemoteModel} at the other end of a port: call it in the thread that shall compute.
 * @param load called at once; its error is told to the other end
 */
export function serveEngine(port: EnginePort, load: () => Promise<ServedModel>): void {
  const reply = (message: EngineReply) => port.postMessage(message);
  const loading = load();
  loading.then(
    ({ facts }) => reply({ kind: "ready", facts }),
    (error) => reply({ kind: "failed", error: plainError(error) }),
  );
  const jobs = new Map<number, RemoteJob>();
  port.onmessage = ({ data }: { readonly data: EngineRequest }) => {
    const { kind, id } = data;
    if (kind === "read") jobs.get(id)?.read(data.batches);
    else if (kind === "abort") jobs.get(id)?.abort();
    else if (kind === "run") {
      const job = new RemoteJob((events) => reply({ kind: "events", id, events }));
      jobs.set(id, job);
      const ended = loading.then((model) => job.run(model, data.job)).finally(() => jobs.delete(id));
      answer(id, ended, reply);
    } else {
      answer(
        id,
        loading.then((model) => call(model, data.method, data.args)),
        reply,
      );
    }
  };
}

function answer(id: number, result: Promise<unknown>, reply: (message: EngineReply) => void): void {
  result.then(
    (value) => reply({ kind: "done", id, value }),
    (error) => reply({ kind: "error", id, error: plainError(error) }),
  );
}

function call(model: ServedModel, method: RemoteMethod, args: readonly unknown[]): Promise<unknown> {
  return (model[method] as (...args: unknown[]) => Promise<unknown>).apply(model, [...args]);
}

// A job of the other end: its batches go out as fast as they are read there.
class RemoteJob {
  readonly #post: (events: readonly JobEvent[]) => void;
  readonly #abort = new AbortController();
  #ahead = 0;
  #wake: (() => void) | undefined;

  constructor(post: (events: readonly JobEvent[]) => void) {
    this.#post = post;
  }

  read(batches: number): void {
    this.#ahead -= batches;
    this.#wake?.();
  }

  abort(): void {
    this.#abort.abort();
    this.#wake?.();
  }

  async run(model: ServedModel, job: Job): Promise<void> {
    const { signal } = this.#abort;
    for await (const events of model.run(job, signal)) {
      this.#post(events);
      this.#ahead++;
      // The first token goes out at once, and what came until then.
      if (events.some(({ kind }) => kind === "token"))
        await new Promise((resolve) => setTimeout(resolve, PACE_MS));
      while (this.#ahead >= BATCHES_AHEAD && !signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
