// Requests to a server of OpenAI's routes.
import type { Server } from "../../src/server/create_server.ts";

/** Sends JSON to a route. */
export function ask(
  server: Pick<Server, "fetch">,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
  return server.fetch(
    new Request(`http://localhost${path}`, { method: "POST", body: text, ...init, headers }),
  );
}

/** A message of a user. */
export const hi = [{ role: "user", content: "Hi" }];

/** Asks for a chat completion. */
export function askChat(
  server: Pick<Server, "fetch">,
  body: Record<string, unknown> = {},
  init: RequestInit = {},
): Promise<Response> {
  return ask(server, "/v1/chat/completions", { messages: hi, ...body }, init);
}
