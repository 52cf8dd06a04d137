// What one client waits for: the first token with and without a cached prefix, and tokens beside another's long prompt.
import { Llama } from "../../src/mod.ts";
import { someIds } from "../models.ts";
import { median, significant } from "../report.ts";
import type { Effort, Row, ServedFile } from "./rows.ts";

const PREFIX = 512;
const NEW = 16;
const LONG = 2000;
const CONTEXT = 2304;

async function firstToken(llama: Llama, ids: readonly number[]): Promise<number> {
  const begin = performance.now();
  await llama.complete(ids, { temperature: 0, maxTokens: 1 });
  return performance.now() - begin;
}

/** The time of the first token behind a prefix of 512 tokens that is cached, beside that of one which is not. */
export async function prefixRows({ name, file }: ServedFile, effort: Effort): Promise<Row[]> {
  await using llama = await Llama.load(file, { contextLength: CONTEXT, prefixCache: 1 << 30 });
  const { vocabSize } = llama.config;
  const cold: number[] = [];
  const warm: number[] = [];
  for (let round = -1; round < effort.rounds; round++) {
    // Another prefix in each round; then the same with another end.
    const prefix = someIds(PREFIX + 8, vocabSize)
      .slice(0, PREFIX)
      .map((id) => (id + 977 * (round + 2)) % vocabSize);
    const end = (seed: number) => someIds(NEW, vocabSize).map((id) => (id + seed) % vocabSize);
    const first = await firstToken(llama, [...prefix, ...end(1)]);
    const second = await firstToken(llama, [...prefix, ...end(2)]);
    if (round < 0) continue;
    cold.push(first);
    warm.push(second);
  }
  const ms = (what: string, times: readonly number[]): Row => ({
    ...{ model: name, what, value: significant(median(times)), unit: "ms", samples: times.length },
  });
  const ratio = significant(median(warm) / median(cold), 3);
  return [
    ms(`first token behind ${PREFIX} + ${NEW} tokens`, cold),
    ms(`first token behind ${NEW} tokens and ${PREFIX} that are cached`, warm),
    {
      model: name,
      what: "cached / not cached",
      value: ratio,
      unit: "ratio",
      samples: warm.length,
      asked: "<= 0.125",
    },
  ];
}

// When each token came, until `isOver`.
async function gaps(llama: Llama, isOver: () => boolean): Promise<number[]> {
  const abort = new AbortController();
  const times: number[] = [];
  const ids = someIds(NEW, llama.config.vocabSize);
  const options = {
    temperature: 0,
    ignoreEos: true,
    logprobs: false,
    signal: abort.signal,
    stopOnAbort: true,
  } as const;
  for await (const _ of llama.generate(ids, options)) {
    times.push(performance.now());
    if (isOver()) abort.abort();
  }
  return times.slice(1).map((time, i) => time - (times[i] as number));
}

/** The time between two tokens of a stream, alone and while a prompt of 2,000 tokens is computed. */
export async function besideRows({ name, file, tokens }: ServedFile, effort: Effort): Promise<Row[]> {
  await using llama = await Llama.load(file, { contextLength: CONTEXT });
  const length = Math.min(LONG, llama.contextLength - 1);
  const alone: number[] = [];
  const beside: number[] = [];
  const prompts: number[] = [];
  for (let round = -1; round < Math.max(1, effort.rounds / 3); round++) {
    let n = 0;
    const quiet = await gaps(llama, () => ++n > tokens);
    let isOver = false;
    const busy = gaps(llama, () => isOver);
    const since = performance.now();
    await llama.complete(someIds(length, llama.config.vocabSize), { temperature: 0, maxTokens: 1 });
    const took = performance.now() - since;
    isOver = true;
    const some = (await busy).slice(1, -1);
    if (round < 0) continue;
    alone.push(...quiet);
    beside.push(...some);
    prompts.push(took);
  }
  const ms = (what: string, times: readonly number[]): Row => ({
    ...{ model: name, what, value: significant(median(times)), unit: "ms", samples: times.length },
  });
  const p95 = beside.toSorted((a, b) => a - b)[Math.floor(0.95 * beside.length)] as number;
  const ratio = (what: string, value: number, asked?: string): Row => ({
    ...{
      model: name,
      what,
      value: significant(value / median(alone), 3),
      unit: "ratio",
      samples: beside.length,
    },
    ...(asked !== undefined && { asked }),
  });
  return [
    ms("between two tokens, alone", alone),
    ms(`between two tokens, beside a prompt of ${length}`, beside),
    ms(`prompt of ${length} beside a stream`, prompts),
    ratio("median beside / alone", median(beside), "<= 2.5"),
    ratio("mean beside / alone", beside.reduce((sum, gap) => sum + gap, 0) / beside.length, "<= 2.5"),
    ratio("95th percentile beside / alone", p95),
  ];
}
