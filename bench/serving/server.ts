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
  const own: Timed[] = [];
  const other: Timed[] = [];
  const http: Timed[] = [];
  for (let round = -1; round < effort.rounds; round++) {
    const all = [
      await timed(inProcess(llama, tokens), tokens),
      await timed(served(remote, tokens), tokens),
      await timed(overHttp(server.url, tokens), tokens),
    ] as const;
    if (round < 0) continue;
    own.push(all[0]);
    other.push(all[1]);
    http.push(all[2]);
  }
  for (let i = 0; i < FIRST_TOKENS; i++) {
    own.push({ ...(await timed(inProcess(llama, 1), 1)), rate: Number.NaN });
    other.push({ ...(await timed(served(remote, 1), 1)), rate: Number.NaN });
    http.push({ ...(await timed(overHttp(server.url, 1), 1)), rate: Number.NaN });
  }
  server.end();
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
    row("decode by cria serve", rate(http), "tokens/s"),
    row("another thread / this thread", rate(other) / rate(own), "ratio"),
    row("cria serve / this thread", rate(http) / rate(own), "ratio", ">= 0.95"),
    row("first token in this thread", first(own), "ms"),
    row("first token in another thread", first(other), "ms"),
    row("first token of cria serve", first(http), "ms"),
    row("first token: what the other thread adds", first(other) - first(own), "ms"),
    row("first token: what cria serve adds", first(http) - first(own), "ms", "<= 3"),
  ];
}
