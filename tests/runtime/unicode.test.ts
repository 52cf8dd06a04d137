// What cria knows of characters is the same everywhere, whatever Unicode a runtime has: hashes of all code points.
// Those of the normalizers are also what Hugging Face's tokenizers 0.23.3 makes of all code points.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bundleForBrowser, inPage, itChromium } from "../support/chromium.ts";
import { output, root, temporaryFolder } from "../support/package.ts";
import { itUnless, twice } from "../support/skip.ts";
import { unicodeHashes } from "../support/unicode_hashes.ts";
import { serveWorkers } from "../support/workerd.ts";

const golden: Record<string, string> = JSON.parse(
  readFileSync(new URL("../golden/unicode.json", import.meta.url), "utf8"),
);

describe("tables of characters", () => {
  const folder = temporaryFolder();

  it("are the same in this runtime", () => {
    assert.deepEqual(unicodeHashes(), golden);
  });

  itUnless(twice, "are the same in Node 20 and a much later one", async () => {
    const script = join(folder, "unicode.mjs");
    const print = "\nconsole.log(globalThis.unicodeHashes);";
    writeFileSync(script, (await bundleForBrowser("tests/support/unicode_page.ts")) + print);
    const current = (await output("node", [join(root, "scripts/current_node.mjs")])).trim();
    for (const node of ["node", current]) {
      assert.deepEqual(JSON.parse(await output(node, [script])), golden, node);
    }
  });

  const inChromium = (body: () => Promise<void>) =>
    twice ? itUnless(twice, "are the same in Chromium", body) : itChromium("are the same in Chromium", body);
  inChromium(async () => {
    const files = {
      "/index.html": '<!doctype html><html lang="en"><title>unicode</title><link rel="icon" href="data:,">',
      "/page.js": await bundleForBrowser("tests/support/unicode_page.ts"),
    };
    await inPage({ isolated: false, files }, async ({ page, origin }) => {
      await page.goto(origin);
      await page.addScriptTag({ url: "/page.js", type: "module" });
      const found = await page.waitForFunction("globalThis.unicodeHashes");
      assert.deepEqual(JSON.parse((await found.jsonValue()) as string), golden);
    });
  });

  itUnless(twice, "are the same in workerd", async () => {
    const source = await bundleForBrowser("tests/support/unicode_worker.ts");
    const { urls } = await serveWorkers({ unicode: source });
    assert.deepEqual(await (await fetch(urls.unicode as string)).json(), golden);
  });
});
