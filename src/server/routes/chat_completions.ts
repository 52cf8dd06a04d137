// POST /v1/chat/completions: answers a conversation.
import * as v from "valibot";
import type { Tool } from "../../chat/messages.ts";
import type { Fields } from "../http/body.ts";
import type { Exchange, Route } from "../http/route.ts";
import { answer } from "../openai/answer.ts";
import { ChatForm } from "../openai/chat_form.ts";
import { boolean, check, integer, wrong } from "../openai/check.ts";
import { commonFields, includesUsage, refuseNotDone, samplingOf } from "../openai/fields.ts";
import { messagesSchema, toolsSchema } from "../openai/messages.ts";
import { allowedTools } from "../openai/tool_choice.ts";
import { variablesOf } from "../openai/variables.ts";

const MAX_TOP_LOGPROBS = 20;

const schema = v.object({
  ...commonFields,
  messages: messagesSchema,
  tools: v.optional(toolsSchema),
  max_completion_tokens: v.optional(integer(0)),
  logprobs: v.optional(boolean),
  top_logprobs: v.optional(integer(0, MAX_TOP_LOGPROBS)),
});

async function chat(exchange: Exchange): Promise<Response> {
  const model = await exchange.model();
  const fields = await exchange.fields();
  const asked = check(schema, fields);
  refuseNotDone(fields, { max_output_tokens: "max_completion_tokens" });
  const tools = allowedTools(fields, asked.tools ?? []);
  const { n = 1, stop = [], logprobs = false, stream = false } = asked;
  const { facts } = model;
  const form = new ChatForm({
    facts,
    tools,
    n,
    logprobs,
    includeUsage: includesUsage(asked),
  });
  return answer(exchange, form, stream, {
    model,
    param: "messages",
    prompts: [promptOf(asked.messages, tools, fields)],
    job: {
      n,
      stop,
      maxTokens: asked.max_completion_tokens ?? asked.max_tokens ?? facts.defaultMaxTokens,
      sampling: samplingOf(fields),
      logprobs: alternatives(logprobs, asked.top_logprobs),
    },
  });
}

function promptOf(messages: v.InferOutput<typeof messagesSchema>, tools: readonly Tool[], fields: Fields) {
  const variables = variablesOf(fields);
  return { messages, ...(tools.length > 0 && { tools }), ...(variables && { variables }) };
}

function alternatives(logprobs: boolean, top: number | undefined): number | undefined {
  if (logprobs) return top ?? 0;
  if (top === undefined || top === 0) return undefined;
  throw wrong("top_logprobs", "top_logprobs", "beside logprobs: true", top);
}

/** Answers a conversation. */
export const chatCompletions: Route = { path: "/v1/chat/completions", post: chat };
