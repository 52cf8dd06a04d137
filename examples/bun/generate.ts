// bun examples/bun/generate.ts
import { Llama } from "cria";

await using llama = await Llama.load();
for await (const { text } of llama.generate("Once upon a time", { maxTokens: 60, seed: 7 })) {
  process.stdout.write(text);
}
