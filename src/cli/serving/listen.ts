// Listens for requests with what the runtime has: Bun.serve, Deno.serve, node:http.
import { SourceError } from "../../util/errors.ts";
import { type Address, type Fetch, IDLE_SECONDS, type Listener } from "./listener.ts";

interface BunServer {
  readonly port: number;
  stop(closeConnections: boolean): Promise<void>;
}

interface DenoServer {
  readonly addr: { readonly port: number };
}

interface Runtimes {
  readonly Bun?: { serve(options: object): BunServer };
  readonly Deno?: { serve(options: object, handler: Fetch): DenoServer };
}

const { Bun: bun, Deno: deno } = globalThis as Runtimes;

/**
 * Listens.
 * @throws SourceError if the port is taken or may not be had
 */
export async function listen(fetch: Fetch, address: Address): Promise<Listener> {
  try {
    if (bun) return listenBun(bun, fetch, address);
    if (deno) return listenDeno(deno, fetch, address);
    const { listenNode } = await import("./listen_node.ts");
    return await listenNode(fetch, address);
  } catch (error) {
    throw explained(error, address);
  }
}

function listenBun({ serve }: NonNullable<Runtimes["Bun"]>, fetch: Fetch, address: Address): Listener {
  // Without reusePort: false a second server would take the port too, and some of the requests.
  const options = { idleTimeout: IDLE_SECONDS, development: false, reusePort: false };
  const server = serve({ ...address, ...options, fetch });
  return { port: server.port, stop: () => server.stop(true) };
}

function listenDeno({ serve }: NonNullable<Runtimes["Deno"]>, fetch: Fetch, address: Address): Listener {
  const controller = new AbortController();
  // A client that leaves is known from request.signal alone. Deno warns that it is aborted at other times too.
  const { warn } = console;
  console.warn = (...words: unknown[]) => {
    if (!String(words[0]).startsWith("Deno.serve: request.signal")) warn(...words);
  };
  const { addr } = serve({ ...address, signal: controller.signal, onListen() {} }, fetch);
  return {
    port: addr.port,
    async stop() {
      controller.abort();
    },
  };
}

function explained(error: unknown, { hostname, port }: Address): unknown {
  const { code, name, message } = error as { code?: string; name?: string; message?: string };
  const where = `Cannot listen at ${hostname} port ${port}`;
  const text = `${code} ${name} ${message}`;
  const options = { cause: error };
  if (/EADDRINUSE|AddrInUse/.test(text)) {
    return new SourceError(
      `${where}: another program has the port; end it, or choose another port with --port (0 takes a free one)`,
      options,
    );
  }
  if (/EACCES|PermissionDenied/.test(text)) {
    return new SourceError(`${where}: it is not permitted; ports from 1024 on are, with --port`, options);
  }
  if (/EADDRNOTAVAIL|AddrNotAvailable|ENOTFOUND|EAI_AGAIN|failed to lookup/.test(text)) {
    return new SourceError(
      `${where}: no such address on this machine; --host takes 127.0.0.1, or 0.0.0.0 for all`,
      options,
    );
  }
  return error;
}
