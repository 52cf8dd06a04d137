// The page of examples/browser: models, downloads, the story mode, and what can go wrong.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { statSync } from "node:fs";
import { describe } from "node:test";
import type { Page } from "playwright-core";
import { type Completion, type GenerateOptions, Llama, type Piece } from "../../../src/mod.ts";
import { samplingParams } from "../../../src/sample/registry.ts";
import {
  inExample,
  openModels,
  PAGE,
  phone,
  say,
  set,
  settled,
  take,
  textOf,
  turn,
} from "../../support/browser_example.ts";
import { itChromium } from "../../support/chromium.ts";
import { tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { chatModel, embeddedModel, embeddedName } from "../../support/models.ts";
import { serving } from "../../support/server.ts";

/** What tales generates here. */
async function generatedHere(prompt: string, options: GenerateOptions): Promise<[Piece[], Completion]> {
  await using llama = await Llama.load(embeddedModel, { threads: 1 });
  const pieces: Piece[] = [];
  const generation = llama.generate(prompt, options);
  for (;;) {
    const { done, value } = await generation.next();
    if (done) return [pieces, value];
    pieces.push(value);
  }
}

async function loadAddress(page: Page, address: string): Promise<string> {
  await openModels(page);
  await page.locator("#address").fill(address);
  await page.locator("#address-form").getByRole("button", { name: "Load" }).click();
  return settled(page);
}

async function loadFile(page: Page, name: string, bytes: Uint8Array): Promise<string> {
  await openModels(page);
  const buffer = Buffer.from(bytes);
  await page.locator("#file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
  return settled(page);
}

/** A model of the page's list. */
function listedModel(page: Page, id: string): Promise<{ name: string; source: string }> {
  const path = `${PAGE}models.js`;
  return page.evaluate(
    async ({ path, id }) => (await import(path)).MODELS.find((model: { id: string }) => model.id === id),
    { path, id },
  );
}

/** What the hub answers to a request of a file, or of a range of it. */
function hubAnswer(bytes: Uint8Array, range: string | undefined) {
  const first = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
  return {
    status: range ? 206 : 200,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "Content-Range, ETag, Accept-Ranges, Content-Encoding",
      "accept-ranges": "bytes",
      etag: '"1"',
      "content-length": String(bytes.length - first),
      ...(range && { "content-range": `bytes ${first}-${bytes.length - 1}/${bytes.length}` }),
    },
    body: Buffer.from(bytes.subarray(first)),
  };
}

/** The share of light of a colour "rgb(…)", as WCAG defines it. */
function luminance(color: string): number {
  const [r, g, b] = (color.match(/[\d.]+/g) ?? []).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r as number) + 0.7152 * (g as number) + 0.0722 * (b as number);
}

