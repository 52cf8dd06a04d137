// A model in this thread behind a server: the contract, its queue, and what happens when the engine fails.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Engine } from "../../src/engine/engine.ts";
import { Llama } from "../../src/mod.ts";
import { LocalModel } from "../../src/server/local_model.ts";
import { contractLoad } from "../support/contract_load.ts";
import { embeddedModel } from "../support/models.ts";
import { alone, answer, contract, eventsOf, jobOf, until } from "../support/served_model.ts";

const load = () => Llama.load(embeddedModel, contractLoad);
const llama = await load();
const served = new LocalModel(await load(), { id: "tales", parallel: 4 });
after(async () => {
  llama.dispose();
  await served.close();
});
const never = new AbortController().signal;

describe("LocalModel", () => {
  contract(
    "LocalModel",
    () => served,
    () => llama,
  );

  it("computes as many choices at once as it may, and lets the others wait", async () => {
    const jobs = Array.from({ length: 9 }, (_, i) =>
      jobOf("Lily and Tom", { n: 1 + (i % 3), sampling: { seed: i }, owner: `owner ${i % 2}` }),
    );
    const running = jobs.map((job) => answer(served, job));
    let most = 0;
    await until(async () => {
      const { slots, waiting } = await served.status();
      most = Math.max(most, slots.filter(({ busy }) => busy).length);
      return waiting > 0;
    }, "some wait");
    for (const [i, one] of running.entries())
      assert.deepEqual(await one, await alone(llama, jobs[i] as never));
    assert.ok(most <= 4);
  });

  it("refuses jobs when too many wait", async () => {
    const small = new LocalModel(await load(), { id: "small", parallel: 1, queue: 1 });
    const long = jobOf("Once", { maxTokens: undefined, sampling: { seed: 1 } });
    const both = [small.run(long, never), small.run(long, never)];
    const firsts = both.map((one) => one.next());
    await firsts[0];
    await assert.rejects(eventsOf(small, long), { code: "QUEUE", reason: "full" });
    await small.close();
    await assert.rejects(firsts[1] as Promise<unknown>, { code: "QUEUE", reason: "closed" });
    await assert.rejects(eventsOf(small, long), { code: "QUEUE", reason: "closed" });
    assert.equal((await small.status()).state, "closed");
    await small.close();
  });

  it("waits for a reader who takes nothing, and gives its place to others meanwhile", async () => {
    const model = new LocalModel(await load(), { id: "one", parallel: 1 });
    const many = jobOf("Once", { n: 8, maxTokens: 200, sampling: { seed: 1, temperature: 2 } });
    const slow = model.run(many, never);
    await slow.next();
    await until(async () => (await model.status()).slots.every(({ busy }) => !busy), "it waits");
    const { tokens } = (await model.status()).totals;
    assert.equal((await answer(model, jobOf("Lily")))[0]?.tokens, 16);
    assert.equal((await model.status()).totals.tokens, tokens + 16);
    let all = 0;
    for await (const batch of slow) all += batch.length;
    assert.ok(all > 1024);
    await model.close();
  });

  it("fails all jobs when the engine fails, loads the model again and says so", async () => {
    let finish: ((again: Llama) => void) | undefined;
    const reload = () =>
      new Promise<Llama>((resolve) => {
        finish = resolve;
      });
    const model = new LocalModel(await load(), { id: "again", parallel: 2, reload });
    const jobs = Array.from({ length: 5 }, () =>
      eventsOf(model, jobOf("Once", { maxTokens: undefined, sampling: { seed: 1 } })),
    );
    const { run } = Engine.prototype;
    Engine.prototype.run = function () {
      Engine.prototype.run = run;
      this.retire(new (class extends Error {})("trapped"));
      throw new Error("trapped");
    };
    const results = await Promise.allSettled(jobs);
    assert.ok(results.every(({ status }) => status === "rejected"));
    assert.equal((await model.status()).state, "loading");
    await assert.rejects(eventsOf(model, jobOf("A")), { code: "QUEUE", reason: "loading" });
    finish?.(await load());
    await until(async () => (await model.status()).state === "ready", "it is ready");
    assert.deepEqual(await answer(model, jobOf("Lily")), await alone(llama, jobOf("Lily")));
    await model.close();
  });

  it("stays failed if it cannot be loaded again", async () => {
    const own = await load();
    const model = new LocalModel(own, { id: "failed", reload: () => Promise.reject(new Error("no file")) });
    own.dispose();
    await assert.rejects(eventsOf(model, jobOf("A")), { code: "QUEUE", reason: "loading" });
    await until(async () => (await model.status()).state === "failed", "it has failed");
    await assert.rejects(eventsOf(model, jobOf("A")), { code: "ENGINE" });
    await model.close();
  });

  it("refuses options that make no sense", async () => {
    const refuses = (options: object, message: RegExp) =>
      assert.throws(() => new LocalModel(llama, options as never), { code: "USAGE", message });
    refuses({ id: "" }, /id to be a name/);
    refuses({ id: "a", parallel: 0 }, /parallel/);
    refuses({ id: "a", queue: -1 }, /queue/);
    refuses({ id: "a", reload: 3 }, /reload/);
    refuses({ id: "a", paralel: 3 }, /did you mean parallel/);
  });
});
