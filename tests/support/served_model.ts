// What every ServedModel must do, wherever its engine runs: the same tests for each.
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Llama } from "../../src/mod.ts";
import type { Job, JobEvent, ServedModel } from "../../src/server/model.ts";

/** An answer to a job, one entry for each choice. */
export interface Answer {
  readonly text: string;
  readonly tokens: number;
  readonly finishReason: string;
  readonly stop?: string | undefined;
}

/** A job with what most tests do not care about. */
export function jobOf(text: string, more: Partial<Job> = {}): Job {
  return {
    prompt: { text },
    n: 1,
    maxTokens: 16,
    stop: [],
    sampling: { temperature: 0 },
    logprobs: undefined,
    owner: "somebody",
    ...more,
  };
}

const never = new AbortController().signal;

/** All events of a job. */
export async function eventsOf(model: ServedModel, job: Job, signal = never): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const batch of model.run(job, signal)) {
    assert.ok(batch.length > 0, "a batch has events");
    events.push(...batch);
  }
  return events;
}

/** What events say of each choice. */
export function answersOf(events: readonly JobEvent[]): Answer[] {
  const texts: string[] = [];
  const counts: number[] = [];
  const answers: Answer[] = [];
  for (const event of events) {
    if (event.kind === "begin") continue;
    if (event.kind === "token") {
      assert.equal(answers[event.choice], undefined, "no token after the end");
      texts[event.choice] = (texts[event.choice] ?? "") + event.text;
      counts[event.choice] = (counts[event.choice] ?? 0) + 1;
      continue;
    }
    const { choice, finishReason, stop, tokens } = event;
    assert.equal(tokens, counts[choice] ?? 0);
    answers[choice] = {
      text: texts[choice] ?? "",
      tokens,
      finishReason,
      ...(stop !== undefined && { stop }),
    };
  }
  return answers;
}

/** The answers to a job. */
export async function answer(model: ServedModel, job: Job, signal = never): Promise<Answer[]> {
  return answersOf(await eventsOf(model, job, signal));
}

/** What the model itself answers to a job, each choice alone. */
export async function alone(llama: Llama, job: Job): Promise<Answer[]> {
  const answers: Answer[] = [];
  const prompt = "ids" in job.prompt ? job.prompt.ids : (job.prompt as { readonly text: string }).text;
  for (let choice = 0; choice < job.n; choice++) {
    const { maxTokens, stop } = job;
    const {
      text,
      usage,
      finishReason,
      stop: found,
    } = await llama.complete(prompt, { ...job.sampling, maxTokens, stop, choice });
    answers.push({
      text,
      tokens: usage.generatedTokens,
      finishReason,
      ...(found !== undefined && { stop: found }),
    });
  }
  return answers;
}

