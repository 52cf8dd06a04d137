// What a page sees of servers of its own and of another origin is not all that they sent: models load all the same.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe } from "node:test";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { Llama } from "../../../src/mod.ts";
import { bundleForBrowser, inPage, itChromium } from "../../support/chromium.ts";
import { tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { serving } from "../../support/server.ts";
import type { PageAnswer, PageLoad } from "./network_page.ts";

const { bytes } = tinyLlamaGguf();
// Compresses well: the lengths of both forms are far apart.
const padded = Buffer.concat([bytes, new Uint8Array(3 << 20)]);
const sha256 = createHash("sha256").update(padded).digest("hex");

/** How a server of another origin answers. */
interface Host {
  readonly ranges?: boolean;
  /** Which answers are compressed, asked for or not. */
  readonly compresses: "nothing" | "wholes" | "everything";
  /** Names of headers that pages of other origins may see; undefined where they may see nothing at all. */
  readonly exposes?: string | undefined;
  readonly open?: boolean;
}

function answer(host: Host, response: ServerResponse, { headers }: IncomingMessage): void {
  const { ranges = true, compresses, exposes, open = true } = host;
  const first = ranges ? /^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] : undefined;
  const isRange = first !== undefined;
  const zip = compresses === "everything" || (compresses === "wholes" && !isRange);
  const part = isRange ? padded.subarray(Number(first)) : padded;
  const body = zip ? gzipSync(part) : part;
  if (open) response.setHeader("access-control-allow-origin", "*");
  if (exposes) response.setHeader("access-control-expose-headers", exposes);
  if (zip) response.setHeader("content-encoding", "gzip");
  if (isRange) {
    response.setHeader("content-range", `bytes ${first}-${padded.length - 1}/${padded.length}`);
  }
  response.setHeader("etag", zip ? 'W/"v1"' : '"v1"');
  response.setHeader("last-modified", "Tue, 01 Dec 2026 00:00:00 GMT");
  response.setHeader("cache-control", "no-store");
  response.setHeader("content-length", body.length);
  response.writeHead(isRange ? 206 : 200).end(body);
}

/** Copies whatever it is asked for under /other/ from there, as service workers do. */
const serviceWorker = `
  onactivate = (event) => event.waitUntil(clients.claim());
  onfetch = (event) => {
    const at = new URL(event.request.url).searchParams.get("at");
    if (at) event.respondWith(fetch(at).then((r) => new Response(r.body, { headers: r.headers })));
  };`;

async function inModelPage(body: (page: Page) => Promise<void>): Promise<void> {
  const files = {
    "/index.html": '<!doctype html><html lang="en"><title>network</title><link rel="icon" href="data:,">',
    "/page.js": await bundleForBrowser("tests/runtime/chromium/network_page.ts"),
    "/sw.js": serviceWorker,
  };
  await inPage({ isolated: false, files }, async ({ page, origin }) => {
    await page.goto(origin);
    await page.addScriptTag({ url: "/page.js", type: "module" });
    await page.waitForFunction(() => "answerOf" in globalThis);
    await body(page);
  });
}

function ask(page: Page, load: PageLoad): Promise<PageAnswer> {
  return page.evaluate(
    (load) => (globalThis as unknown as { answerOf(load: PageLoad): Promise<PageAnswer> }).answerOf(load),
    load,
  );
}

async function expected(): Promise<number[]> {
  await using llama = await Llama.load(bytes, { threads: 1 });
  return [...(await llama.logits([1, 5, 9]))];
}

const hosts: Host[] = (["nothing", "wholes", "everything"] as const).flatMap((compresses) =>
  [true, false].flatMap((ranges) =>
    [
      undefined,
      "*",
      "Content-Range, ETag, Accept-Ranges",
      "Content-Encoding, Access-Control-Expose-Headers",
    ].map((exposes) => ({ compresses, ranges, exposes })),
  ),
);

describe("Chromium and servers", () => {
  itChromium("loads from another origin, whatever that compresses and shows of its headers", async () => {
    const logits = await expected();
    await inModelPage(async (page) => {
      for (const host of hosts) {
        await serving(
          (response, request) => answer(host, response, request),
          async (url) => {
            for (const as of ["url", "response", "copy"] as const) {
              const load = { url, as, options: as === "url" ? { cache: true } : {} };
              assert.deepEqual(await ask(page, load), { logits }, `${JSON.stringify(host)} as ${as}`);
            }
            // What was kept, if anything was.
            const again = { url, as: "url" as const, options: { cache: true } };
            assert.deepEqual(await ask(page, again), { logits }, `${JSON.stringify(host)} again`);
          },
        );
      }
    });
  });

  itChromium("loads in every other way that a page may have the bytes, and compares a SHA-256", async () => {
    const logits = await expected();
    await inModelPage(async (page) => {
      for (const compresses of ["wholes", "everything"] as const) {
        await serving(
          (response, request) => answer({ compresses }, response, request),
          async (url) => {
            for (const as of ["url", "request", "response", "copy", "buffer", "stream"] as const) {
              assert.deepEqual(await ask(page, { url, as, options: { sha256 } }), { logits }, as);
            }
            const wrong = await ask(page, { url, as: "url", options: { sha256: "5".repeat(64) } });
            assert.match("error" in wrong ? wrong.error : "", /Expected SHA-256 5{64}, got/);
          },
        );
      }
    });
  });

  itChromium("loads what a service worker has copied from another origin", async () => {
    const logits = await expected();
    await inModelPage(async (page) => {
      await page.evaluate(async () => {
        await navigator.serviceWorker.register("/sw.js");
        if (navigator.serviceWorker.controller) return;
        await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
      });
      await serving(
        (response, request) => answer({ compresses: "wholes" }, response, request),
        async (url) => {
          for (const as of ["url", "response", "copy"] as const) {
            const copied = `${new URL(page.url()).origin}/other?at=${encodeURIComponent(url)}`;
            assert.deepEqual(await ask(page, { url: copied, as }), { logits }, as);
          }
        },
      );
    });
  });

  itChromium("says what a page may not read, after few requests", async () => {
    await inModelPage(async (page) => {
      let requests = 0;
      await serving(
        (response, request) => {
          requests++;
          answer({ compresses: "nothing", open: false }, response, request);
        },
        async (url) => {
          const refused = await ask(page, { url, as: "url" });
          assert.match(
            "error" in refused ? refused.error : "",
            /the server does not let this page read it: CORS/,
          );
          assert.equal("name" in refused && refused.name, "SourceError");
          assert.ok(requests <= 3, `${requests} requests`);
          const opaque = await ask(page, { url, as: "opaque" });
          assert.match(
            "error" in opaque ? opaque.error : "",
            /^Cannot read response: Expected an answer that this page may read, got an opaque one; ask with mode "cors"$/,
          );
        },
      );
    });
  });
});