function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe("models of the browser example", () => {
  itChromium("are listed, those of cria first, with the sizes of their files", async () => {
    await inExample({}, async ({ page }) => {
      await settled(page);
      await openModels(page);
      const texts = async (part: string) =>
        (await page.locator(`.model .${part}`).allTextContents()).map((text) => text.trim());
      const names = await texts("name");
      assert.deepEqual(names.slice(0, 2), ["tales-chat", "tales"]);
      const sizes = await texts("size");
      assert.deepEqual(
        sizes.slice(0, 2),
        [chatModel, embeddedModel].map((file) => `${(statSync(file).size / 1e6).toFixed(1)} MB`),
      );
      assert.ok(sizes.slice(2).every((size) => /^\d+ MB$/.test(size)) && sizes.length >= 5, `${sizes}`);
      assert.equal(await page.locator(".model.used .name").textContent(), "tales-chat");
      assert.equal(await page.locator(".model.used .state").textContent(), "In use");
    });
  });

  itChromium("tell stories that others begin, token for token", async () => {
    await inExample({}, async ({ page }) => {
      assert.match(await take(page, "tales"), /^Ready/);
      assert.equal(await page.getByRole("radio", { name: "Story" }).isChecked(), true);
      assert.equal(await page.getByRole("radio", { name: "Chat" }).isDisabled(), true);
      for (const [prompt, options] of [
        ["Once upon a time", { temperature: 0.8, seed: 7, maxTokens: 500 }],
        ["The <b>old</b> king", { temperature: 0, maxTokens: 60 }],
        [
          "The queen",
          { temperature: 1.2, topK: 0, topP: 1, minP: 0.05, repeatPenalty: 1.1, seed: 3, maxTokens: 80 },
        ],
      ] as const) {
        await set(page, options);
        await say(page, prompt);
        const [pieces, whole] = await generatedHere(prompt, options);
        assert.equal(await turn(page).element.locator(".before").textContent(), prompt);
        assert.equal(await turn(page).answer(), whole.text);
        assert.equal(await turn(page).tokens(), pieces.length);
      }
      // The end of a text is a token without text: its name is said and shown.
      await turn(page, 1).press("Probabilities");
      const last = turn(page, 1).element.locator(".token").last();
      assert.equal(await last.getAttribute("data-end"), "end of text");
      assert.match((await last.getAttribute("aria-label")) ?? "", /^end of text, [\d.]+%$/);
      // Another beginning for the first story leaves the others as they are.
      await turn(page, 1).press("Edit");
      await page.getByRole("textbox", { name: "Your message" }).fill("A cat");
      await page.getByRole("textbox", { name: "Your message" }).press("Enter");
      await settled(page);
      assert.equal(await page.locator(".turn").count(), 3);
      const [, cat] = await generatedHere("A cat", {
        temperature: 1.2,
        topK: 0,
        topP: 1,
        minP: 0.05,
        repeatPenalty: 1.1,
        seed: 3,
        maxTokens: 80,
      });
      assert.equal(await turn(page, 1).answer(), cat.text);

      // Back to the model that talks.
      await take(page, "tales-chat");
      assert.equal(await page.getByRole("radio", { name: "Chat" }).isChecked(), true);
    });
  });

  itChromium("come with progress, stop, are kept, and can be removed", async () => {
    const { bytes } = tinyLlamaGguf();
    await inExample({ expected: /^Failed to load resource/ }, async ({ page }) => {
      await settled(page);
      await serving(
        (response) => {
          // The rest never comes: only Stop ends this.
          response.writeHead(200, { "Access-Control-Allow-Origin": "*", "Content-Length": 1e9 });
          response.write(bytes.subarray(0, bytes.length >> 1));
        },
        async (url) => {
          await openModels(page);
          await page.locator("#address").fill(url);
          await page.locator("#address").press("Enter");
          await page.locator("#loading").waitFor();
          await page.locator("#loading").getByRole("button", { name: "Stop" }).click();
          assert.equal(await settled(page), "Loading was stopped.");
        },
      );
      // A model of the list, as the hub would send it.
      const gemma = await listedModel(page, "gemma-3-270m");
      const path = gemma.source.slice("hf:".length).replace("GGUF/", "GGUF/resolve/main/");
      await page.route(`https://huggingface.co/${path}`, (route) =>
        route.fulfill(hubAnswer(bytes, route.request().headers().range)),
      );
      assert.match(await take(page, gemma.name), /^Ready/);
      const state = (part: string) => page.locator(".model", { hasText: gemma.name }).locator(part);
      await openModels(page);
      await state(".kept").filter({ hasText: "Kept in this browser" }).waitFor();
      assert.equal(await state(".state").textContent(), "In use");
      await state(".remove").click();
      await state(".remove").waitFor({ state: "hidden" });
      assert.equal(
        await page.evaluate(async () => (await (await caches.open("cria-models")).keys()).length),
        0,
      );
    });
  });

  itChromium("may be files and addresses, and what is wrong with others is said", async () => {
    await inExample({ expected: /^Failed to load resource/ }, async ({ page, origin }) => {
      await set(page, { temperature: 0, maxTokens: 8 });
      const refused = (said: string, message: RegExp) => {
        assert.match(said, /^The model was not loaded\. Cannot/);
        assert.match(said, message);
      };
      const { bytes } = tinyLlamaGguf();
      const text = new TextEncoder().encode("This is no model, but a text.");
      refused(await loadFile(page, "text.gguf", text), /text\.gguf: .*known formats: GGUF/);
      refused(await loadFile(page, "half.gguf", bytes.subarray(0, bytes.length / 2)), /half\.gguf/);
      refused(await loadFile(page, "empty.gguf", new Uint8Array(0)), /empty\.gguf/);
      assert.match(await loadFile(page, "tiny.gguf", bytes), /^Ready/);
      // It has no chat template, so it continues texts.
      assert.equal(await page.getByRole("radio", { name: "Story" }).isChecked(), true);
      await say(page, "word ".repeat(200));
      assert.match(await turn(page).error(), /^Cannot generate: Expected a prompt of at most 128 tokens/);
      await say(page, "in the");
      assert.equal(await turn(page).tokens(), 8);

      refused(await loadAddress(page, `${origin}/models/absent.gguf`), /absent\.gguf.*404/);
      refused(await loadAddress(page, `${origin + PAGE}index.html`), /a web page|known formats|HTML/);
      // A folder may be a model of safetensors.
      refused(await loadAddress(page, origin + PAGE), /Expected config\.json in it/);
      refused(await loadAddress(page, "tiny.gguf"), /there are no files in a browser/);
      refused(await loadAddress(page, "http://127.0.0.1:9/m.gguf"), /127\.0\.0\.1:9\/m\.gguf/);
      // A message to a model that cannot be loaded says why not, and Retry tries again.
      await say(page, "Hello!");
      assert.match(await turn(page).error(), /127\.0\.0\.1:9\/m\.gguf/);
      assert.match(await loadAddress(page, `${origin}/${embeddedName}`), /^Ready/);
      assert.equal(await textOf(page, "#error"), "");
      await say(page, "Once upon a time");
      const [, whole] = await generatedHere("Once upon a time", { temperature: 0, maxTokens: 8 });
      assert.equal(await turn(page).answer(), whole.text);
    });
  });

  itChromium("are not there without the engine's script, which is said", async () => {
    const files = { "/dist/cria.js": "throw new Error('no engine');" };
    await inExample({ files, expected: /./ }, async ({ page }) => {
      assert.match(await settled(page), /dist\/cria\.js|Llama|engine/);
    });
  });
});

