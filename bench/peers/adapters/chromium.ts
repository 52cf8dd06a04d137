// A peer in a page of headless Chromium: `node chromium.js cria|wllama|fugood`. It serves the page itself, isolated from
// other origins, because threads need that.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { chromium } from "playwright-core";
import type { Answer, Call, LoadRequest, Memory, NllRequest, Peer } from "../protocol.ts";
import { peakOf, serve } from "./serve.ts";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const name = process.argv[2] as string;
const packages = new URL("../node_modules/", import.meta.url);
const fugood = ["index.js", "worker.js", "wasm/llama-node.threads.js", "wasm/llama-node.threads.wasm"];
const files: Readonly<Record<string, URL>> = {
  "/page.js": new URL(`${name}_page.js`, import.meta.url),
  "/cria_worker.js": new URL("cria_worker.js", import.meta.url),
  "/wllama.wasm": new URL("@wllama/wllama/esm/wasm/wllama.wasm", packages),
  ...Object.fromEntries(
    fugood.map((file) => [`/fugood/${file}`, new URL(`@fugood/node-llama-wasm/${file}`, packages)]),
  ),
};
const IMPORTS = JSON.stringify({ imports: { "@fugood/node-llama-wasm": "/fugood/index.js" } });
const PAGE =
  `<!doctype html><title>peer</title><link rel="icon" href="data:,"><script type="importmap">${IMPORTS}</script>` +
  '<input type="file"><script type="module" src="/page.js"></script>';
const types: Readonly<Record<string, string>> = { js: "text/javascript", wasm: "application/wasm" };

const server = createServer((request, response) => {
  const path = request.url ?? "/";
  const file = files[path];
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  response.setHeader("Content-Type", types[path.split(".").at(-1) ?? ""] ?? "text/html");
  if (!file && path !== "/") response.statusCode = 404;
  response.end(file ? readFileSync(file) : path === "/" ? PAGE : "");
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
const page = await browser.newPage();
page.setDefaultTimeout(0);
page.on("console", (message) => process.stderr.write(`${name} page: ${message.text()}\n`));
page.on("pageerror", (error) => process.stderr.write(`${name} page: ${error.message}\n`));
await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
await page.waitForFunction("typeof globalThis.call === 'function'");

async function call<T>(op: keyof Peer, request?: unknown): Promise<T> {
  const answer = await page.evaluate(
    (call) => (globalThis as unknown as { call(call: Call): Promise<Answer> }).call(call),
    { op, request },
  );
  if ("error" in answer) throw new Error(answer.error);
  return answer.ok as T;
}

function parentOf(pid: string): string | undefined {
  try {
    return /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

// Peak memory of the page's process: of this process's renderers the largest, because there may be a spare one.
function pagePeak(): number | undefined {
  const parents = new Map(readdirSync("/proc").map((pid) => [pid, parentOf(pid)]));
  const isOurs = (pid: string | undefined): boolean =>
    pid !== undefined && (pid === String(process.pid) || isOurs(parents.get(pid)));
  const peaks = [...parents.keys()]
    .filter((pid) => /^\d+$/.test(pid) && isOurs(pid) && commandOf(pid).includes("--type=renderer"))
    .flatMap((pid) => peakOf(Number(pid)) ?? []);
  return peaks.length > 0 ? Math.max(...peaks) : undefined;
}

await serve(
  {
    about: async () => {
      const { version } = await call<{ version: string }>("about");
      return { version: name === "cria" ? version : `${version}, chrome ${browser.version()}` };
    },
    async load(request: LoadRequest) {
      await page.setInputFiles("input", request.file);
      return call("load", request);
    },
    prefill: (request) => call("prefill", request),
    decode: (request) => call("decode", request),
    memory: async () => ({ ...(await call<Memory>("memory")), peakBytes: pagePeak() }),
    async nll(request: NllRequest) {
      await page.setInputFiles("input", request.file);
      return call("nll", request);
    },
  },
  () => browser.close(),
);
