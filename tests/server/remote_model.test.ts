// A model in another thread behind a port: the contract of all models, and what happens when the thread dies.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { CriaError, Llama, MemoryError } from "../../src/mod.ts";
import { QueueError } from "../../src/server/jobs/queue_error.ts";
import { errorOf, plainError } from "../../src/server/remote/protocol.ts";
import { type EngineThread, RemoteModel } from "../../src/server/remote/remote_model.ts";
import { contractLoad } from "../support/contract_load.ts";
import { startEngineThread } from "../support/engine_thread.ts";
import { embeddedModel } from "../support/models.ts";
import { alone, answer, answersOf, contract, eventsOf, jobOf, until } from "../support/served_model.ts";

const llama = await Llama.load(embeddedModel, contractLoad);
let thread: EngineThread | undefined;
let kill: (reason: string) => void = () => {};
const remote = await RemoteModel.start((onDeath) => {
  kill = onDeath;
  thread = startEngineThread({}, onDeath);
  return thread;
});
after(async () => {
  llama.dispose();
  await remote.close();
});
const never = new AbortController().signal;

describe("RemoteModel", () => {
  contract(
    "RemoteModel",
    () => remote,
    () => llama,
  );

  it("sends the first token at once and later ones in batches", async () => {
    const batches: number[] = [];
    const events = [];
    for await (const batch of remote.run(jobOf("Once", { maxTokens: 200, sampling: { seed: 1 } }), never)) {
      batches.push(batch.filter(({ kind }) => kind === "token").length);
      events.push(...batch);
    }
    const job = jobOf("Once", { maxTokens: 200, sampling: { seed: 1 } });
    assert.deepEqual(answersOf(events), await alone(llama, job));
    assert.ok(batches.length < 200, `${batches.length} batches`);
  });

  it("waits for a reader who takes nothing", async () => {
    const many = jobOf("Once", { n: 7, maxTokens: 180, sampling: { seed: 1, temperature: 2 } });
    const slow = remote.run(many, never);
    const events = [...((await slow.next()).value ?? [])];
    await until(async () => (await remote.status()).slots.every(({ busy }) => !busy), "it waits");
    assert.deepEqual(await answer(remote, jobOf("Lily")), await alone(llama, jobOf("Lily")));
    for await (const batch of slow) events.push(...batch);
    assert.deepEqual(answersOf(events), await alone(llama, many));
  });

  it("fails what runs when its thread dies, and starts another", async () => {
    const job = jobOf("Once", { maxTokens: undefined, sampling: { seed: 1 } });
    const running = [eventsOf(remote, job), eventsOf(remote, job)];
    const before = (await remote.status()).totals;
    thread?.stop();
    kill("a test");
    for (const one of running)
      await assert.rejects(one, { code: "ENGINE", message: /thread died \(a test\)/ });
    await assert.rejects(eventsOf(remote, job), { code: "QUEUE", reason: "loading" });
    assert.deepEqual(await remote.status().then(({ state, totals }) => [state, totals]), ["loading", before]);
    await until(async () => (await remote.status()).state === "ready", "another thread is there");
    assert.deepEqual(await answer(remote, jobOf("Lily")), await alone(llama, jobOf("Lily")));
    assert.ok((await remote.status()).totals.tokens >= before.tokens + 16);
  });

  it("says why a model cannot be loaded, and that a thread has died before", async () => {
    const start = (model: string) => RemoteModel.start((onDeath) => startEngineThread({ model }, onDeath));
    await assert.rejects(start("no such file.gguf"), { code: "SOURCE", message: /no such file/ });
    await assert.rejects(start("dies"), { code: "ENGINE", message: /its thread died/ });
  });

  it("fails what runs when it is closed", async () => {
    const model = await RemoteModel.start((onDeath) => startEngineThread({}, onDeath));
    const running = eventsOf(model, jobOf("Once", { maxTokens: undefined, sampling: { seed: 1 } }));
    const ended = assert.rejects(running, { code: "QUEUE", reason: "closed" });
    await model.close();
    await ended;
    assert.equal((await model.status()).state, "closed");
    await assert.rejects(eventsOf(model, jobOf("A")), { code: "QUEUE", reason: "closed" });
    await assert.rejects(model.decode([1]), { code: "QUEUE", reason: "closed" });
    await model.close();
  });
});

describe("errors between threads", () => {
  it("keep their class, and what a queue says", () => {
    const memory = errorOf(structuredClone(plainError(new MemoryError("no room"))));
    assert.ok(memory instanceof MemoryError && memory.message === "no room");
    const full = errorOf(structuredClone(plainError(new QueueError("many", "full", 3))));
    assert.ok(full instanceof QueueError);
    assert.deepEqual([full.reason, full.retryAfter, full.code], ["full", 3, "QUEUE"]);
    const other = errorOf(structuredClone(plainError(new TypeError("odd"))));
    assert.ok(!(other instanceof CriaError));
    assert.deepEqual([other.name, other.message], ["TypeError", "odd"]);
    assert.equal(errorOf(plainError("text")).message, "text");
  });
});
