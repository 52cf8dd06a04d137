// The small server of the browser example.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { describe, it } from "node:test";
import { startFileServer } from "../../../examples/browser/serve.ts";
import { embeddedModel, embeddedName } from "../../support/models.ts";

async function serving(isolated: boolean, body: (origin: string) => Promise<void>): Promise<void> {
  const files = { "/dist/cria.js": "made();" };
  const server = await startFileServer({ port: 0, isolated, files });
  try {
    await body(server.origin);
  } finally {
    await server.close();
  }
}

/** The status of a path that is sent as it is: fetch() would tidy it up. */
function statusOf(origin: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port: new URL(origin).port, path }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.on("error", reject);
  });
}

describe("startFileServer()", () => {
  it("serves the page, its files, those of memory and the models", async () => {
    await serving(true, async (origin) => {
      const page = await fetch(origin);
      assert.equal(page.url, `${origin}/examples/browser/`);
      assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
      assert.match(await page.text(), /^<!doctype html>/);
      assert.equal(await (await fetch(`${origin}/dist/cria.js`)).text(), "made();");
      const style = await fetch(`${origin}/examples/browser/style.css`, { method: "HEAD" });
      assert.match(style.headers.get("content-type") ?? "", /^text\/css/);
      assert.equal(await style.text(), "");
      const model = await fetch(`${origin}/${embeddedName}`);
      assert.deepEqual(
        new Uint8Array(await model.arrayBuffer()),
        new Uint8Array(readFileSync(embeddedModel)),
      );
    });
  });

  it("sends the headers of isolation where asked", async () => {
    for (const isolated of [true, false]) {
      await serving(isolated, async (origin) => {
        for (const path of ["/examples/browser/", "/dist/cria.js", "/absent"]) {
          const { headers } = await fetch(origin + path);
          assert.equal(headers.get("cross-origin-opener-policy"), isolated ? "same-origin" : null, path);
          assert.equal(headers.get("cross-origin-embedder-policy"), isolated ? "require-corp" : null, path);
        }
      });
    }
  });

  it("serves nothing else", async () => {
    await serving(true, async (origin) => {
      assert.equal(await statusOf(origin, "/dist/cria.js"), 200);
      for (const path of [
        "/package.json",
        "/CHANGELOG.md",
        "/README.md/",
        "/src/mod.ts",
        "/examples/",
        "/examples/browser",
        "/examples/browser/absent.js",
        "/dist/../package.json",
        "/dist/%2e%2e/package.json",
        "/dist/..%2fpackage.json",
        "/dist/..%5cpackage.json",
        `/${embeddedName.replace("tales/", "tales/%2e/")}%00`,
        "/models/%ff",
        "/models//etc/passwd",
        "/models/tales",
        "//etc/passwd",
        "/dist/__proto__",
        "/constructor",
        `/dist/${"a".repeat(5000)}`,
      ]) {
        assert.equal(await statusOf(origin, path), 404, path);
      }
      assert.equal((await fetch(`${origin}/dist/cria.js`, { method: "POST", body: "x" })).status, 405);
    });
  });
});
