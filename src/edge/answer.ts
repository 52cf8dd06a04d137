// The answer to a request: events of one generation, made as the client reads them.
import type { Completion, Piece } from "../session/options.ts";
import type { Session } from "../session/session.ts";
import { yieldToRequests } from "../util/yield.ts";
import type { Ticket } from "./queue.ts";
import { describeError, event } from "./responses.ts";

/** How much a request may compute before its session is saved and the next request resumes it. */
export interface Slice {
  /** Tokens of one request. */
  readonly maxTokens?: number;
  /**
   * Milliseconds of one request, not counting the time for which its client lets it wait. Cloudflare's clock stands
   * still while a program computes and is right again after each token.
   */
  readonly maxMillis?: number;
}

/** What an answer needs of the worker. */
export interface AnswerContext {
  readonly session: Session;
  readonly generation: AsyncGenerator<Piece, Completion>;
  readonly ticket: Ticket;
  readonly slice: Slice;
  /** Keeps a snapshot; gives what a client names to resume it. */
  save(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  onToken(): void;
  /** Called if the generation fails. */
  onError(): void;
}

// Events that follow each other more quickly than this share a chunk: nobody reads faster, and each chunk costs the
// runtime some kilobytes until the next garbage collection.
const CHUNK_MS = 20;

const utf8 = new TextEncoder();

/**
 * Server-sent events of one generation, made as the client reads them: a client that stops reading stops the work.
 */
export class Answer {
  readonly #context: AnswerContext;
  #ended = false;
  #cancelled = false;
  #tokens = 0;
  #millis = 0;

  constructor(context: AnswerContext) {
    this.#context = context;
  }

  /** The stream of events. @throws what the first token throws, so that it can be answered with a status */
  async start(): Promise<ReadableStream<Uint8Array>> {
    let first: string | undefined = event(await this.#next());
    if (!this.#ended) this.#context.ticket.follow();
    return new ReadableStream(
      {
        pull: async (controller) => {
          const events = first ?? (await this.#chunk());
          first = undefined;
          if (this.#cancelled) return;
          controller.enqueue(utf8.encode(events));
          if (this.#ended) controller.close();
        },
        cancel: () => {
          this.#cancelled = true;
          this.end();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Ends the work, wherever it is. Safe to call twice. */
  end(): void {
    this.#ended = true;
    this.#context.session.dispose();
    this.#context.ticket.leave();
  }

  async #chunk(): Promise<string> {
    const begin = Date.now();
    let events = "";
    do events += event(await this.#nextOrError());
    while (!this.#ended && Date.now() - begin < CHUNK_MS);
    return events;
  }

  async #nextOrError(): Promise<unknown> {
    try {
      return await this.#next();
    } catch (error) {
      this.end();
      this.#context.onError();
      return describeError(error);
    }
  }

  async #next(): Promise<unknown> {
    const { generation, ticket, onToken } = this.#context;
    for (;;) {
      ticket.beat();
      if (this.#isSliceOver()) return this.#saved();
      const begin = Date.now();
      const { done, value } = await generation.next();
      // Other requests come to share the next step, and the runtime may tell that this client has left.
      await yieldToRequests();
      this.#millis += Date.now() - begin;
      if (done) return this.#finished(value);
      this.#tokens++;
      onToken();
      if (value.text !== "") return { text: value.text };
    }
  }

  #isSliceOver(): boolean {
    const { maxTokens = Number.POSITIVE_INFINITY, maxMillis = Number.POSITIVE_INFINITY } =
      this.#context.slice;
    const over = this.#tokens >= maxTokens || this.#millis >= maxMillis;
    return over && this.#tokens > 0 && this.#context.session.resumable;
  }

  async #saved(): Promise<unknown> {
    const resume = await this.#context.save(this.#context.session.save());
    this.end();
    return { finish_reason: "slice", usage: { prompt_tokens: 0, completion_tokens: this.#tokens }, resume };
  }

  #finished({ finishReason, usage }: Completion): unknown {
    this.end();
    return {
      finish_reason: finishReason,
      usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.generatedTokens },
    };
  }
}
