// cria inside workerd.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { type Completion, type GenerateOptions, Llama } from "../../../src/mod.ts";
import { runCli } from "../../support/cli.ts";
import {
  ask,
  events,
  health,
  healthWhen,
  read,
  readSlices,
  type Send,
  type WorkerEvent,
} from "../../support/edge.ts";
import { mixedModel, mixNames } from "../../support/mixed_models.ts";
import { embeddedModel, embeddedName } from "../../support/models.ts";
import { itUnless } from "../../support/skip.ts";
import { readSse } from "../../support/sse.ts";
import { processBytes, serveExample, serveWorkers, type Workerd } from "../../support/workerd.ts";

const MB = 2 ** 20;
const prompts = [
  "Once upon a time",
  "One day, a little",
  "The king said",
  "Lily",
  "",
  "Tom had a dog",
  "A",
  "In the",
];

const noProc =
  !existsSync("/proc/self/status") && "there is no /proc here to read the memory of a process from";

async function expectedOf(
  bodies: readonly { prompt: string; options: GenerateOptions }[],
): Promise<Completion[]> {
  await using llama = await Llama.load(embeddedModel, { threads: 1 });
  const results: Completion[] = [];
  for (const { prompt, options } of bodies) results.push(await llama.complete(prompt, options));
  return results;
}