/** Waits until a condition holds; fails after a minute. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The tests. @param llama the model by itself, to compare with */
export function contract(name: string, model: () => ServedModel, llama: () => Llama): void {
  it(`${name} says what the model is`, () => {
    const { id, contextLength, vocabSize, maxPromptBytes, created } = model().facts;
    assert.equal(id, "tales");
    assert.equal(contextLength, llama().contextLength);
    assert.equal(vocabSize, llama().config.vocabSize);
    assert.ok(maxPromptBytes >= contextLength);
    assert.ok(Math.abs(created - Date.now() / 1000) < 3600);
  });

  it(`${name} answers as the model alone does`, async () => {
    const jobs = [
      jobOf("Once upon a time"),
      jobOf("Lily", { sampling: { seed: 7, temperature: 1.2 }, maxTokens: 24 }),
      jobOf("The king", { n: 3, sampling: { seed: 3 } }),
      jobOf("A dog", { stop: [" the"], maxTokens: 60 }),
      jobOf("One day", { maxTokens: 0 }),
      jobOf("", { prompt: { ids: [1, 5, 9] } }),
    ];
    const answers = await Promise.all(jobs.map((job) => answer(model(), job)));
    for (const [i, job] of jobs.entries())
      assert.deepEqual(answers[i], await alone(llama(), job), `job ${i}`);
  });

  it(`${name} begins with what the prompt has, and names the seed that repeats it`, async () => {
    const job = jobOf("Once upon a time", { n: 2, sampling: { temperature: 1 } });
    const events = await eventsOf(model(), job);
    const [begin] = events;
    assert.ok(begin?.kind === "begin");
    assert.equal(begin.promptTokens, llama().tokenizer.encode("Once upon a time").length);
    assert.ok(begin.promptEnd.endsWith("upon a time"));
    assert.equal(events.filter(({ kind }) => kind === "begin").length, 1);
    const again = { ...job, sampling: { temperature: 1, seed: begin.seed } };
    assert.deepEqual(await answer(model(), again), answersOf(events));
  });

  it(`${name} gives log-probabilities if they are asked for`, async () => {
    const events = await eventsOf(model(), jobOf("Once", { logprobs: 2, maxTokens: 3 }));
    const tokens = events.filter((event) => event.kind === "token");
    assert.equal(tokens.length, 3);
    for (const { logprob, token, alternatives, text } of tokens) {
      assert.ok(logprob !== undefined && logprob <= 0);
      assert.equal(token?.text, new TextDecoder().decode(new Uint8Array(token?.bytes ?? [])));
      assert.equal(alternatives?.length, 2);
      assert.equal(alternatives[0]?.logprob, logprob);
      assert.equal(token?.text, text);
    }
    const plain = await eventsOf(model(), jobOf("Once", { maxTokens: 1 }));
    assert.deepEqual(Object.keys(plain[1] as JobEvent).sort(), ["choice", "kind", "text"]);
  });

  it(`${name} encodes, decodes and renders`, async () => {
    const { tokenizer } = llama();
    const texts = await model().encode("A cat 🐈", { special: false, bos: true });
    assert.deepEqual(
      texts.map(({ id }) => id),
      tokenizer.encode("A cat 🐈", { bos: true }),
    );
    const bytes = texts.flatMap((token) => token.bytes);
    assert.ok(new TextDecoder().decode(new Uint8Array(bytes)).endsWith("A cat 🐈"));
    // One object for each id, however long the text is: a million of them would hold up what computes.
    const long = await model().encode("xy".repeat(1000), { special: false, bos: false });
    assert.ok(new Set(long).size <= 5 && long.length > 100, `${new Set(long).size} of ${long.length}`);
    assert.equal(await model().decode(tokenizer.encode("A cat", { bos: false })), "A cat");
    const { ids, text } = await model().render({ text: "A cat" });
    assert.deepEqual([...ids], tokenizer.encode("A cat"));
    assert.equal(text, "A cat");
  });

  it(`${name} answers messages as its template writes them`, async () => {
    assert.ok(model().facts.hasTemplate);
    const messages = [{ role: "user", content: "A cat</s>" }];
    const tools = [{ type: "function", function: { name: "look" } }] as const;
    const prompt = { messages, tools, variables: { mood: "sad " } };
    const { text, ids } = await model().render(prompt);
    const rendered = llama().template.render(messages, { tools, variables: { mood: "sad " } });
    assert.equal(text, "<s>user: A cat</s>\nlook\nsad assistant:");
    assert.deepEqual({ text, ids: [...ids] }, rendered);
    assert.ok(!ids.includes(2), "what is said is no special token");
    const job = jobOf("", { prompt });
    const events = await eventsOf(model(), job);
    assert.ok(events[0]?.kind === "begin" && events[0].promptEnd.endsWith("sad assistant:"));
    assert.deepEqual(answersOf(events), await alone(llama(), { ...job, prompt: { ids } }));
    const refused = jobOf("", { prompt: { messages: [{ role: "nobody", content: "" }] } });
    await assert.rejects(eventsOf(model(), refused), { code: "USAGE", message: /nobody talks/ });
    const long = jobOf("", { prompt: { messages: [{ role: "user", content: "cat ".repeat(300) }] } });
    await assert.rejects(eventsOf(model(), long), { code: "CONTEXT" });
  });

  it(`${name} refuses what cannot be run`, async () => {
    const refused: readonly [Partial<Job>, string][] = [
      [{ prompt: { ids: [1e9] } }, "USAGE"],
      [{ prompt: { ids: [] } }, "USAGE"],
      [{ prompt: { ids: Array.from({ length: llama().contextLength + 1 }, () => 5) } }, "CONTEXT"],
      [{ n: 0 }, "USAGE"],
      [{ n: 1e9 }, "USAGE"],
      [{ sampling: { topP: 2 } }, "USAGE"],
      [{ sampling: { bogus: 2 } as object }, "USAGE"],
      [{ stop: [""] }, "USAGE"],
      [{ maxTokens: -1 }, "USAGE"],
    ];
    for (const [more, code] of refused) {
      await assert.rejects(eventsOf(model(), jobOf("A", more)), { code }, JSON.stringify(more).slice(0, 80));
    }
    assert.equal((await model().status()).state, "ready");
  });

  it(`${name} ends at once when it is aborted, and neighbours go on as if alone`, async () => {
    const neighbour = jobOf("Lily", { sampling: { seed: 5 }, maxTokens: 60 });
    const running = answer(model(), neighbour);
    const abort = new AbortController();
    const events: JobEvent[] = [];
    const long = jobOf("Once upon a time", { n: 2, maxTokens: undefined, sampling: { seed: 1 } });
    await assert.rejects(async () => {
      for await (const batch of model().run(long, abort.signal)) {
        events.push(...batch);
        if (events.length > 5) abort.abort(new Error("the client left"));
      }
    }, /the client left/);
    assert.deepEqual(await running, await alone(llama(), neighbour));
    await until(async () => (await model().status()).slots.every(({ busy }) => !busy), "all slots are free");
    await assert.rejects(eventsOf(model(), long, abort.signal), /the client left/);
  });

  it(`${name} frees the place of a reader who leaves`, async () => {
    for await (const _ of model().run(jobOf("Once", { maxTokens: undefined }), never)) break;
    await until(async () => (await model().status()).slots.every(({ busy }) => !busy), "all slots are free");
  });

  it(`${name} gives a job up at its deadline`, async () => {
    const late = jobOf("Once", { maxTokens: undefined, sampling: { seed: 2 }, deadlineMs: 1 });
    await assert.rejects(eventsOf(model(), late), { code: "QUEUE", reason: "deadline" });
    const enough = jobOf("Once", { maxTokens: 2, deadlineMs: 2 ** 40 });
    assert.equal((await answer(model(), enough))[0]?.tokens, 2);
  });

  it(`${name} counts what it does`, async () => {
    const before = (await model().status()).totals;
    await eventsOf(model(), jobOf("Once upon", { n: 2, maxTokens: 4 }));
    const after = (await model().status()).totals;
    assert.equal(after.tokens - before.tokens, 8);
    assert.equal(after.promptTokens - before.promptTokens, llama().tokenizer.encode("Once upon").length);
    assert.ok(after.steps > before.steps);
    const { kvPages } = await model().status();
    assert.ok(kvPages.total > 0 && kvPages.used <= kvPages.total);
  });
}
