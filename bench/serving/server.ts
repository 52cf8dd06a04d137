// What a server costs: `cria serve`, and a model behind a port in another thread, beside the model itself.
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Llama } from "../../src/mod.ts";
import type { Job, ServedModel } from "../../src/server/model.ts";
import { RemoteModel } from "../../src/server/remote/remote_model.ts";
import { startEngineThread } from "../../tests/support/engine_thread.ts";
import { median, significant } from "../report.ts";
import type { Effort, Row, ServedFile } from "./rows.ts";

const PROMPT = "Once upon a time, there was a little girl named Lily.";
const CONTEXT = 512;
const FIRST_TOKENS = 20;
// A generation is some 80 ms: so many take seconds.
const DECODE_ROUNDS = 6;

interface Timed {
  /** Milliseconds until the first token. */
  readonly first: number;
  /** Tokens a second after it. */
  readonly rate: number;
}

// The first token comes alone; later ones may come several at a time.
async function timed(source: AsyncIterable<unknown>, tokens: number): Promise<Timed> {
  const begin = performance.now();
  let first = 0;
  let last = 0;
  for await (const _ of source) {
    last = performance.now();
    first ||= last;
  }
  return { first: first - begin, rate: (1000 * (tokens - 1)) / (last - first) };
}

/** Each way once, from way `begin` on; in the order of the ways. */
async function inTurn(
  ways: readonly ((tokens: number) => AsyncIterable<unknown>)[],
  tokens: number,
  begin: number,
): Promise<Timed[]> {
  const times: Timed[] = [];
  for (let i = 0; i < ways.length; i++) {
    const at = (begin + i) % ways.length;
    const way = ways[at] as (tokens: number) => AsyncIterable<unknown>;
    times[at] = await timed(way(tokens), tokens);
  }
  return times;
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
    if (events.some(({ kind }) => kind === "token")) yield events.length;
  }
}

const cli = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Server {
  readonly url: string;
  end(): void;
}

async function serve(file: string | URL): Promise<Server> {
  const path = String(file).startsWith("file:") ? fileURLToPath(file) : String(file);
  const args = [cli, "serve", "--model", path, "--port", "0", "--ctx-size", `${CONTEXT}`, "--threads", "1"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const url = /http:\S+/.exec(String(value))?.[0];
  if (!url) throw new Error(`cria serve says ${value}`);
  while ((await fetch(`${url}/health`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return { url, end: () => void child.kill("SIGINT") };
}

// The tokens of a stream of server-sent events, as they come: a chunk of the body has those of some steps.
async function* overHttp(url: string, tokens: number): AsyncGenerator<number> {
  const body = { prompt: PROMPT, max_tokens: tokens, stream: true, seed: 1, logit_bias: { 2: -100 } };
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    if (/"text":"[^"]/.test(decoder.decode(chunk, { stream: true }))) yield chunk.length;
  }
}

/** Decoding and first tokens of a model in another thread, beside the same in this one. */
export async function serverRows({ name, file, tokens }: ServedFile, effort: Effort): Promise<Row[]> {
  await using llama = await Llama.load(file, { contextLength: CONTEXT, threads: 1 });
  const remote = await RemoteModel.start((onDeath) =>
    startEngineThread({ contextLength: CONTEXT, parallel: 8, model: String(file) }, onDeath),
  );
  const server = await serve(file);
  const ways: readonly ((tokens: number) => AsyncIterable<unknown>)[] = [
    (n) => inProcess(llama, n),
    (n) => served(remote, n),
    (n) => overHttp(server.url, n),
  ];
  const rates: number[][] = [];
  const firsts: number[][] = [];
  // The first round is not counted: code is compiled. Each round begins with another way, as machines change their speed meanwhile.
  for (let round = -1; round < DECODE_ROUNDS * effort.rounds; round++) {
    const times = await inTurn(ways, tokens, round + 1);
    if (round >= 0) rates.push(times.map(({ rate }) => rate));
  }
  for (let i = 0; i < FIRST_TOKENS; i++) firsts.push((await inTurn(ways, 1, i)).map(({ first }) => first));
  server.end();
  await remote.close();
  const row = (what: string, values: readonly number[], unit: Row["unit"], asked?: string): Row => ({
    ...{ model: name, what, value: significant(median(values)), unit, samples: values.length },
    ...(asked !== undefined && { asked }),
  });
  const rate = (i: number) => rates.map((round) => round[i] as number);
  const first = (i: number) => firsts.map((round) => round[i] as number);
  // Of the same round.
  const ratio = (i: number) => rates.map((round) => (round[i] as number) / (round[0] as number));
  const added = (i: number) => firsts.map((round) => (round[i] as number) - (round[0] as number));
  return [
    row("decode in this thread", rate(0), "tokens/s"),
    row("decode in another thread", rate(1), "tokens/s"),
    row("decode by cria serve", rate(2), "tokens/s"),
    row("another thread / this thread", ratio(1), "ratio"),
    row("cria serve / this thread", ratio(2), "ratio", ">= 0.95"),
    row("first token in this thread", first(0), "ms"),
    row("first token in another thread", first(1), "ms"),
    row("first token of cria serve", first(2), "ms"),
    row("first token: what the other thread adds", added(1), "ms"),
    row("first token: what cria serve adds", added(2), "ms", "<= 3"),
  ];
}
