// A web server for one test, on this machine.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Serves every request by `answer` at a local address while `body` runs. */
export async function serving(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => answer(response, request));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m.gguf`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
