// A conversation with `cria serve` by LangChain, in Bun, Deno or Node 22 and later:
//   bun run serve                                (in another terminal)
//   node examples/clients/langchain.mjs [BASE_URL]
import process from "node:process";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";

const baseURL = process.argv[2] ?? "http://127.0.0.1:8080/v1";
const apiKey = process.env.CRIA_API_KEY ?? "none";

const { data } = await (
  await fetch(`${baseURL}/models`, { headers: { authorization: `Bearer ${apiKey}` } })
).json();
// At temperature 0 it says the same each time, and in each runtime.
const settings = { model: data[0].id, apiKey, configuration: { baseURL }, temperature: 0 };
const chat = new ChatOpenAI({ ...settings, maxTokens: 40 });
const messages = [new HumanMessage("Hello!")];

// Streamed, with the numbers of tokens at the end.
let text = "";
let usage;
for await (const chunk of await chat.stream(messages)) {
  text += chunk.content;
  usage = chunk.usage_metadata ?? usage;
}
console.log(`streamed: ${text.trim()}`);
console.log(`tokens: ${usage.input_tokens} + ${usage.output_tokens}`);

// The second turn, which ends at the first full stop. What came before it is cached.
messages.push(new AIMessage(text), new HumanMessage("Yes, about a cat."));
const stopped = await chat.invoke(messages, { stop: ["."] });
console.log(`stopped: ${stopped.content.trim()} (${stopped.response_metadata.finish_reason})`);

// How sure it is of its words.
const frank = new ChatOpenAI({ ...settings, maxTokens: 3, logprobs: true, topLogprobs: 2 });
const sure = await frank.invoke(messages);
const tokens = sure.response_metadata.logprobs.content.map(
  ({ token, logprob, top_logprobs }) =>
    `${token.trim()} ${(100 * Math.exp(logprob)).toFixed(0)} % (or ${top_logprobs[1].token.trim()})`,
);
console.log(`sure: ${tokens.join(", ")}`);

// Left: the server stops computing when the client goes.
const controller = new AbortController();
const long = new ChatOpenAI({ ...settings, maxTokens: 200 });
let pieces = 0;
try {
  for await (const _ of await long.stream(messages, { signal: controller.signal })) {
    if (++pieces === 3) controller.abort();
  }
} catch (error) {
  if (!controller.signal.aborted) throw error;
}
console.log(`left after ${pieces} pieces`);
