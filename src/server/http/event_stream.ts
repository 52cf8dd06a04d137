// An answer as server-sent events, made as the client reads them.
import { asHttpError, clientLeft } from "./errors.ts";
import { commonHeaders } from "./responses.ts";
import type { Exchange, Work } from "./route.ts";

/** Makes the text of a stream from batches of what happened. */
export interface StreamWriter<T> {
  /** Server-sent events; "" if there is nothing to say yet. */
  write(batch: T): string;
  /** What comes last. */
  end(): string;
  /** What comes last if the answer fails. */
  fail(error: unknown): string;
}

/** A server-sent event. JSON has no line ends, which would end it. */
export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

// A stream whose first batch takes longer begins without it, so that no proxy gives up. What fails later is an event.
const FIRST_MS = 10_000;
const LOOK_MS = 1_000;
const LATE = Symbol("late");

const utf8 = new TextEncoder();

/**
 * The stream of a generator's batches. A batch is asked for when the client has read the one before, so a client that does
 * not read holds up nothing but its own job; after `limits.idleMs` it is given up.
 * @throws what the generator throws before its first batch, so that it can be answered with a status
 */
export async function eventStream<T>(
  exchange: Exchange,
  work: Work,
  batches: AsyncGenerator<T, void>,
  writer: StreamWriter<T>,
): Promise<Response> {
  const first = batches.next();
  // It may fail before anybody waits for it.
  first.catch(() => {});
  await untilFirst(first);
  const source = new BatchSource(exchange, work, batches, writer, first);
  const body = new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      ...commonHeaders,
      "content-type": "text/event-stream; charset=utf-8",
      // Of nginx: to pass on what comes at once.
      "x-accel-buffering": "no",
    },
  });
}

async function untilFirst(first: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(resolve, FIRST_MS, LATE);
  });
  try {
    await Promise.race([first, late]);
  } finally {
    clearTimeout(timer);
  }
}

class BatchSource<T> {
  readonly #exchange: Exchange;
  readonly #work: Work;
  readonly #batches: AsyncGenerator<T, void>;
  readonly #writer: StreamWriter<T>;
  #next: Promise<IteratorResult<T, void>>;
  #look: ReturnType<typeof setInterval> | undefined;
  #lastWrite = 0;
  #isPulling = false;
  #isOver = false;

  constructor(
    exchange: Exchange,
    work: Work,
    batches: AsyncGenerator<T, void>,
    writer: StreamWriter<T>,
    first: Promise<IteratorResult<T, void>>,
  ) {
    this.#exchange = exchange;
    this.#work = work;
    this.#batches = batches;
    this.#writer = writer;
    this.#next = first;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { keepAliveMs, idleMs } = this.#exchange.limits;
    this.#lastWrite = Date.now();
    this.#look = setInterval(
      () => {
        const since = Date.now() - this.#lastWrite;
        if (this.#isPulling && since >= keepAliveMs) this.#enqueue(controller, ": still here\n\n");
        if (!this.#isPulling && since >= idleMs) this.#giveUp(controller);
      },
      Math.min(LOOK_MS, keepAliveMs, idleMs),
    );
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#isPulling = true;
    try {
      let text = "";
      while (text === "") {
        const { done, value } = await this.#next;
        if (done) return this.#close(controller, this.#writer.end());
        text = this.#writer.write(value);
        this.#next = this.#batches.next();
        // Nobody waits for it if the client leaves now.
        this.#next.catch(() => {});
      }
      this.#enqueue(controller, text);
    } catch (error) {
      if (this.#isOver) return;
      this.#exchange.metrics.brokenStreams++;
      this.#close(controller, this.#writer.fail(asHttpError(error)));
    } finally {
      this.#isPulling = false;
    }
  }

  cancel(): void {
    this.#exchange.metrics.aborted++;
    this.#work.abort(clientLeft());
    this.#end();
  }

  #enqueue(controller: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    this.#lastWrite = Date.now();
    controller.enqueue(utf8.encode(text));
  }

  #close(controller: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    this.#end();
    // A client that has left takes no last words.
    try {
      if (text !== "") controller.enqueue(utf8.encode(text));
      controller.close();
    } catch {}
  }

  #giveUp(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const reason = new Error("The client does not read");
    this.#exchange.metrics.aborted++;
    this.#work.abort(reason);
    this.#end();
    controller.error(reason);
  }

  #end(): void {
    this.#isOver = true;
    clearInterval(this.#look);
    this.#work.end();
    this.#batches.return().catch(() => {});
  }
}
