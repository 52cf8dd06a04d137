// Serves this example to this machine: `bun examples/browser/serve.ts [--port N] [--no-isolation]`. Deno and Node 24 run it
// too. Its headers isolate the page from other origins, which threads need.
import { readFile, realpath } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PAGE = "/examples/browser/";
// Only these parts of the repository are served. The page has links to the documentation.
const folders = [PAGE, "/dist/", "/models/", "/docs/"];
const README = "/README.md";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  // Sent as plain text, because browsers show that and download unknown types.
  ".md": "text/plain; charset=utf-8",
};

/** A file that is not on disk. */
export type ServedFile = string | Uint8Array;

/** How files are served. */
export interface ServeOptions {
  /** 0 means any free port. */
  readonly port: number;
  /** Whether pages are isolated from other origins, which shared memory and therefore threads need. */
  readonly isolated: boolean;
  /** Files to serve from memory instead of the disk, by path: "/dist/cria.js". */
  readonly files?: Readonly<Record<string, ServedFile>>;
}

/** A running server. */
export interface FileServer {
  /** "http://127.0.0.1:8080", without a slash at the end. */
  readonly origin: string;
  close(): Promise<void>;
}

/** The content of a request's path; undefined if there is none. */
async function contentOf(
  path: string,
  files: Readonly<Record<string, ServedFile>>,
): Promise<ServedFile | undefined> {
  if (Object.hasOwn(files, path)) return files[path];
  if (path !== README && !folders.some((folder) => path.startsWith(folder))) return undefined;
  try {
    // Links may lead out of the repository.
    const file = await realpath(root + path.slice(1));
    return file.startsWith(await realpath(root).then((folder) => folder + sep))
      ? await readFile(file)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The path that a request names; undefined if it is no valid path, or has parts such as "..". */
function requestPath(url: string | undefined): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url ?? "/", "http://localhost").pathname);
    if (/[\\\0]|\/\.\.?(\/|$)/.test(path)) return undefined;
    return path.endsWith("/") ? `${path}index.html` : path;
  } catch {
    return undefined;
  }
}

/** Serves the example, dist/, models/ and the documentation at a loopback address. */
export async function startFileServer(options: ServeOptions): Promise<FileServer> {
  const { port, isolated, files = {} } = options;
  const server = createServer(async (request, response) => {
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    const path = requestPath(request.url);
    if (path === "/index.html" && !Object.hasOwn(files, path)) {
      response.writeHead(302, { Location: PAGE }).end();
      return;
    }
    const content = path === undefined ? undefined : await contentOf(path, files);
    const type = content === undefined ? "text/plain" : types[extname(path ?? "")];
    response.setHeader("Content-Type", type ?? "application/octet-stream");
    response.statusCode = content === undefined ? 404 : 200;
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    response.setHeader("Content-Length", body?.length ?? 0);
    response.end(request.method === "HEAD" ? undefined : body);
  });
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8080" },
      "no-isolation": { type: "boolean", default: false },
    },
  });
  const isolated = !values["no-isolation"];
  const { origin } = await startFileServer({ port: Number(values.port), isolated });
  console.log(`${origin}${PAGE} (${isolated ? "isolated: threads" : "not isolated: one thread"})`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
