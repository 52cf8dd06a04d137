// POST /v1/responses: answers a conversation in the form of the Responses API, and stores nothing.
import type { Exchange, Route } from "../http/route.ts";
import { answer } from "../openai/answer.ts";
import { check } from "../openai/check.ts";
import { refuseNotDone, samplingOf } from "../openai/fields.ts";
import { ResponseForm } from "../openai/response_form.ts";
import {
  conversationOf,
  type ResponseRequest,
  refuseIncludes,
  responseSchema,
} from "../openai/response_input.ts";
import { allowedTools } from "../openai/tool_choice.ts";
import { variablesOf } from "../openai/variables.ts";

async function respond(exchange: Exchange): Promise<Response> {
  const model = await exchange.model();
  const fields = await exchange.fields();
  const asked = check(responseSchema, fields);
  refuseNotDone(fields, {
    max_tokens: "max_output_tokens",
    max_completion_tokens: "max_output_tokens",
    stop: "no stop texts: those are for /v1/chat/completions",
  });
  refuseIncludes(fields.include);
  const { facts } = model;
  const tools = allowedTools(
    fields,
    (asked.tools ?? []).map(({ tool }) => tool),
  );
  const { effort } = asked.reasoning ?? {};
  const variables = variablesOf({ ...fields, ...(effort && { reasoning_effort: effort }) });
  const form = new ResponseForm({ facts, tools, repeated: repeatedOf(asked, fields) });
  return answer(exchange, form, asked.stream ?? false, {
    model,
    param: "input",
    prompts: [
      {
        messages: conversationOf(asked),
        ...(tools.length > 0 && { tools }),
        ...(variables && { variables }),
      },
    ],
    job: {
      n: 1,
      stop: [],
      maxTokens: asked.max_output_tokens ?? facts.defaultMaxTokens,
      sampling: samplingOf(fields),
      logprobs: undefined,
    },
  });
}

function repeatedOf(asked: ResponseRequest, fields: Readonly<Record<string, unknown>>) {
  const { instructions = null, max_output_tokens = null, metadata = {}, reasoning, tools = [] } = asked;
  const { temperature = null, top_p = null, tool_choice = "auto", user = null } = fields;
  return {
    instructions,
    max_output_tokens,
    metadata,
    parallel_tool_calls: true,
    reasoning: { effort: reasoning?.effort ?? null, summary: null },
    temperature,
    text: { format: { type: "text" } },
    tool_choice,
    tools: tools.map(({ tool: { function: named }, strict }) => {
      const { name, description = null, parameters = null } = named;
      return { type: "function", name, description, parameters, strict };
    }),
    top_p,
    user,
  };
}

/** Answers a conversation; nothing is stored. */
export const responses: Route = { path: "/v1/responses", post: respond };
