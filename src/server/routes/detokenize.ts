// POST /detokenize: the text of tokens, as llama-server has it.
import * as v from "valibot";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { check } from "../openai/check.ts";
import { idsOf } from "../openai/prompts.ts";

const detokenizeSchema = v.object({ tokens: v.array(v.unknown(), "an array of token ids") });

/** Text of tokens. */
export const detokenize: Route = {
  path: "/detokenize",
  post: async (exchange) => {
    const model = await exchange.model();
    const { tokens } = check(detokenizeSchema, await exchange.fields());
    return json({ content: await model.decode(idsOf(tokens, "tokens", model.facts)) });
  },
};
