// Prints what llama.cpp gives for ids: `node native_logprobs.mjs MODEL ... < ids.json`, a line of JSON for each model. For
// each id but the last, the log-probabilities of all ids after it, by id.
import { readFileSync } from "node:fs";
import process from "node:process";
import { getLlama } from "node-llama-cpp";

const ids = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({
  ...{ gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error" },
});
// Everything that samplers would leave out stays in.
const all = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const tokens = ids.map((id) => [id, { generateNext: { probabilities: true, options: all } }]);
for (const modelPath of process.argv.slice(2)) {
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    ...{ contextSize: Math.max(32, ids.length), batchSize: Math.max(32, ids.length) },
    ...{ threads: 1, flashAttention: false, ignoreMemorySafetyChecks: true },
  });
  const output = await context.getSequence().controlledEvaluate(tokens);
  const rows = output.slice(0, -1).map(({ next: { probabilities } }) => {
    const row = new Array(probabilities.size).fill(0);
    for (const [id, probability] of probabilities) row[id] = Math.log(probability);
    return row;
  });
  console.log(JSON.stringify(rows));
  await context.dispose();
  await model.dispose();
}
process.exit(0);
