// What a server costs: a model behind a port in another thread, beside the model itself.
import { Llama } from "../../src/mod.ts";
import type { Job, ServedModel } from "../../src/server/model.ts";
import { RemoteModel } from "../../src/server/remote/remote_model.ts";
import { startEngineThread } from "../../tests/support/engine_thread.ts";
import { median, significant } from "../report.ts";
import type { Effort, Row, ServedFile } from "./rows.ts";

const PROMPT = "Once upon a time, there was a little girl named Lily.";
const CONTEXT = 512;
const FIRST_TOKENS = 20;

interface Timed {
  /** Milliseconds until the first token. */
  readonly first: number;
  /** Tokens a second after it. */
  readonly rate: number;
}

async function timed(source: AsyncIterable<number>): Promise<Timed> {
  const begin = performance.now();
  let first = 0;
  let tokens = 0;
  let last = 0;
  for await (const n of source) {
    last = performance.now();
    if (tokens === 0) first = last;
    else tokens += n;
    if (tokens === 0) tokens = n;
  }
  return { first: first - begin, rate: (1000 * (tokens - 1)) / (last - first) };
}

async function* inProcess(llama: Llama, tokens: number): AsyncGenerator<number> {
  const options = { seed: 1, ignoreEos: true, maxTokens: tokens, logprobs: false } as const;
  for await (const _ of llama.generate(PROMPT, options)) yield 1;
}

async function* served(model: ServedModel, tokens: number): AsyncGenerator<number> {
  const job: Job = {
    ...{ prompt: { text: PROMPT }, n: 1, maxTokens: tokens, stop: [], owner: "bench", logprobs: undefined },
    // No end before the last token.
    sampling: { seed: 1, logitBias: { 2: -100 } },
  };
  for await (const events of model.run(job, new AbortController().signal)) {
    const n = events.filter(({ kind }) => kind === "token").length;
    if (n > 0) yield n;
  }
}

/** Decoding and first tokens of a model in another thread, beside the same in this one. */
export async function serverRows({ name, file, tokens }: ServedFile, effort: Effort): Promise<Row[]> {
  await using llama = await Llama.load(file, { contextLength: CONTEXT, threads: 1 });
  const remote = await RemoteModel.start((onDeath) =>
    startEngineThread({ contextLength: CONTEXT, parallel: 8, model: String(file) }, onDeath),
  );
  const own: Timed[] = [];
  const other: Timed[] = [];
  for (let round = -1; round < effort.rounds; round++) {
    const both = [await timed(inProcess(llama, tokens)), await timed(served(remote, tokens))] as const;
    if (round < 0) continue;
    own.push(both[0]);
    other.push(both[1]);
  }
  for (let i = 0; i < FIRST_TOKENS; i++) {
    own.push({ ...(await timed(inProcess(llama, 1))), rate: Number.NaN });
    other.push({ ...(await timed(served(remote, 1))), rate: Number.NaN });
  }
  await remote.close();
  const rate = (list: readonly Timed[]) => median(list.map((one) => one.rate).filter((value) => value > 0));
  const first = (list: readonly Timed[]) => median(list.map((one) => one.first));
  const row = (what: string, value: number, unit: Row["unit"], asked?: string): Row => ({
    ...{ model: name, what, value: significant(value), unit, samples: own.length },
    ...(asked !== undefined && { asked }),
  });
  return [
    row("decode in this thread", rate(own), "tokens/s"),
    row("decode in another thread", rate(other), "tokens/s"),
    row("another thread / this thread", rate(other) / rate(own), "ratio", ">= 0.95"),
    row("first token in this thread", first(own), "ms"),
    row("first token in another thread", first(other), "ms"),
    row("first token: what the other thread adds", first(other) - first(own), "ms", "<= 3"),
  ];
}
