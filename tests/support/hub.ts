// A hub of our own on this machine: the listing, files behind redirects to another origin, tokens, revisions.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Files of a repository by name: bytes, or a size alone for what is only listed. */
export type HubFiles = Readonly<Record<string, Uint8Array | number>>;

export interface HubOptions {
  /** Files by "owner/repo@revision". */
  readonly repositories: Readonly<Record<string, HubFiles>>;
  /** The token without which nothing is given. */
  readonly token?: string;
  /** What the hub says to those without it. Default: 401, RepoNotFound. */
  readonly refusal?: { readonly status: number; readonly code?: string };
  /** Entries of a page of the listing. Default: all. */
  readonly pageEntries?: number;
  /** Bytes after which a file's connection is lost, once for each file and range. */
  readonly cutBytes?: number;
  /** Milliseconds between two pieces of a file. */
  readonly slowMs?: number;
  /** Called before the hub answers; true if it has answered itself. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A request that came. */
export interface HubRequest {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** Runs `body` beside a hub at `endpoint`. */
export async function withHub(
  options: HubOptions,
  body: (endpoint: string, requests: HubRequest[]) => Promise<void>,
): Promise<void> {
  const requests: HubRequest[] = [];
  const log = (server: HubRequest["server"], { url = "", headers }: IncomingMessage) => {
    const { authorization, range } = headers;
    requests.push({ server, path: url, authorization, range });
  };
  const storage = createServer((request, response) => {
    log("storage", request);
    serveBlob(options, request, response);
  });
  const files = await listen(storage);
  const hub = createServer((request, response) => {
    log("hub", request);
    if (!options.answer?.(request, response)) serveHub(options, files, request, response);
  });
  const endpoint = await listen(hub);
  try {
    await body(endpoint, requests);
  } finally {
    for (const server of [hub, storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function serveHub(
  options: HubOptions,
  storage: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { repositories, token, refusal = { status: 401, code: "RepoNotFound" } } = options;
  const url = new URL(request.url ?? "", storage);
  const [, listed, listedRevision] =
    /^\/api\/models\/([^/]+\/[^/]+)\/tree\/([^/]+)$/.exec(url.pathname) ?? [];
  const [, owned, revision, file] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
  const repository = `${listed ?? owned}@`;
  const key = repository + decodeURIComponent(listedRevision ?? revision ?? "");
  const files = repositories[key];
  const name = decodeURIComponent(file ?? "");
  const bytes = files?.[name];
  const fail = (status: number, code = "") => {
    response.writeHead(status, { "content-type": "text/plain", "x-error-code": code }).end(code);
  };
  if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
    fail(refusal.status, refusal.code);
  else if (!Object.keys(repositories).some((known) => known.startsWith(repository)))
    fail(404, "RepoNotFound");
  else if (!files) fail(404, "RevisionNotFound");
  else if (listed !== undefined) list(files, options.pageEntries, url, response);
  else if (typeof bytes !== "object") fail(404, "EntryNotFound");
  else {
    const location = `${storage}/${encodeURIComponent(key)}/${encodeURIComponent(name)}?signature=abc`;
    response.writeHead(302, { location, "x-linked-size": bytes.length }).end();
  }
}

// As the hub lists: folders too, sizes of large files as those of the files themselves.
function list(files: HubFiles, pageEntries = 1000, url: URL, response: ServerResponse): void {
  const entries = Object.entries(files).map(([path, file]) => {
    const size = typeof file === "number" ? file : file.length;
    return {
      type: "file",
      oid: "0".repeat(40),
      size,
      path,
      ...(size > 1e6 && { lfs: { oid: "0".repeat(64), size } }),
    };
  });
  const folders = new Set(Object.keys(files).flatMap((path) => path.split("/").slice(0, -1)));
  const all = [...[...folders].map((path) => ({ type: "directory", oid: "", size: 0, path })), ...entries];
  const begin = Number(url.searchParams.get("cursor") ?? 0);
  const end = begin + pageEntries;
  // The hub names itself by its public address, whatever it was called by.
  const next = `<https://huggingface.co${url.pathname}?recursive=true&cursor=${end}>; rel="next"`;
  response.writeHead(200, { "content-type": "application/json", ...(end < all.length && { link: next }) });
  response.end(JSON.stringify(all.slice(begin, end)));
}

const cut = new WeakMap<HubOptions, Set<string>>();

function serveBlob(options: HubOptions, request: IncomingMessage, response: ServerResponse): void {
  const [, key = "", name = ""] = (request.url ?? "").replace(/\?.*/, "").split("/").map(decodeURIComponent);
  const bytes = options.repositories[key]?.[name];
  if (typeof bytes !== "object") return void response.writeHead(404).end();
  const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
  const body = bytes.subarray(Math.max(first, 0));
  const range = `bytes ${first}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(first < 0 ? 200 : 206, {
    etag: `"${key} ${name}"`,
    "accept-ranges": "bytes",
    "content-length": body.length,
    ...(first >= 0 && { "content-range": range }),
  });
  const seen = cut.get(options) ?? new Set();
  cut.set(options, seen.add(""));
  const at = `${key} ${name} ${first}`;
  if (options.cutBytes !== undefined && body.length > options.cutBytes && !seen.has(at)) {
    seen.add(at);
    response.write(body.subarray(0, options.cutBytes), () => setTimeout(() => response.destroy(), 20));
    return;
  }
  void write(response, body, options.slowMs);
}

const PIECE_BYTES = 64 << 10;

async function write(response: ServerResponse, body: Uint8Array, slowMs: number | undefined): Promise<void> {
  if (slowMs === undefined) return void response.end(body);
  for (let at = 0; at < body.length && !response.destroyed; at += PIECE_BYTES) {
    response.write(body.subarray(at, at + PIECE_BYTES));
    await new Promise((resolve) => setTimeout(resolve, slowMs));
  }
  response.end();
}
