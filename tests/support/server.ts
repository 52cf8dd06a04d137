// Web servers for one test, on this machine.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";

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

/** A request to a {@link hostile} server. */
export interface RawRequest {
  /** How many came before it. */
  readonly n: number;
  readonly path: string;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** First byte of the range that is asked for; undefined where the whole file is. */
  readonly first: number | undefined;
}

/** What a {@link hostile} server sends, to the letter. A content-length is added only where `headers` has none. */
export interface RawReply {
  readonly status?: number;
  /** A value of undefined leaves the header out, content-length too. */
  readonly headers?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: Uint8Array;
  /** Bytes of the body after which the connection is lost, at once or `when` it is time. */
  readonly cut?: number;
  readonly when?: Promise<unknown>;
  /** Bytes of the body after which nothing comes any more; -1 for no answer at all. */
  readonly stall?: number;
  /** Sends the body again and again. */
  readonly endless?: boolean;
}

/** A server of raw bytes, which can do what no HTTP library would: "drop" loses the connection unanswered. */
export async function hostile(
  answer: (request: RawRequest) => RawReply | "drop",
  body: (url: string, requests: readonly RawRequest[]) => Promise<void>,
): Promise<void> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const request = parseRequest(text.slice(0, end), requests.length);
      requests.push(request);
      text = "";
      void reply(socket, answer(request));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}/models/m.gguf`, requests);
  } finally {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  }
}

/** The true answer: a range where one is asked for, with a version and all lengths. */
export function fileReply(bytes: Uint8Array, { first }: RawRequest, etag = '"v1"'): RawReply {
  if (first === undefined) return { headers: { etag, "accept-ranges": "bytes" }, body: bytes };
  if (first >= bytes.length) return { status: 416, headers: { "content-range": `bytes */${bytes.length}` } };
  const range = `bytes ${first}-${bytes.length - 1}/${bytes.length}`;
  return { status: 206, headers: { etag, "content-range": range }, body: bytes.subarray(first) };
}

function parseRequest(head: string, n: number): RawRequest {
  const [line = "", ...lines] = head.split("\r\n");
  const headers = new Map(
    lines.map((text) => {
      const colon = text.indexOf(":");
      return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
    }),
  );
  const first = /^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1];
  return {
    n,
    path: line.split(" ")[1] ?? "",
    headers,
    first: first === undefined ? undefined : Number(first),
  };
}

async function reply(socket: Socket, raw: RawReply | "drop"): Promise<void> {
  if (raw === "drop") return void socket.destroy();
  const { status = 200, headers = {}, body = new Uint8Array(0), cut, when, stall, endless } = raw;
  if (stall === -1) return;
  const all = { connection: "close", "content-length": body.length, ...headers };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  await send(socket, `HTTP/1.1 ${status} Status\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n`);
  do await send(socket, body.subarray(0, cut ?? stall ?? body.length));
  while (endless && !socket.destroyed);
  await when;
  if (cut !== undefined) socket.destroy();
  else if (stall === undefined) socket.end();
}

function send(socket: Socket, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || data.length === 0) return resolve();
    const done = () => {
      socket.off("close", done);
      resolve();
    };
    socket.once("close", done);
    socket.write(data, done);
  });
}
