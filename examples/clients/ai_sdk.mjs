// A conversation with `cria serve` by the `ai` SDK, in Bun, Deno or Node 22 and later:
//   bun run serve                                (in another terminal)
//   node examples/clients/ai_sdk.mjs [BASE_URL]
// Without a server, in the same process: `cria/ai-sdk`.
import process from "node:process";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const baseURL = process.argv[2] ?? "http://127.0.0.1:8080/v1";
const apiKey = process.env.CRIA_API_KEY ?? "none";
const provider = createOpenAICompatible({ name: "cria", baseURL, apiKey, includeUsage: true });

const { data } = await (
  await fetch(`${baseURL}/models`, { headers: { authorization: `Bearer ${apiKey}` } })
).json();
const model = provider(data[0].id);
const messages = [{ role: "user", content: "Hello!" }];
// At temperature 0 it says the same each time, and in each runtime.
const settings = { model, temperature: 0, maxOutputTokens: 40 };

// Streamed, with the numbers of tokens at the end.
let text = "";
const streamed = streamText({ ...settings, messages });
for await (const piece of streamed.textStream) text += piece;
const usage = await streamed.usage;
console.log(`streamed: ${text.trim()}`);
console.log(`tokens: ${usage.inputTokens} + ${usage.outputTokens}`);

// The second turn, which ends at the first full stop. What came before it is cached.
messages.push({ role: "assistant", content: text }, { role: "user", content: "Yes, about a cat." });
const stopped = await generateText({ ...settings, messages, stopSequences: ["."] });
console.log(`stopped: ${stopped.text.trim()} (${stopped.finishReason})`);

// How sure it is of its words: the SDK has no word for it, the server's answer does.
const sure = await generateText({
  ...settings,
  messages,
  maxOutputTokens: 3,
  providerOptions: { cria: { logprobs: true, top_logprobs: 2 } },
  include: { responseBody: true },
});
const tokens = sure.response.body.choices[0].logprobs.content.map(
  ({ token, logprob, top_logprobs }) =>
    `${token.trim()} ${(100 * Math.exp(logprob)).toFixed(0)} % (or ${top_logprobs[1].token.trim()})`,
);
console.log(`sure: ${tokens.join(", ")}`);

// Left: the server stops computing when the client goes.
const controller = new AbortController();
const long = streamText({ ...settings, messages, maxOutputTokens: 200, abortSignal: controller.signal });
let pieces = 0;
for await (const _ of long.textStream) if (++pieces === 3) controller.abort();
console.log(`left after ${pieces} pieces`);
