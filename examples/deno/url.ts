// Serve this repository on port 8000, after `bun run dist`. Then:
// deno run --allow-import --allow-net examples/deno/url.ts

import { Llama } from "http://127.0.0.1:8000/dist/cria.js";

const encoder = new TextEncoder();
await using llama = await Llama.load();
for await (const { text } of llama.generate("Once upon a time", { maxTokens: 60, seed: 7 })) {
  await Deno.stdout.write(encoder.encode(text));
}
