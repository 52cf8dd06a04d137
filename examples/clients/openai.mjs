// A conversation with `cria serve` by the official client of OpenAI, in Bun, Deno or Node 22 and later:
//   bun run serve                                (in another terminal)
//   node examples/clients/openai.mjs [BASE_URL]
import process from "node:process";
import OpenAI from "openai";

const baseURL = process.argv[2] ?? "http://127.0.0.1:8080/v1";
const client = new OpenAI({ baseURL, apiKey: process.env.CRIA_API_KEY ?? "none" });

const [{ id: model }] = (await client.models.list()).data;
const messages = [{ role: "user", content: "Hello!" }];
// At temperature 0 it says the same each time, and in each runtime.
const settings = { model, temperature: 0, max_tokens: 40 };

// Streamed, with the numbers of tokens at the end.
let text = "";
let usage;
const stream = await client.chat.completions.create({
  ...settings,
  messages,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
console.log(`streamed: ${text.trim()}`);
console.log(`tokens: ${usage.prompt_tokens} + ${usage.completion_tokens}`);

// The second turn, which ends at the first full stop. What came before it is cached.
messages.push({ role: "assistant", content: text }, { role: "user", content: "Yes, about a cat." });
const second = await client.chat.completions.create({ ...settings, messages, stop: ["."] });
const [choice] = second.choices;
console.log(`stopped: ${choice.message.content.trim()} (${choice.finish_reason})`);

// How sure it is of its words.
const sure = await client.chat.completions.create({
  ...settings,
  messages,
  max_tokens: 3,
  logprobs: true,
  top_logprobs: 2,
});
const tokens = sure.choices[0].logprobs.content.map(
  ({ token, logprob, top_logprobs }) =>
    `${token.trim()} ${(100 * Math.exp(logprob)).toFixed(0)} % (or ${top_logprobs[1].token.trim()})`,
);
console.log(`sure: ${tokens.join(", ")}`);

// Left: the server stops computing when the client goes.
const controller = new AbortController();
const long = await client.chat.completions.create(
  { ...settings, messages, max_tokens: 200, stream: true },
  { signal: controller.signal },
);
let pieces = 0;
for await (const _ of long) if (++pieces === 3) controller.abort();
console.log(`left after ${pieces} pieces`);
