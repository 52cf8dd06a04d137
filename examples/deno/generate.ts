// deno run --allow-read examples/deno/generate.ts
import { Llama } from "cria";

const encoder = new TextEncoder();
await using llama = await Llama.load();
for await (const { text } of llama.generate("Once upon a time", { maxTokens: 60, seed: 7 })) {
  await Deno.stdout.write(encoder.encode(text));
}
