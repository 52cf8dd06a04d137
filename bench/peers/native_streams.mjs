// Decodes several sequences in shared batches with llama.cpp: `node native_streams.mjs MODEL THREADS SEQUENCES CONTEXT`. Each line of
// standard input is a call, { streams, tokens, position }, and each line of standard output its answer, { ms }: the median time of
// a batch of one token of each of `streams` sequences, greedily, behind `position` tokens. With `prefill` instead of `streams`: the
// time of a prompt of so many tokens. Batches alone, as in adapters/native.ts.
import process from "node:process";
import { createInterface } from "node:readline";
import { getLlama } from "node-llama-cpp";

const [file, threads, sequences, contextSize] = process.argv.slice(2);
const llama = await getLlama({
  ...{
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: "error",
    maxThreads: 0,
  },
});
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const context = await model.createContext({
  ...{
    contextSize: Number(contextSize),
    sequences: Number(sequences),
    batchSize: 512,
    threads: Number(threads),
  },
  ...{ flashAttention: "auto", ignoreMemorySafetyChecks: true },
});
for (let i = 0; i < Number(sequences); i++) context.getSequence();
const addon = context._ctx;
const sampler = new llama._bindings.AddonSampler(model._model);
sampler.applyConfig({ temperature: 0 });
const vocabSize = model.fileInfo.metadata.tokenizer.ggml.tokens.length;

// The same ids as protocol.ts gives; each sequence begins with another.
function promptIds(n, s) {
  const first = Math.min(300, vocabSize >> 1);
  return Array.from({ length: n }, (_, i) => first + (((i + 31 * s) * 7919) % (vocabSize - first)));
}

// One batch of parts of sequences: [sequence, position, ids]. Gives the greedy choice behind each.
async function run(parts) {
  addon.initBatch(parts.reduce((sum, [, , ids]) => sum + ids.length, 0));
  const outputs = parts.map(([sequence, position, ids]) => {
    const last = Uint32Array.of(ids.length - 1);
    return addon.addToBatch(sequence, position, Uint32Array.from(ids), last)[0];
  });
  await addon.decodeBatch();
  const chosen = [];
  for (const output of outputs) chosen.push(await addon.sampleToken(output, sampler));
  return chosen;
}

function clear() {
  for (let s = 0; s < Number(sequences); s++) addon.removeTokenCellsFromSequence(s, 0, -1);
}

function median(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1];
}

async function answer({ streams, tokens, position, prefill }) {
  clear();
  if (prefill) {
    const begin = performance.now();
    await run([[0, 0, promptIds(prefill, 0)]]);
    return performance.now() - begin;
  }
  let next = [];
  for (let s = 0; s < streams; s++) next.push(...(await run([[s, 0, promptIds(position, s)]])));
  const times = [];
  for (let i = 0; i < tokens; i++) {
    const begin = performance.now();
    next = await run(next.map((id, s) => [s, position + i, [id]]));
    times.push(performance.now() - begin);
  }
  return median(times);
}

console.log(JSON.stringify({ ready: llama.llamaCppRelease.release }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ ms: await answer(JSON.parse(line)) }));
}
process.exit(0);
