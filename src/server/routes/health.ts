// GET /health: whether requests are answered; no key is needed.
import { unavailable } from "../http/errors.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";

/** Whether the model is there and new requests are taken. */
export const health: Route = {
  path: "/health",
  isPublic: true,
  get: async (exchange) => {
    if (exchange.isDraining) throw unavailable("The server ends", "server_draining");
    const model = await exchange.model();
    const { state } = await model.status();
    if (state === "ready") return json({ status: "ok" });
    throw unavailable(`The model is not ready: ${state}`, state === "loading" ? "loading" : "model_failed");
  },
};
