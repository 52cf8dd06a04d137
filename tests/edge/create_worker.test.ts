// createWorker() in the runtime of the tests; tests/runtime/workerd runs it where it belongs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createWorker, type WorkerOptions } from "../../src/edge/create_worker.ts";
import { Llama, UsageError } from "../../src/mod.ts";
import {
  ask,
  events,
  health,
  healthWhen,
  post,
  read,
  readSlices,
  type Send,
  type WorkerEvent,
} from "../support/edge.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { embeddedModel } from "../support/models.ts";

const model = new Uint8Array(readFileSync(embeddedModel));
const tiny = tinyLlamaGguf().bytes;
/** A generation that does not end by itself. */
const endless = { prompt: "in the", temperature: 3, top_k: 0, top_p: 1, seed: 1 };

function sendTo<Env>(options: WorkerOptions<Env>, env?: Env): Send {
  const worker = createWorker(options);
  return (path, init) => worker.fetch(new Request(`http://worker${path}`, init), env);
}

async function refused(response: Response, status: number, code: string, message: RegExp): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  const { error } = JSON.parse(text) as WorkerEvent;
  assert.equal(error?.code, code);
  assert.match(error?.message ?? "", message);
}

describe("createWorker()", () => {
  it("streams what Llama.complete() gives", async () => {
    const send = sendTo({ model: model.buffer });
    await using llama = await Llama.load(model, { threads: 1 });
    for (const options of [
      { temperature: 0, maxTokens: 30 },
      { temperature: 1.3, topK: 50, topP: 0.95, minP: 0.01, repeatPenalty: 1.1, seed: 4, maxTokens: 30 },
      { temperature: 0, maxTokens: 30, stop: [" named", "never"] },
    ]) {
      const expected = await llama.complete("Once upon a time", options);
      const { maxTokens, topK, topP, minP, repeatPenalty, ...rest } = options as Record<string, unknown>;
      const { text, last, events } = await read(
        await ask(send, {
          prompt: "Once upon a time",
          ...rest,
          max_tokens: maxTokens,
          top_k: topK,
          top_p: topP,
          min_p: minP,
          repeat_penalty: repeatPenalty,
        }),
      );
      assert.equal(text, expected.text);
      assert.equal(last.finish_reason, expected.finishReason);
      assert.deepEqual(last.usage, {
        prompt_tokens: expected.usage.promptTokens,
        completion_tokens: expected.usage.generatedTokens,
      });
      assert.ok(events > 5);
    }
  });

  it("takes its model from bytes, a Response, a function of the bindings, and options of the load", async () => {
    await using llama = await Llama.load(tiny, { threads: 1, kv: "q8", contextLength: 64 });
    const expected = await llama.complete("in the", { temperature: 0, maxTokens: 20 });
    for (const source of [
      tiny,
      tiny.buffer,
      () => new Response(tiny),
      (env: { bytes: Uint8Array }) => env.bytes,
      async (env: { bytes: Uint8Array }) => new Blob([env.bytes as Uint8Array<ArrayBuffer>]),
    ]) {
      const send = sendTo({ model: source, kv: "q8", contextLength: 64 }, { bytes: tiny });
      const { text } = await read(await ask(send, { prompt: "in the", temperature: 0, max_tokens: 20 }));
      assert.equal(text, expected.text);
    }
  });

  it("says how it is at /", async () => {
    const send = sendTo({ model: tiny, concurrency: 3 });
    const idle = await health(send);
    assert.deepEqual([idle.status, idle.active, idle.tokens, idle.concurrency], ["idle", 0, 0, 3]);
    const answer = events(await ask(send, endless));
    await answer.next();
    const busy = await health(send);
    assert.deepEqual([busy.status, busy.active, busy.requests], ["ready", 1, 1]);
    assert.ok((busy.memoryBytes as number) < busy.memoryBudget);
    await answer.return(undefined);
    await healthWhen(send, ({ active }) => active === 0);
    const head = await send("/", { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });

  it("answers what it does not know with a typed error, and without CORS", async () => {
    const send = sendTo({ model: tiny });
    await refused(await send("/none"), 404, "NOT_FOUND", /path \/ or \/generate/);
    await refused(await send("/generate/../x"), 404, "NOT_FOUND", /path/);
    await refused(await send("/", { method: "POST" }), 405, "METHOD_NOT_ALLOWED", /GET, HEAD/);
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await send("/generate", { method, headers: { origin: "http://elsewhere" } });
      assert.equal(answer.headers.get("allow"), "POST");
      assert.equal(answer.headers.get("access-control-allow-origin"), null);
      await refused(answer, 405, "METHOD_NOT_ALLOWED", /POST/);
    }
    for (const headers of [
      { "content-type": "text/html" },
      { "content-type": "text/plain", origin: "http://elsewhere" },
    ] as Record<string, string>[]) {
      const sent = { method: "POST", body: '{"prompt":"x"}', headers };
      await refused(await send("/generate", sent), 415, "UNSUPPORTED_MEDIA_TYPE", /application\/json/);
    }
    const form = {
      method: "POST",
      body: "prompt=x",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    };
    await refused(await send("/generate", form), 400, "USAGE", /a body in JSON, {"prompt"/);
    await refused(
      await send("/generate", post({})),
      400,
      "USAGE",
      /prompt to be a string or an array of token ids, got undefined/,
    );
    await refused(await send("/generate", post({ prompt: "x", n: 2 })), 400, "USAGE", /Unknown field "n"/);
    await refused(await send("/generate", post({ prompt: "x", top_p: -1 })), 400, "USAGE", /topP/);
    await refused(
      await send("/generate", post({ prompt: "in ".repeat(500) })),
      400,
      "CONTEXT",
      /at most \d+ tokens/,
    );
    await refused(
      await send("/generate", post({ prompt: "x".repeat(2_000_000) })),
      413,
      "TOO_LARGE",
      /at most/,
    );
    await refused(await send("/generate", post({ resume: "!" })), 404, "NOT_FOUND", /Cannot resume/);
    await refused(await send("/generate", post({ resume: "AAAA" })), 400, "SNAPSHOT", /Expected a snapshot/);
    const { active, waiting, tokens } = await health(send);
    assert.deepEqual([active, waiting, tokens], [0, 0, 0]);
    assert.equal((await read(await ask(send, { ...endless, max_tokens: 3 }))).last.finish_reason, "length");
  });

  it("goes on in the next request bit for bit, with the client or a store keeping the session", async () => {
    const body = { ...endless, max_tokens: 41, stop: ["never said"] };
    const whole = await read(await ask(sendTo({ model: tiny }), body));
    const kept = new Map<string, Uint8Array>();
    const store = {
      get: async (key: string) => kept.get(key),
      put: async (key: string, bytes: Uint8Array) => kept.set(key, bytes),
    };
    for (const options of [{}, { store }, { store: () => store }]) {
      for (const maxTokens of [1, 5, 41, 100]) {
        const { text, last, slices } = await readSlices(
          sendTo({ model: tiny, slice: { maxTokens }, ...options }),
          body,
        );
        assert.equal(text, whole.text, `slices of ${maxTokens}`);
        assert.equal(last.finish_reason, "length");
        assert.equal(slices, Math.ceil(41 / maxTokens));
      }
    }
    assert.equal(kept.size, 2 * (40 + 8));
    for (const key of kept.keys()) assert.match(key, /^[0-9a-f-]{36}$/);
  });

  it("ends a slice of time with Cloudflare's clock, which stands still while a program computes", async () => {
    const { now } = Date;
    const { setTimeout: timer } = globalThis;
    let time = now();
    Date.now = () => time;
    const tick = (callback: () => void, ms?: number) =>
      timer(() => {
        time = now();
        callback();
      }, ms);
    globalThis.setTimeout = tick as typeof setTimeout;
    try {
      const body = { ...endless, max_tokens: 40 };
      const { last, slices } = await readSlices(sendTo({ model: tiny, slice: { maxMillis: 3 } }), body);
      assert.equal(last.finish_reason, "length");
      assert.ok(slices > 1, `${slices} slices`);
    } finally {
      Date.now = now;
      globalThis.setTimeout = timer;
    }
  });

  it("asks its store for nothing but keys that it has made", async () => {
    const asked: string[] = [];
    const store = { get: async (key: string) => void asked.push(key), put: async () => {} };
    const send = sendTo({ model: tiny, slice: { maxTokens: 1 }, store });
    for (const resume of ["", "secrets", "../x", "__proto__", `${crypto.randomUUID()}x`]) {
      await refused(await send("/generate", post({ resume })), 404, "NOT_FOUND", /Cannot resume/);
    }
    assert.deepEqual(asked, []);
    await refused(
      await send("/generate", post({ resume: crypto.randomUUID() })),
      404,
      "NOT_FOUND",
      /Cannot resume/,
    );
    assert.equal(asked.length, 1);
  });

  it("refuses the session of another model", async () => {
    const one = sendTo({ model: tiny, slice: { maxTokens: 2 } });
    const other = sendTo({ model: tinyLlamaGguf({ seed: 9 }).bytes, slice: { maxTokens: 2 } });
    const { last } = await read(await ask(one, endless));
    await refused(
      await other("/generate", post({ resume: last.resume })),
      400,
      "SNAPSHOT",
      /the same weights/,
    );
  });

  it("serves requests at once, a token each in turn", async () => {
    const send = sendTo({ model: tiny });
    const bodies = Array.from({ length: 8 }, (_, seed) => ({ ...endless, seed, max_tokens: 40 }));
    const alone: string[] = [];
    for (const body of bodies) alone.push((await read(await ask(send, body))).text);
    assert.equal(new Set(alone).size, 8);
    const order: number[] = [];
    const texts = await Promise.all(
      bodies.map(async (body, i) => {
        let text = "";
        for await (const event of events(await ask(send, body))) {
          text += event.text ?? "";
          order.push(i);
        }
        return text;
      }),
    );
    assert.deepEqual(texts, alone);
    const firstEnd = Math.min(...bodies.map((_, i) => order.lastIndexOf(i)));
    for (const i of bodies.keys()) assert.ok(order.indexOf(i) < firstEnd, `request ${i} waited for another`);
  });

  it("lets requests wait, and refuses beyond its queue", async () => {
    const send = sendTo({ model: tiny, concurrency: 1, queue: 1 });
    const first = await ask(send, { ...endless, max_tokens: 20 });
    const second = send("/generate", post({ ...endless, max_tokens: 3 }));
    await healthWhen(send, ({ waiting }) => waiting === 1);
    const third = await send("/generate", post(endless));
    assert.equal(third.headers.get("retry-after"), "1");
    await refused(third, 503, "BUSY", /1 requests are served and 1 wait/);
    assert.equal((await read(first)).last.usage?.completion_tokens, 20);
    assert.equal((await read(await second)).last.usage?.completion_tokens, 3);
  });

  it("stops the work of a client that leaves, that reads nothing, or that leaves while it waits", async () => {
    const send = sendTo({ model: tiny, concurrency: 1 });
    const unread = await ask(send, endless);
    const before = await health(send);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await health(send)).tokens, before.tokens, "nobody reads, nothing is computed");
    const controller = new AbortController();
    const waiting = send("/generate", post(endless, { signal: controller.signal }));
    await healthWhen(send, (state) => state.waiting === 1);
    controller.abort();
    await waiting.catch(() => {});
    await healthWhen(send, (state) => state.waiting === 0);
    await unread.body?.cancel();
    const after = await healthWhen(send, ({ active }) => active === 0);
    assert.equal(after.tokens, before.tokens);
    assert.equal(
      (await read(await ask(send, { ...endless, max_tokens: 3 }))).last.usage?.completion_tokens,
      3,
    );
  });

  it("keeps its memory budget: a model that does not fit is refused before anything is allocated", async () => {
    const made = await memoriesOf(async () => {
      for (const memoryBytes of [1, 33 << 20, 40 << 20]) {
        const send = sendTo({ model, memoryBytes });
        for (let i = 0; i < 2; i++) {
          await refused(
            await send("/generate", post({ prompt: "x" })),
            503,
            "MEMORY",
            memoryBytes < (32 << 20) + model.length
              ? /^Cannot load the model: Expected memoryBytes above \d{8} \(33554432 for all that is no model and \d{7} of the file/
              : /^Cannot load bytes: Expected at most \d{6,} bytes \(the budget\), it takes \d+: weights 2\.\d MiB/,
          );
        }
        assert.equal((await health(send)).status, "failed");
      }
    });
    assert.ok(made.every((bytes) => bytes === 65536));
  });

  it("serves fewer requests at once where memory has no room for more", async () => {
    const send = sendTo({
      model,
      memoryBytes: 32 * 2 ** 20 + model.length + 14 * 2 ** 20,
      slice: { maxTokens: 4 },
    });
    const bodies = Array.from({ length: 8 }, (_, seed) => ({
      prompt: "Once",
      temperature: 1,
      seed,
      max_tokens: 12,
    }));
    const results = await Promise.all(bodies.map((body) => readSlices(send, body)));
    for (const { last, slices } of results) assert.deepEqual([last.finish_reason, slices], ["length", 3]);
    const { concurrency, memoryBytes } = await health(send);
    assert.ok(concurrency >= 1 && concurrency < 8, `${concurrency}`);
    assert.ok((memoryBytes as number) <= 14 * 2 ** 20);
  });

  it("tries again after a load that failed, and lets nobody wait for it", async () => {
    let calls = 0;
    const send = sendTo({
      model: async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return ++calls === 1 ? new Response("gone", { status: 404 }) : tiny;
      },
    });
    const failing = [0, 1].map(() => send("/generate", post(endless)));
    for (const answer of failing) await refused(await answer, 503, "SOURCE", /Expected status 200, got 404/);
    assert.equal(calls, 1);
    assert.equal((await read(await ask(send, { ...endless, max_tokens: 3 }))).last.finish_reason, "length");
    assert.equal((await health(send)).status, "ready");
  });

  it("loads its model again after the engine failed, and not after a client left", async () => {
    const { load } = Llama;
    const made: Llama[] = [];
    Llama.load = async (...args) => {
      made.push(await load.apply(Llama, args));
      return made.at(-1) as Llama;
    };
    try {
      const send = sendTo({ model: tiny });
      const read1 = async () => (await read(await ask(send, { ...endless, max_tokens: 3 }))).last;
      await read1();
      for (let i = 0; i < 3; i++) {
        const answer = events(await ask(send, endless));
        await answer.next();
        await answer.return(undefined);
      }
      for (const body of [{ prompt: 5 }, { prompt: "in ".repeat(500) }, { resume: "AAAA" }]) {
        assert.notEqual((await send("/generate", post(body))).status, 200);
      }
      await read1();
      assert.equal(made.length, 1);
      const running = events(await ask(send, endless));
      await running.next();
      made[0]?.dispose();
      let last: WorkerEvent | undefined;
      for await (const event of running) last = event;
      assert.equal(last?.error?.code, "ENGINE");
      assert.equal((await read1()).finish_reason, "length");
      assert.equal(made.length, 2);
    } finally {
      Llama.load = load;
    }
  });

  it("tells nobody what went wrong inside", async () => {
    const send = sendTo({
      model: () => {
        throw new Error("the secret is 42");
      },
    });
    await refused(
      await send("/generate", post(endless)),
      500,
      "INTERNAL",
      /^Cannot answer: an unexpected error$/,
    );
  });

  it("refuses options that make no sense", () => {
    for (const options of [
      { model: undefined },
      { model, memoryBytes: 0 },
      { model, maxTokens: 1.5 },
      { model, concurrency: 0 },
      { model, queue: -1 },
      { model, slice: { maxTokens: 0 } },
      { model, slice: { maxMillis: Number.NaN } },
      { model, store: {} },
      { model, contextLength: "512" },
      { model, kv: null },
      { model, http: { retry: 3 } },
    ]) {
      assert.throws(() => createWorker(options as WorkerOptions), UsageError);
    }
  });

  it("refuses unknown options, with the nearest name", () => {
    for (const [options, message] of [
      [
        { model, max_tokens: 3 },
        /^Cannot create a worker: Unknown option "max_tokens"; did you mean maxTokens\?$/,
      ],
      [{ model, maxBytes: 3 }, /Unknown option "maxBytes"; /],
      [{ model, threads: 2 }, /Unknown option "threads"; known options: model, /],
      [{ model, slice: { maxMilis: 5 } }, /with slice: Unknown option "maxMilis"; did you mean maxMillis\?$/],
      [{ model, http: { retry: 3 } }, /with http: Unknown option "retry"; known options: headers, /],
      [null, /Expected an object of options, got null$/],
    ] as const) {
      assert.throws(() => createWorker(options as unknown as WorkerOptions), { code: "USAGE", message });
    }
  });

  it("takes ids and special tokens as prompts", async () => {
    const send = sendTo({ model });
    await using llama = await Llama.load(model, { threads: 1 });
    const options = { temperature: 0, max_tokens: 12 };
    const text = async (body: object) => (await read(await ask(send, { ...options, ...body }))).text;
    const expected = await text({ prompt: "Once upon a time" });
    assert.equal(await text({ prompt: llama.tokenizer.encode("Once upon a time") }), expected);
    assert.equal(await text({ prompt: "<s>Once upon a time", special: true }), expected);
    assert.notEqual(await text({ prompt: "<s>Once upon a time", special: null }), expected);
    await refused(
      await send("/generate", post({ prompt: [1, 1e6] })),
      400,
      "USAGE",
      /Expected ids in \[0, \d+\), got 1000000 at index 1/,
    );
  });
});
