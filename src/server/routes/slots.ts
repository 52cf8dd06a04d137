// GET /slots: what computes at the moment, without anybody's text.
import { unavailable } from "../http/errors.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";

/** One entry for each sequence that may compute. */
export const slots: Route = {
  path: "/slots",
  get: async (exchange) => {
    const model = await exchange.model();
    const { slots: all } = await model.status();
    if (exchange.url.searchParams.get("fail_on_no_slot") === "1" && all.every(({ busy }) => busy)) {
      throw unavailable("Cannot answer: No slot is free", "no_slot");
    }
    return json(
      all.map(({ id, busy, promptTokens, tokens }) => ({
        id,
        n_ctx: model.facts.contextLength,
        speculative: false,
        is_processing: busy,
        n_prompt_tokens: promptTokens,
        next_token: { n_decoded: tokens },
      })),
    );
  },
};
