// POST /apply-template: a conversation as text, as llama-server has it.
import * as v from "valibot";
import { asHttpError } from "../http/errors.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { check } from "../openai/check.ts";
import { messagesSchema, toolsSchema } from "../openai/messages.ts";
import { variablesOf } from "../openai/variables.ts";

const templateSchema = v.object({ messages: messagesSchema, tools: v.optional(toolsSchema) });

/** A conversation as the model's template writes it. */
export const applyTemplate: Route = {
  path: "/apply-template",
  post: async (exchange) => {
    const model = await exchange.model();
    const fields = await exchange.fields();
    const { messages, tools } = check(templateSchema, fields);
    const variables = variablesOf(fields);
    try {
      const rendered = await model.render({
        messages,
        ...(tools && { tools }),
        ...(variables && { variables }),
      });
      return json({ prompt: rendered.text });
    } catch (error) {
      throw asHttpError(error, "messages");
    }
  },
};