describe("the browser example's form", () => {
  itChromium("has the settings of the registry, and a name for everything that can be used", async () => {
    await inExample({}, async ({ page }) => {
      const numbers = samplingParams.filter((param) => param.kind === "number");
      for (const { key, min, max, exclusiveMin, default: usual } of numbers) {
        const field = page.locator(`#settings #${key}`);
        const least = Number(await field.getAttribute("min"));
        assert.ok(exclusiveMin ? least > min : least === min, key);
        const most = await field.getAttribute("max");
        assert.equal(
          Number(most ?? Number.POSITIVE_INFINITY),
          key === "topK" ? Number.POSITIVE_INFINITY : max,
          key,
        );
        assert.equal(await field.getAttribute("value"), usual === undefined ? null : String(usual), key);
      }
      const nameless = await page
        .locator("input, textarea, progress, button, summary")
        .evaluateAll((elements) =>
          elements
            .filter((element) => {
              const labels = (element as HTMLInputElement).labels?.length ?? 0;
              return labels === 0 && !element.getAttribute("aria-label") && !element.textContent?.trim();
            })
            .map(({ outerHTML }) => outerHTML),
        );
      assert.deepEqual(nameless, []);
    });
  });

  for (const colorScheme of ["light", "dark"] as const) {
    itChromium(`fits on 320 pixels, and can be read in the ${colorScheme}`, async () => {
      await inExample({ ...phone, colorScheme, viewport: { width: 320, height: 600 } }, async ({ page }) => {
        const fits = async (what: string) => {
          const width = await page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(width <= 320, `${what}: ${width} pixels`);
        };
        await fits("the empty page");
        // The same text each time.
        await set(page, { temperature: 0, maxTokens: 60 });
        await say(page, "Tell me a story about a dog named Rex.");
        await fits("a conversation");
        await turn(page).press("Probabilities");
        await fits("probabilities");
        await openModels(page);
        await fits("models");
        const dialog = await page.locator("#models").boundingBox();
        assert.ok(dialog && dialog.x >= 0 && dialog.x + dialog.width <= 320);
        await page.keyboard.press("Escape");

        const colors = (selector: string) =>
          page
            .locator(selector)
            .first()
            .evaluate((element) => {
              let behind: Element | null = element;
              const background = () => getComputedStyle(behind as Element).backgroundColor;
              while (behind?.parentElement && /, 0\)$/.test(background())) behind = behind.parentElement;
              return [getComputedStyle(element).color, background()] as const;
            });
        const [ink, paper] = await colors("body");
        assert.equal(luminance(paper) < luminance(ink), colorScheme === "dark");
        for (const selector of [
          ".said",
          ".meta",
          "#status",
          "#mode span",
          ".swatch",
          "#send",
          ".turn .copy",
        ]) {
          const [text, behind] = await colors(selector);
          assert.ok(contrast(text, behind) >= 4.5, `${selector}: ${contrast(text, behind).toFixed(2)}`);
        }
      });
    });
  }

  itChromium("leads to its documentation", async () => {
    await inExample({}, async ({ page }) => {
      const links = await page
        .locator("a")
        .evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).href));
      assert.ok(links.length >= 3);
      for (const link of links) {
        const response = await fetch(link);
        assert.equal(response.status, 200, link);
        assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
        assert.match(await response.text(), /^# /);
      }
    });
  });
});
