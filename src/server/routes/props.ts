// GET /props: what a client may want to know of the server, as llama-server tells it.
import { samplingParams } from "../../sample/registry.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { FINGERPRINT } from "../openai/ids.ts";

/** Defaults, sizes and the model's name. */
export const props: Route = {
  path: "/props",
  get: async (exchange) => {
    const model = await exchange.model();
    const { facts } = model;
    const defaults = samplingParams.flatMap((param) =>
      param.default === undefined ? [] : [[param.openai, param.default] as const],
    );
    const { slots } = await model.status();
    return json({
      default_generation_settings: {
        n_ctx: facts.contextLength,
        params: { ...Object.fromEntries(defaults), n_predict: facts.defaultMaxTokens ?? -1, stop: [] },
      },
      total_slots: slots.length,
      model_alias: facts.id,
      has_chat_template: facts.hasTemplate,
      modalities: { vision: false, audio: false },
      build_info: FINGERPRINT,
    });
  },
};
