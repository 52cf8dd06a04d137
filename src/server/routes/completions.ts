// POST /v1/completions: continues texts.
import * as v from "valibot";
import type { Exchange, Route } from "../http/route.ts";
import type { JobPrompt, ServedModel } from "../model.ts";
import { answer } from "../openai/answer.ts";
import { boolean, check, integer, unsupported } from "../openai/check.ts";
import { CompletionForm } from "../openai/completion_form.ts";
import { commonFields, includesUsage, refuseNotDone, samplingOf } from "../openai/fields.ts";
import { promptsOf } from "../openai/prompts.ts";

const MAX_LOGPROBS = 5;
/** As OpenAI has it. */
const DEFAULT_MAX_TOKENS = 16;

const schema = v.object({
  ...commonFields,
  prompt: v.optional(v.unknown()),
  echo: v.optional(boolean),
  logprobs: v.optional(integer(0, MAX_LOGPROBS)),
});

async function complete(exchange: Exchange): Promise<Response> {
  const model = await exchange.model();
  const fields = await exchange.fields();
  const asked = check(schema, fields);
  const { best_of: best, ...others } = fields;
  refuseNotDone(best === asked.n ? others : fields, {
    max_completion_tokens: "max_tokens",
    max_output_tokens: "max_tokens",
  });
  const { n = 1, stop = [], logprobs, stream = false, echo = false } = asked;
  if (echo && logprobs !== undefined) {
    throw unsupported("echo", "Expected no echo beside logprobs: those of a prompt are not computed yet");
  }
  const { facts } = model;
  const prompts = promptsOf(asked.prompt, facts);
  const form = new CompletionForm({
    facts,
    n,
    logprobs: logprobs !== undefined,
    includeUsage: includesUsage(asked),
    echo: await Promise.all(prompts.map((prompt) => (echo ? textOf(prompt, model) : ""))),
  });
  return answer(exchange, form, stream, {
    model,
    param: "prompt",
    prompts,
    job: {
      n,
      stop,
      maxTokens: asked.max_tokens ?? DEFAULT_MAX_TOKENS,
      sampling: samplingOf(fields),
      logprobs,
    },
  });
}

function textOf(prompt: JobPrompt, model: ServedModel): string | Promise<string> {
  if ("text" in prompt) return prompt.text;
  return "ids" in prompt ? model.decode(prompt.ids) : "";
}

/** Continues texts. */
export const completions: Route = { path: "/v1/completions", post: complete };
