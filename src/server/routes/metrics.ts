// GET /metrics: counts for Prometheus.
import { commonHeaders } from "../http/responses.ts";
import type { Route } from "../http/route.ts";

/** Counts of the server and its model; they are there while the model is loaded, too. */
export const metrics: Route = {
  path: "/metrics",
  get: async (exchange) => {
    const text = exchange.metrics.text(await exchange.loaded?.status());
    const type = "text/plain; version=0.0.4; charset=utf-8";
    return new Response(text, { headers: { ...commonHeaders, "content-type": type } });
  },
};
