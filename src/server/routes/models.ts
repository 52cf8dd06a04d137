// GET /v1/models: the list of models, which is one.
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { modelObject } from "../openai/model_object.ts";

/** The list of models: one. */
export const models: Route = {
  path: "/v1/models",
  get: async (exchange) => {
    const { facts } = await exchange.model();
    return json({ object: "list", data: [modelObject(facts)] });
  },
};
