// npm install cria && node generate.mjs; in this repository, after `bun run build`: node examples/node/generate.mjs
import { Llama } from "cria";

const llama = await Llama.load();
for await (const { text } of llama.generate("Once upon a time", { maxTokens: 60, seed: 7 })) {
  process.stdout.write(text);
}
llama.dispose();