describe("examples/workerd", () => {
  let running: Promise<{ workerd: Workerd; idleBytes: number }> | undefined;
  const start = async () => {
    const workerd = await serveExample();
    return { workerd, idleBytes: noProc ? 0 : processBytes(workerd.pid, "VmRSS") };
  };
  const started = () => {
    running ??= start();
    return running;
  };
  const send: Send = async (path, init) => fetch((await started()).workerd.urls.http + path, init);

  it("gives the text of the command line", async () => {
    assert.equal((await health(send)).status, "idle");
    for (const [body, flags] of [
      [{ temperature: 0, max_tokens: 60 }, ["--temperature", "0", "--max-tokens", "60"]],
      [
        { temperature: 1.1, top_k: 0, top_p: 0.95, repeat_penalty: 1.2, seed: 7, max_tokens: 60 },
        "--temperature 1.1 --top-k 0 --top-p 0.95 --repeat-penalty 1.2 --seed 7 --max-tokens 60".split(" "),
      ],
    ] as const) {
      const { text, last } = await read(await ask(send, { prompt: prompts[0], ...body }));
      const { stdout } = await runCli(["generate", prompts[0] as string, ...flags]);
      assert.equal(`${prompts[0]}${text}`, stdout);
      assert.deepEqual(last, {
        finish_reason: "length",
        usage: { prompt_tokens: 5, completion_tokens: 60 },
      });
    }
    const state = await health(send);
    assert.equal(state.status, "ready");
    assert.equal(state.kernel?.variant, "relaxed");
    assert.deepEqual([state.active, state.waiting, state.requests, state.tokens], [0, 0, 2, 120]);
  });

  it("streams: a short request is served while a long one runs", async () => {
    const body = { prompt: "Once", temperature: 2, top_k: 0, top_p: 1, seed: 5, max_tokens: 450 };
    const long = events(await ask(send, body));
    assert.ok((await long.next()).value?.text);
    const order: string[] = [];
    const all: WorkerEvent[] = [];
    const rest = (async () => {
      for await (const event of long) all.push(event);
      order.push("long");
    })();
    const { last } = await read(await ask(send, { prompt: "One day", max_tokens: 3 }));
    order.push("short");
    await rest;
    assert.deepEqual(order, ["short", "long"]);
    assert.equal(last.usage?.completion_tokens, 3);
    assert.ok((all.at(-1)?.usage?.completion_tokens ?? 0) > 100);
  });

  it("serves eight requests at once, each as if alone, and none after another", async () => {
    const requests = prompts.map((prompt, seed) => ({
      prompt,
      options: { temperature: 2, topK: 0, topP: 1, seed, maxTokens: 400 },
    }));
    const expected = await expectedOf(requests);
    const before = await health(send);
    const order: number[] = [];
    const texts = await Promise.all(
      requests.map(async ({ prompt, options }, i) => {
        const { temperature, topK, topP, seed, maxTokens } = options;
        const answer = await ask(send, {
          prompt,
          temperature,
          top_k: topK,
          top_p: topP,
          seed,
          max_tokens: maxTokens,
        });
        let text = "";
        for await (const event of events(answer)) {
          text += event.text ?? "";
          order.push(i);
        }
        return text;
      }),
    );
    assert.deepEqual(
      texts,
      expected.map(({ text }) => text),
    );
    const firstEnd = Math.min(...prompts.map((_, i) => order.lastIndexOf(i)));
    for (const i of prompts.keys()) assert.ok(order.indexOf(i) < firstEnd, `request ${i} waited for another`);
    const after = await health(send);
    assert.equal(after.requests - before.requests, 8);
    assert.equal(after.active, 0);
  });

  it("answers eight requests of OpenAI's routes at once, each as if alone, streamed and whole", async () => {
    const requests = prompts.map((prompt, seed) => ({
      prompt,
      options: { temperature: 1.5, topK: 0, topP: 1, seed, maxTokens: 60 },
    }));
    const expected = await expectedOf(requests);
    const texts = await Promise.all(
      requests.map(async ({ prompt, options }, i) => {
        const { temperature, topK, topP, seed, maxTokens } = options;
        const sampling = { temperature, top_k: topK, top_p: topP, seed, max_tokens: maxTokens };
        const response = await send("/v1/completions", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ prompt, ...sampling, stream: i % 2 === 0 }),
        });
        assert.equal(response.status, 200);
        type Chunk = { readonly choices: readonly { readonly text: string }[] };
        if (i % 2 === 1) return ((await response.json()) as Chunk).choices[0]?.text;
        const { events, isDone } = await readSse(response);
        assert.ok(isDone);
        return events.map(({ choices: [choice] }) => choice.text).join("");
      }),
    );
    assert.deepEqual(
      texts,
      expected.map(({ text }) => text),
    );
    const models = (await (await send("/v1/models")).json()) as { data: { object: string }[] };
    assert.equal(models.data[0]?.object, "model");
    assert.equal((await health(send)).active, 0);
  });

  it("stops the work of a request that was abandoned", async () => {
    const before = await health(send);
    const body = { prompt: "Once", temperature: 2, top_k: 0, top_p: 1, seed: 6, max_tokens: 500 };
    const controller = new AbortController();
    const response = await ask(send, body, { signal: controller.signal });
    const answer = events(response);
    for (let i = 0; i < 3; i++) await answer.next();
    controller.abort();
    await answer.next().catch(() => {});
    const after = await healthWhen(send, ({ active }) => active === 0);
    await read(await ask(send, { prompt: "One day", max_tokens: 5 }));
    const later = await health(send);
    assert.ok(after.tokens - before.tokens < 450, `${after.tokens - before.tokens} tokens`);
    assert.equal(later.tokens, after.tokens + 5, "only the other request has computed since");
  });

  itUnless(noProc, "grows by less than its budget of 128 MB with eight requests at once", async () => {
    await Promise.all(
      prompts.map(async (prompt) => read(await ask(send, { prompt, temperature: 1.5, top_k: 0, top_p: 1 }))),
    );
    const { workerd, idleBytes } = await started();
    const grown = processBytes(workerd.pid, "VmHWM") - idleBytes;
    const { memoryBytes = 0, memoryBudget } = await health(send);
    console.log(`workerd: ${(grown / MB).toFixed(1)} MB more at most than before the first request`);
    assert.ok(grown > memoryBytes && grown < 128 * MB, `${grown / MB} MB`);
    assert.equal(memoryBudget, 128 * MB);
  });
});

