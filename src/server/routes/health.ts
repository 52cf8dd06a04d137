// GET /health: whether requests are answered; no key is needed.
import { unavailable } from "../http/errors.ts";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import type { ModelStatus, ServedModel } from "../model.ts";

// Who asks for health does not wait for long: an engine that is in the middle of a step is well.
const BUSY_MS = 500;

async function stateOf(model: ServedModel): Promise<ModelStatus["state"]> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const busy = new Promise<Pick<ModelStatus, "state">>((resolve) => {
    timer = setTimeout(resolve, BUSY_MS, { state: "ready" });
  });
  try {
    return (await Promise.race([model.status(), busy])).state;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the model is there and new requests are taken. */
export const health: Route = {
  path: "/health",
  isPublic: true,
  get: async (exchange) => {
    if (exchange.isDraining) throw unavailable("The server ends", "server_draining");
    const state = await stateOf(await exchange.model());
    if (state === "ready") return json({ status: "ok" });
    throw unavailable(`The model is not ready: ${state}`, state === "loading" ? "loading" : "model_failed");
  },
};
