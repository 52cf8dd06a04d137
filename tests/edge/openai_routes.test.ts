// OpenAI's routes of an isolate: the same handler as a server's, over the isolate's own queue.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createWorker, type WorkerOptions } from "../../src/edge/create_worker.ts";
import { Llama } from "../../src/mod.ts";
import { embeddedModelUrl } from "../../src/package.ts";
import { ask, hi } from "../support/ask.ts";
import { health } from "../support/edge.ts";
import { readSse } from "../support/sse.ts";

const model = new Uint8Array(readFileSync(embeddedModelUrl("cria:tales-chat")));

// biome-ignore lint/suspicious/noExplicitAny: answers of several kinds
type Answer = any;

const chat = "/v1/chat/completions";

function workerOf(options: Partial<WorkerOptions> = {}) {
  return createWorker({ model, contextLength: 256, ...options });
}

const messagesOf = (i: number) => [{ role: "user", content: `Tell me a story about ${"abcdefgh"[i]}.` }];

describe("OpenAI's routes of createWorker()", () => {
  it("answer eight conversations at once as if each were alone", async () => {
    const worker = workerOf();
    await using llama = await Llama.load(model, { threads: 1, contextLength: 256 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const body = { messages: messagesOf(i), stream: i % 2 === 1, seed: i, max_tokens: 12 };
        const response = await ask(worker, chat, body);
        assert.equal(response.status, 200);
        if (!body.stream) return ((await response.json()) as Answer).choices[0].message.content;
        const { events, isDone } = await readSse(response);
        assert.ok(isDone);
        return events.map(({ choices: [{ delta }] }) => delta.content ?? "").join("");
      }),
    );
    for (const [i, text] of answers.entries()) {
      const alone = await llama.complete(messagesOf(i), { seed: i, maxTokens: 12 });
      // The space of a first word is no part of an answer.
      assert.equal(text, alone.text.replace(/^ /, ""));
    }
    assert.equal(
      (await health((path, init) => worker.fetch(new Request(`http://worker${path}`, init)))).active,
      0,
    );
  });

  it("take a template of the worker's own", async () => {
    const worker = workerOf({ chatTemplate: "{{ messages[0]['content'] }}!" });
    const { prompt } = (await (await ask(worker, "/apply-template", { messages: hi })).json()) as Answer;
    assert.equal(prompt, `${hi[0]?.content}!`);
    assert.throws(() => workerOf({ gelu: "exact" as "erf" }), /gelu "exact": Expected one of tanh, erf/);
  });

  it("compute several choices, each with its own numbers, and count the prompt once", async () => {
    const worker = workerOf();
    const body = {
      messages: hi,
      seed: 2,
      max_tokens: 6,
      temperature: 1.5,
      top_p: 1,
      top_k: 0,
      logprobs: true,
    };
    const one = (await (await ask(worker, chat, body)).json()) as Answer;
    const three = (await (await ask(worker, chat, { ...body, n: 3 })).json()) as Answer;
    assert.deepEqual(three.choices[0], one.choices[0]);
    assert.equal(new Set(three.choices.map(({ message }: Answer) => message.content)).size, 3);
    assert.equal(three.usage.prompt_tokens, one.usage.prompt_tokens);
    assert.equal(three.choices[1].logprobs.content.length, 6);
  });

  it("have log-probabilities whose bytes are those of the answer, and answer more prompts than may wait", async () => {
    const worker = workerOf({ concurrency: 1, queue: 0 });
    const body = { messages: hi, temperature: 0, logprobs: true, max_tokens: 60 };
    const [{ message, logprobs }] = ((await (await ask(worker, chat, body)).json()) as Answer).choices;
    const said = logprobs.content.flatMap((entry: Answer) => entry.bytes);
    assert.equal(new TextDecoder().decode(new Uint8Array(said)), message.content);
    assert.equal(logprobs.content.at(-1).token, "</s>");
    const prompts = { prompt: ["Once", "The", "A"], max_tokens: 2 };
    const { choices } = (await (await ask(worker, "/v1/completions", prompts)).json()) as Answer;
    assert.equal(choices.length, 3);
  });

  it("end at the slice of the worker, and at its most tokens", async () => {
    for (const options of [{ slice: { maxTokens: 4 } }, { maxTokens: 4 }]) {
      const answer = (await (await ask(workerOf(options), chat, { messages: hi, seed: 1 })).json()) as Answer;
      assert.deepEqual([answer.choices[0].finish_reason, answer.usage.completion_tokens], ["length", 4]);
    }
  });

  it("need keys if the worker has some, as /generate does, and tell pages of their origins", async () => {
    const worker = createWorker<{ KEYS: string }>({
      model,
      contextLength: 256,
      apiKeys: ({ KEYS }) => KEYS.split(","),
      cors: "https://chat.example.com",
    });
    const env = { KEYS: "one,two" };
    const send = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      worker.fetch(
        new Request(`http://worker${path}`, {
          method: "POST",
          body: JSON.stringify(body),
          headers: { "content-type": "application/json", origin: "https://chat.example.com", ...headers },
        }),
        env,
      );
    for (const path of [chat, "/generate"]) assert.equal((await send(path, { prompt: "x" })).status, 401);
    const asked = { messages: hi, max_tokens: 2 };
    const answer = await send(chat, asked, { authorization: "Bearer two" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://chat.example.com");
    const generated = await send("/generate", { prompt: "Once", max_tokens: 2 }, { "x-api-key": "one" });
    assert.equal(generated.status, 200);
    await generated.text();
  });

  it("say what there is, and refuse what is too much", async () => {
    const worker = workerOf({ name: "mine", concurrency: 1, queue: 0 });
    const get = async (path: string) => (await worker.fetch(new Request(`http://worker${path}`))).json();
    assert.deepEqual(await get("/health"), { status: "ok" });
    assert.equal(((await get("/v1/models")) as Answer).data[0].id, "mine");
    assert.equal(((await get("/slots")) as Answer).length, 1);
    const long = { messages: hi, stream: true, logit_bias: { 2: -100 }, max_tokens: 200 };
    const first = await ask(worker, chat, long);
    const second = await ask(worker, chat, { messages: hi });
    assert.equal(second.status, 429);
    assert.ok(Number(second.headers.get("retry-after")) > 0);
    await first.body?.cancel();
    const broken = createWorker({ model: new Uint8Array(10) });
    const response = await ask(broken, chat, { messages: hi });
    assert.equal(response.status, 503);
    assert.equal(((await response.json()) as Answer).error.code, "model_failed");
  });
});
