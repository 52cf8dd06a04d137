// Pages whose policies refuse things: cria does without, or says what refused.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe } from "node:test";
import { bundleForBrowser, inPage, itChromium } from "../../support/chromium.ts";
import { tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { engineOf, pageBytesOf } from "../../support/models.ts";
import { fileReply, hostile } from "../../support/server.ts";

const { bytes } = tinyLlamaGguf();
const model = Buffer.from(bytes).toString("base64");

/** A page that makes `run(source, options)`: what Llama.load and a generation with it give, or an error, as text. */
async function page(policy: string): Promise<string> {
  const script = `
window.run = async (source, options) => {
  try {
    const bytes = Uint8Array.from(atob(${JSON.stringify(model)}), (char) => char.charCodeAt(0));
    const llama = await Llama.load(source ?? bytes, options);
    const { ids } = await llama.complete("in the", { maxTokens: 5, ignoreEos: true });
    return ids.length + " tokens";
  } catch (error) {
    return [error instanceof CriaError, error.name, error.message].join(" ");
  }
};
window.drop = async (maxBytes, n) => {
  try {
    const bytes = Uint8Array.from(atob(${JSON.stringify(model)}), (char) => char.charCodeAt(0));
    const llama = await Llama.load(bytes, { maxBytes });
    for (let i = 0; i < n; i++) await llama.generate("in the", { maxTokens: 3, ignoreEos: true }).next();
    return "ok";
  } catch (error) {
    return String(error);
  }
};`;
  const bundle = (await bundleForBrowser("src/mod.ts")).replace(/<\/script/g, "<\\/script");
  return `<!doctype html><html lang="en"><title>refusals</title><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<script type="module">${bundle}${script}</script>`;
}

type Run = (source?: string, options?: object) => Promise<string>;
const inBrowser = (call: { source?: string; options?: object }) =>
  (globalThis as unknown as { run: Run }).run(call.source, call.options);

describe("Chromium", () => {
  itChromium("says which policy a page needs to compile kernels, and no more than that one", async () => {
    const files = {
      "/strict.html": await page("script-src 'self' 'unsafe-inline'"),
      "/wasm.html": await page("script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'"),
    };
    await inPage({ isolated: false, files }, async ({ page, origin }) => {
      await page.goto(`${origin}/strict.html`);
      const refusal = await page.evaluate(inBrowser, {});
      assert.match(
        refusal,
        /^true EngineError Cannot compile the kernels: .*'wasm-unsafe-eval' in script-src/,
      );
      await page.goto(`${origin}/wasm.html`);
      assert.equal(await page.evaluate(inBrowser, {}), "5 tokens");
    });
  });

  itChromium("goes on after any number of generations that a page does not end", async () => {
    const { layout } = await engineOf(bytes);
    const files = { "/index.html": await page("default-src * 'unsafe-inline' 'unsafe-eval'") };
    await inPage({ isolated: false, files }, async ({ page, origin }) => {
      await page.goto(`${origin}/index.html`);
      const maxBytes = layout.totalBytes + 8 * pageBytesOf(layout) + 65536;
      assert.equal(await page.evaluate(`drop(${maxBytes}, 60)`), "ok");
    });
  });

  itChromium("loads in a sandboxed frame, whose mere mention of caches is refused", async () => {
    const files = {
      "/index.html":
        '<!doctype html><title>frame</title><iframe sandbox="allow-scripts" src="/frame.html"></iframe>',
      "/frame.html": await page("default-src * 'unsafe-inline' 'unsafe-eval'"),
    };
    await hostile(
      (request) => {
        const reply = fileReply(bytes, request);
        return { ...reply, headers: { ...reply.headers, "access-control-allow-origin": "*" } };
      },
      async (source) => {
        await inPage({ isolated: false, files }, async ({ page, origin }) => {
          await page.goto(`${origin}/index.html`);
          const frame = page.frames()[1];
          assert.ok(frame);
          await frame.waitForFunction("'run' in window");
          assert.equal(
            await frame.evaluate(
              "(() => { try { return !caches; } catch (error) { return error.name; } })()",
            ),
            "SecurityError",
          );
          assert.equal(await frame.evaluate(inBrowser, { source, options: { cache: true } }), "5 tokens");
        });
      },
    );
  });
});
