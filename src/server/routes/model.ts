// GET /v1/models/ID: one model by its name.
import { quoted } from "../../util/bytes.ts";
import { HttpError } from "../http/errors.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { modelObject } from "../openai/model_object.ts";

/** One model by its name. */
export const model: Route = {
  path: "/v1/models/:id{.+}",
  get: async (exchange) => {
    const { facts } = await exchange.model();
    if (exchange.id === facts.id) return json(modelObject(facts));
    throw new HttpError(
      404,
      `Cannot answer: Expected the model ${quoted(facts.id)}, got ${quoted(exchange.id)}`,
      {
        param: "model",
        code: "model_not_found",
      },
    );
  },
};
