// Prints what llama.cpp says after texts: `node native_text.mjs MODEL < request.json`, one JSON array with an entry for each
// text: its ids, the greedy ids behind it, and the likeliest tokens with their log-probabilities at some positions of both, by
// batches ("together") and by one id a call ("apart"), which take different kernels.
import { readFileSync } from "node:fs";
import process from "node:process";
import { getLlama } from "node-llama-cpp";

/** { texts: string[], tokens: greedy ids, every: positions between those that are scored, top: tokens of each } */
const { texts, tokens, every, top } = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({
  ...{ gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error" },
});
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0 });
const context = await model.createContext({
  ...{ contextSize: 512, batchSize: 512, threads: 1, flashAttention: false, ignoreMemorySafetyChecks: true },
});
const sequence = context.getSequence();
// Everything that samplers would leave out stays in.
const all = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const scored = { generateNext: { probabilities: true, options: all } };
const greedy = { generateNext: { token: true, options: { temperature: 0 } } };

async function after(ids, asked) {
  const output = await sequence.controlledEvaluate([...ids.slice(0, -1), [ids.at(-1), asked]]);
  return output.at(-1).next;
}

async function continued(ids) {
  await sequence.clearHistory();
  const added = [];
  let input = ids;
  while (added.length < tokens) {
    const { token } = await after(input, greedy);
    added.push(token);
    input = [token];
  }
  return added;
}

function likeliest({ probabilities }) {
  const sorted = [...probabilities].sort(([, a], [, b]) => b - a).slice(0, top);
  return sorted.map(([id, probability]) => [id, Math.log(probability)]);
}

// Scores after each `every`-th id behind the text, whose ids are fed in one call or one by one.
async function scores(ids, begin, apart) {
  await sequence.clearHistory();
  const rows = {};
  let from = 0;
  for (let position = begin - 1; position < ids.length; position += every) {
    if (apart) for (; from < position; from++) await sequence.controlledEvaluate([ids[from]]);
    rows[position] = likeliest(await after(ids.slice(from, position + 1), scored));
    from = position + 1;
  }
  return rows;
}

const results = [];
for (const text of texts) {
  const ids = [model.tokens.bos, ...model.tokenize(text)];
  const added = await continued(ids);
  const together = await scores([...ids, ...added], ids.length, false);
  results.push({ ids, greedy: added, together, apart: await scores([...ids, ...added], ids.length, true) });
}
console.log(JSON.stringify(results));
process.exit(0);
