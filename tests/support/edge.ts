// Clients of a worker: requests, and the events they are answered with.
import assert from "node:assert/strict";
import type { KernelChoices } from "../../src/mod.ts";

/** What calls a worker: fetch over the network, or the worker's own. */
export type Send = (path: string, init?: RequestInit) => Promise<Response>;

/** An event of an answer. */
export interface WorkerEvent {
  readonly text?: string;
  readonly finish_reason?: string;
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly resume?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** What GET / says. */
export interface Health {
  readonly status: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly kernel?: KernelChoices;
  readonly memoryBytes?: number;
  readonly memoryBudget: number;
  readonly concurrency: number;
  readonly active: number;
  readonly waiting: number;
  readonly requests: number;
  readonly tokens: number;
}

export const post = (body: unknown, init: RequestInit = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
  ...init,
});

/** Asks for a generation. */
export async function ask(send: Send, body: unknown, init: RequestInit = {}): Promise<Response> {
  const response = await send("/generate", post(body, init));
  if (response.status !== 200) assert.fail(`${response.status}: ${await response.text()}`);
  return response;
}

/** The events of an answer, as they come. */
export async function* events(response: Response): AsyncGenerator<WorkerEvent> {
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const decoder = new TextDecoder();
  let open = "";
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (open + decoder.decode(value, { stream: true })).split("\n\n");
      open = parts.pop() as string;
      for (const part of parts) {
        assert.match(part, /^data: /);
        yield JSON.parse(part.slice(6));
      }
    }
    assert.equal(open, "");
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** All of an answer: its text, and its last event. */
export async function read(response: Response): Promise<{ text: string; last: WorkerEvent; events: number }> {
  let text = "";
  let last: WorkerEvent = {};
  let n = 0;
  for await (const event of events(response)) {
    n++;
    text += event.text ?? "";
    last = event;
  }
  return { text, last, events: n };
}

/** A generation in as many requests as it takes. */
export async function readSlices(
  send: Send,
  body: unknown,
): Promise<{ text: string; last: WorkerEvent; slices: number }> {
  let { text, last } = await read(await ask(send, body));
  let slices = 1;
  for (; last.finish_reason === "slice"; slices++) {
    const next = await read(await ask(send, { resume: last.resume }));
    text += next.text;
    last = next.last;
  }
  return { text, last, slices };
}

export async function health(send: Send): Promise<Health> {
  const response = await send("/");
  const text = await response.text();
  assert.ok(text.endsWith("\n") && text.indexOf("\n") === text.length - 1, "one line");
  const state = JSON.parse(text);
  assert.equal(response.status, state.status === "failed" ? 503 : 200);
  return state;
}

/** Waits until the health line says what is expected; fails after ten seconds. */
export async function healthWhen(send: Send, expected: (state: Health) => boolean): Promise<Health> {
  for (let i = 0; ; i++) {
    const state = await health(send);
    if (expected(state)) return state;
    if (i === 400) assert.fail(`the worker stays at ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
