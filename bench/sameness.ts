// Checks at length that company changes no bit of an answer: `bun bench/sameness.ts [requests]`, 1,000 by default.
//
// Requests of two owners with prompts that begin alike, several choices, seeds, stop strings, every sampler, log-probabilities and
// clients that leave are sent in random orders, up to 8 and up to 64 at once, to a model without a prefix cache, with one and with
// one that is too small; and to one in another thread. Every event is compared with that of a lone run.
import process from "node:process";
import { Llama } from "../src/mod.ts";
import { LocalModel } from "../src/server/local_model.ts";
import type { ServedModel } from "../src/server/model.ts";
import { RemoteModel } from "../src/server/remote/remote_model.ts";
import { startEngineThread } from "../tests/support/engine_thread.ts";
import { checkMixed, eventsAlone, mixedRequests } from "../tests/support/mixed_requests.ts";
import { embeddedModel } from "./models.ts";

const n = Number(process.argv[2] ?? 1000);
const contextLength = 256;
const llama = await Llama.load(embeddedModel, { threads: 1, contextLength });
const requests = mixedRequests(n, 20261130, llama.config.vocabSize);
const expected: Awaited<ReturnType<typeof eventsAlone>>[] = [];
const begin = performance.now();
for (const { job } of requests) expected.push(await eventsAlone(llama, job));
const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);
console.log(`${n} requests alone: ${seconds(begin)} s`);

async function local(prefixCache?: number, threads = 1): Promise<ServedModel> {
  const model = await Llama.load(embeddedModel, {
    threads,
    contextLength,
    ...(prefixCache && { prefixCache }),
  });
  return new LocalModel(model, { id: "tales" });
}

const models: readonly (readonly [string, () => Promise<ServedModel>])[] = [
  ["no prefix cache", () => local()],
  ["a prefix cache", () => local(32 << 20)],
  ["a small prefix cache, two threads", () => local(100_000, 2)],
  [
    "another thread, a prefix cache",
    () => RemoteModel.start((onDeath) => startEngineThread({ parallel: 8, prefixCache: 32 << 20 }, onDeath)),
  ],
];

for (const [name, make] of models) {
  const model = await make();
  for (const atOnce of [8, 64]) {
    const since = performance.now();
    await checkMixed(model, requests, expected, { atOnce, seed: atOnce });
    const { totals } = await model.status();
    console.log(`${name}, ${atOnce} at once: the same (${seconds(since)} s; ${JSON.stringify(totals)})`);
  }
  await model.close();
}
llama.dispose();
