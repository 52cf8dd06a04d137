// In a project that has installed cria: node generate.mjs. In this repository, after `bun run dist`: node examples/node/generate.mjs
import { Llama } from "cria";

const llama = await Llama.load();
for await (const { text } of llama.generate("Once upon a time", { maxTokens: 60, seed: 7 })) {
  process.stdout.write(text);
}
llama.dispose();
