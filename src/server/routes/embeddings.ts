// POST /v1/embeddings: checks the request, and says that there are no embeddings yet.
import * as v from "valibot";
import { HttpError } from "../http/errors.ts";
import type { Route } from "../http/route.ts";
import { check, integer, text, wrong } from "../openai/check.ts";
import { promptsOf } from "../openai/prompts.ts";

// No model's vectors have more.
const MAX_DIMENSIONS = 1 << 16;

const schema = v.object({
  model: v.optional(text),
  input: v.optional(v.unknown()),
  dimensions: v.optional(integer(1, MAX_DIMENSIONS)),
  encoding_format: v.optional(v.picklist(["float", "base64"], "float or base64")),
});

/** Vectors of texts, some day. */
export const embeddings: Route = {
  path: "/v1/embeddings",
  post: async (exchange) => {
    const { facts } = await exchange.model();
    const { input } = check(schema, await exchange.fields());
    for (const prompt of promptsOf(input, facts, "input")) {
      if ("text" in prompt && prompt.text === "") {
        throw wrong("input", "input", "texts of at least one character", "");
      }
    }
    throw new HttpError(501, "Cannot answer: Embeddings are not supported yet; this server generates text", {
      code: "not_implemented",
    });
  },
};
