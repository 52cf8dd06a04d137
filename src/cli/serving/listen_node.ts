// Listens in Node.
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { type Address, type Fetch, IDLE_SECONDS, type Listener } from "./listener.ts";

const HEADERS_MS = 30_000;

/** Listens with node:http. @throws what listening fails with */
export async function listenNode(fetch: Fetch, { hostname, port }: Address): Promise<Listener> {
  const server = createAdaptorServer({
    fetch,
    // The name of requests of HTTP/1.0 without Host; browsers send none.
    hostname: "localhost",
    overrideGlobalObjects: false,
    serverOptions: { headersTimeout: HEADERS_MS, keepAliveTimeout: IDLE_SECONDS * 1000 },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