describe("createWorker() in workerd", () => {
  const head = 'import { createWorker } from "./cria/workerd.js";\n';
  const withModel = `${head}import model from "./tales.gguf";\n`;
  const assets = `${head}export default createWorker({
    model: (env) => env.ASSETS.fetch("http://assets/${basename(embeddedName)}") });`;
  let running: Promise<Workerd> | undefined;
  const start = () =>
    serveWorkers({
      sliced: `${withModel}export default createWorker({ model, slice: { maxTokens: 7 } });`,
      millis: `${withModel}export default createWorker({ model, slice: { maxMillis: 1 } });`,
      stored: `${withModel}const kept = new Map();
          const store = { get: async (key) => kept.get(key), put: async (key, bytes) => kept.set(key, bytes) };
          export default createWorker({ model, slice: { maxTokens: 7 }, store });`,
      small: `${withModel}export default createWorker({ model, memoryBytes: 40 << 20 });`,
      narrow: `${withModel}export default createWorker({ model, concurrency: 1, queue: 2 });`,
      assets: `${head}export default createWorker({
          model: (env) => env.ASSETS.fetch("http://assets/${basename(embeddedName)}"), kv: "q8" });`,
      left: assets,
      leftSignal: assets,
      missing: `${head}export default createWorker({
          model: (env) => env.ASSETS.fetch("http://assets/none.gguf") });`,
      page: `${withModel}import * as cria from "./cria/workerd.js";
          export default { async fetch() {
            await using llama = await cria.Llama.load(new Uint8Array(model), { threads: 1 });
            const path = await cria.Llama.load("model.gguf").catch((error) => error.message);
            const { ids } = await llama.complete("Once", { temperature: 0, maxTokens: 5 });
            return Response.json({ ids, kernel: llama.kernel.variant, path, meta: String(import.meta.url) });
          } };`,
    });
  const send =
    (name: string): Send =>
    async (path, init) => {
      running ??= start();
      return fetch((await running).urls[name] + path, init);
    };

  for (const name of ["sliced", "stored", "millis"]) {
    it(`goes on in the next request bit for bit, as if there was one: ${name}`, async () => {
      const bodies = [
        {
          prompt: prompts[0] as string,
          options: { temperature: 1.2, topK: 0, seed: 3, repeatPenalty: 1.1, maxTokens: 60 },
        },
        { prompt: "Once", options: { temperature: 0, maxTokens: 50, stop: ["never said", " wanted to"] } },
      ];
      const expected = await expectedOf(bodies);
      for (const [i, { prompt, options }] of bodies.entries()) {
        const { topK, repeatPenalty, maxTokens, ...rest } = options as GenerateOptions;
        const body = { prompt, ...rest, top_k: topK, repeat_penalty: repeatPenalty, max_tokens: maxTokens };
        const { text, last, slices } = await readSlices(send(name), body);
        assert.equal(text, expected[i]?.text);
        assert.equal(last.finish_reason, expected[i]?.finishReason);
        if (name !== "millis") assert.equal(slices, Math.ceil((expected[i]?.ids.length as number) / 7));
        else assert.ok(slices > 1 && slices <= 60, `${slices} slices`);
      }
    });
  }

  it("refuses a model beyond its memory budget, with the numbers", async () => {
    const response = await send("small")("/generate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"prompt":"x"}',
    });
    assert.equal(response.status, 503);
    const { error } = (await response.json()) as WorkerEvent;
    assert.equal(error?.code, "MEMORY");
    assert.match(
      error?.message ?? "",
      /^Cannot load bytes: Expected at most \d+ bytes \(the budget\), it takes \d+: weights/,
    );
    const state = await health(send("small"));
    assert.equal(state.status, "failed");
    assert.deepEqual(state.error, error);
  });

  it("serves one after the other where told to, and refuses beyond its queue", async () => {
    const long = { prompt: "Once", temperature: 2, top_k: 0, top_p: 1, seed: 5, max_tokens: 450 };
    const first = await ask(send("narrow"), long);
    const others = Array.from({ length: 5 }, (_, i) =>
      send("narrow")("/generate", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: prompts[i], max_tokens: 2 }),
      }),
    );
    await read(first);
    const answers = await Promise.all(others);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 503, 503, 503]);
    for (const answer of answers) {
      if (answer.status === 200) assert.equal((await read(answer)).last.usage?.completion_tokens, 2);
      else assert.equal(answer.headers.get("retry-after"), "1");
    }
  });

  it("loads its model from assets", async () => {
    const options = { temperature: 0, maxTokens: 40 };
    await using llama = await Llama.load(embeddedModel, { threads: 1, kv: "q8" });
    const expected = await llama.complete("Once", options);
    const both = [0, 1].map(async () =>
      read(await ask(send("assets"), { prompt: "Once", temperature: 0, max_tokens: 40 })),
    );
    for (const { text } of await Promise.all(both)) assert.equal(text, expected.text);
    const response = await send("missing")("/generate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"prompt":"x"}',
    });
    assert.equal(response.status, 503);
    assert.match(
      ((await response.json()) as WorkerEvent).error?.message ?? "",
      /Expected status 200, got 404/,
    );
  });

  for (const name of ["left", "leftSignal"]) {
    it(`goes on for others when requests are abandoned, wherever they are: ${name}`, async () => {
      const [expected] = await expectedOf([{ prompt: "Once", options: { temperature: 0, maxTokens: 10 } }]);
      const short = { prompt: "Once", temperature: 0, max_tokens: 10 };
      const long = { prompt: "Once upon a time there was a king. ".repeat(40), temperature: 0 };
      for (let round = 0; round < 6; round++) {
        const leaving = Array.from({ length: 4 }, async (_, i) => {
          const controller = new AbortController();
          const answer = ask(send(name), i % 2 ? long : short, { signal: controller.signal });
          const left = answer.then(({ body }) => body?.cancel()).catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 3 * round));
          controller.abort();
          await left;
        });
        const { text } = await read(await ask(send(name), short));
        assert.equal(text, expected?.text);
        await Promise.all(leaving);
      }
      const { waiting } = await healthWhen(send(name), ({ active }) => active === 0);
      assert.equal(waiting, 0);
    });
  }

  it("leaves the rest of the library usable", async () => {
    const answer = (await (await send("page")("/")).json()) as Record<string, unknown>;
    const [expected] = await expectedOf([{ prompt: "Once", options: { temperature: 0, maxTokens: 5 } }]);
    assert.deepEqual(answer.ids, expected?.ids);
    assert.equal(answer.kernel, "relaxed");
    assert.match(String(answer.path), /there are no files in workerd/);
    assert.equal(answer.meta, "undefined");
  });
});

describe("models of mixed types in workerd", () => {
  it("give the greedy texts of this runtime", async () => {
    const sources: Record<string, string> = {};
    const files: Record<string, Uint8Array> = {};
    for (const [i, mix] of mixNames.entries()) {
      files[`${mix}.gguf`] = mixedModel(mix);
      sources[`mix${i}`] = `import { createWorker } from "./cria/workerd.js";
        import model from "./${mix}.gguf";
        export default createWorker({ model });`;
    }
    const { urls } = await serveWorkers(sources, files);
    for (const [i, mix] of mixNames.entries()) {
      await using llama = await Llama.load(mixedModel(mix), { threads: 1 });
      const expected = await llama.complete("Once", { temperature: 0, maxTokens: 24 });
      assert.ok(expected.ids.length >= 3, mix);
      const send: Send = (path, init) => fetch(urls[`mix${i}`] + path, init);
      const { text } = await read(await ask(send, { prompt: "Once", temperature: 0, max_tokens: 24 }));
      assert.equal(text, expected.text, mix);
    }
  });
});
