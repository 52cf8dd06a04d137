// Requests of many kinds, and what each of them answers alone: for the test that company changes nothing.
import assert from "node:assert/strict";
import type { Llama } from "../../src/mod.ts";
import type { SamplingOptions } from "../../src/sample/registry.ts";
import type { Job, JobEvent, ServedModel } from "../../src/server/model.ts";
import { eventsOf, jobOf } from "./served_model.ts";

/** A request, and after how many events its client leaves. */
export interface MixedRequest {
  readonly job: Job;
  readonly leavesAfter: number | undefined;
}

/** Random numbers in [0, 1) that are the same everywhere. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const beginnings = [
  "",
  "Once upon a time",
  "Once upon a time there was a little girl named Lily. She loved to play outside in the park.",
  "Lily and Tom went to the park. They saw a big dog. The dog was not happy.",
  "The king said",
  "One day, a cat",
];
const sentences = [
  " She had a red ball.",
  " He was very sad.",
  " The sun was hot and the sky was blue.",
  " They ran and ran.",
  ' Mom said, "Be nice!"',
  " It was big",
];
const stops = [" the", ".", "Lily", "\n", " and", "zebra", "ed to"];

/** As many requests as asked for, the same for a seed. @param vocabSize of the model that answers them */
export function mixedRequests(n: number, seed: number, vocabSize: number): MixedRequest[] {
  const random = seeded(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(list: readonly T[]) => list[below(list.length)] as T;
  const prompt = (): Job["prompt"] => {
    if (random() < 0.15)
      return { ids: [1, ...Array.from({ length: below(70) }, (_, i) => 3 + ((7 * i) % (vocabSize - 3)))] };
    return { text: pick(beginnings) + Array.from({ length: below(6) }, () => pick(sentences)).join("") };
  };
  const sampling = (): SamplingOptions => ({
    seed: below(1000),
    temperature: pick([0, 0.8, 1.5]),
    ...(random() < 0.3 && { topK: pick([0, 1, 5]) }),
    ...(random() < 0.3 && { topP: pick([1, 0.5, 0]) }),
    ...(random() < 0.2 && { minP: 0.1 }),
    ...(random() < 0.2 && { repeatPenalty: 1.3 }),
    ...(random() < 0.2 && { frequencyPenalty: pick([-0.5, 0.7, 2]) }),
    ...(random() < 0.2 && { presencePenalty: pick([-1, 1.5]) }),
    ...(random() < 0.2 && { logitBias: { [below(vocabSize)]: -100, [below(vocabSize)]: 5, 2: -1 } }),
  });
  return Array.from({ length: n }, () => ({
    job: jobOf("", {
      prompt: prompt(),
      n: random() < 0.7 ? 1 : 2 + below(4),
      maxTokens: below(36),
      stop: random() < 0.3 ? [pick(stops), pick(stops)] : [],
      sampling: sampling(),
      logprobs: random() < 0.3 ? below(3) : undefined,
      owner: pick(["one", "two"]),
    }),
    leavesAfter: random() < 0.12 ? 1 + below(12) : undefined,
  }));
}

/** What each choice of a job answers alone: its events. */
export async function eventsAlone(llama: Llama, job: Job): Promise<JobEvent[][]> {
  const { n, maxTokens, stop, sampling, logprobs = false } = job;
  const prompt = "ids" in job.prompt ? job.prompt.ids : (job.prompt as { readonly text: string }).text;
  const all: JobEvent[][] = [];
  for (let choice = 0; choice < n; choice++) {
    const events: JobEvent[] = [];
    const generation = llama.generate(prompt, { ...sampling, maxTokens, stop, choice, logprobs });
    for (;;) {
      const { done, value } = await generation.next();
      if (done) {
        const { finishReason, stop: found, usage } = value;
        const end = { kind: "end", choice, finishReason, tokens: usage.generatedTokens } as const;
        events.push({ ...end, ...(found !== undefined && { stop: found }) });
        break;
      }
      const { id, text, logprob, alternatives } = value;
      if (logprobs === false) events.push({ kind: "token", choice, text });
      else {
        const { tokenizer } = llama;
        const withText = (other: number) => ({
          id: other,
          text: new TextDecoder().decode(tokenizer.bytes(other, { special: true })),
          bytes: tokenizer.eosIds.includes(other) ? [] : [...tokenizer.bytes(other)],
        });
        const others = alternatives.map((other) => ({ ...withText(other.id), logprob: other.logprob }));
        events.push({ kind: "token", choice, text, logprob, token: withText(id), alternatives: others });
      }
    }
    all.push(events);
  }
  return all;
}

/**
 * Sends requests to a model, up to `atOnce` of them at a time, and compares every event with those of lone runs.
 * @param expected of each request, what {@link eventsAlone} gave
 */
export async function checkMixed(
  model: ServedModel,
  requests: readonly MixedRequest[],
  expected: readonly (readonly (readonly JobEvent[])[])[],
  { atOnce, seed }: { readonly atOnce: number; readonly seed: number },
): Promise<void> {
  const random = seeded(seed);
  const order = requests.map((_, i) => [random(), i] as const).sort(([a], [b]) => a - b);
  const sendNext = async (): Promise<void> => {
    for (let next = order.pop(); next; next = order.pop()) {
      const [, i] = next;
      await checkOne(
        model,
        requests[i] as MixedRequest,
        expected[i] as readonly (readonly JobEvent[])[],
        `request ${i}`,
      );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sendNext));
}

async function checkOne(
  model: ServedModel,
  { job, leavesAfter }: MixedRequest,
  expected: readonly (readonly JobEvent[])[],
  what: string,
): Promise<void> {
  const seen: JobEvent[][] = expected.map(() => []);
  const note = (events: readonly JobEvent[]) => {
    for (const event of events) if (event.kind !== "begin") seen[event.choice]?.push(event);
  };
  if (leavesAfter === undefined) {
    note(await eventsOf(model, job));
    assert.deepEqual(seen, expected, what);
    return;
  }
  const abort = new AbortController();
  const left = new Error("left");
  let n = 0;
  try {
    for await (const events of model.run(job, abort.signal)) {
      note(events);
      n += events.length;
      if (n >= leavesAfter) abort.abort(left);
    }
  } catch (error) {
    if (error !== left) throw error;
  }
  for (const [choice, events] of seen.entries()) {
    assert.deepEqual(
      events,
      (expected[choice] as readonly JobEvent[]).slice(0, events.length),
      `${what}, aborted`,
    );
  }
}
