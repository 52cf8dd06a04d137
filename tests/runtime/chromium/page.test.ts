// The page of examples/browser, as somebody uses it.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe } from "node:test";
import type { Page } from "playwright-core";
import type { ServedFile } from "../../../examples/browser/serve.ts";
import { type Completion, type GenerateOptions, Llama, type Piece } from "../../../src/mod.ts";
import {
  bundleForBrowser,
  inPage,
  itChromium,
  type PageOptions,
  type PageTest,
} from "../../support/chromium.ts";
import { tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { embeddedModel, embeddedName } from "../../support/models.ts";
import { serving } from "../../support/server.ts";

const PAGE = "/examples/browser/";

interface ExampleOptions extends Partial<PageOptions> {
  /** What the browser may say of requests that the test makes fail. */
  readonly expected?: RegExp;
}

/** Opens the page over the sources of this repository while `body` runs; nothing may complain meanwhile. */
async function inExample(options: ExampleOptions, body: (test: PageTest) => Promise<void>): Promise<void> {
  const files: Record<string, ServedFile> = {
    "/dist/cria.js": await bundleForBrowser("src/mod.ts"),
    ...options.files,
  };
  await inPage({ isolated: true, ...options, files }, async (test) => {
    await test.page.goto(test.origin + PAGE);
    await body(test);
    const rest = test.complaints.filter((text) => !options.expected?.test(text));
    assert.deepEqual(rest, []);
  });
}

/** Fills inputs of the settings by their ids. */
async function fill(page: Page, values: Readonly<Record<string, number | string>>): Promise<void> {
  await page.locator("details").evaluate((details) => details.setAttribute("open", ""));
  for (const [id, value] of Object.entries(values)) await page.locator(`#${id}`).fill(String(value));
}

/** Presses Start and waits until the page is idle again; what it then says. */
async function run(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Start" }).click();
  return settled(page);
}

async function settled(page: Page): Promise<string> {
  await page.locator("#start:enabled").waitFor();
  return `${await textOf(page, "#status")} ${await textOf(page, "#error")}`.trim();
}

/** Waits for a status, where nothing says that the page was busy in between. */
async function settledAfter(page: Page, status: RegExp): Promise<string> {
  await page.locator("#status").filter({ hasText: status }).waitFor();
  return settled(page);
}

const phone = { phone: true, viewport: { width: 390, height: 844 } } as const;

/** Real touches: a finger comes down on the middle of an element and lifts. */
async function touching(page: Page): Promise<(selector: string) => Promise<void>> {
  const session = await page.context().newCDPSession(page);
  return async (selector) => {
    // Of a token that goes over two lines, the wider part: the other may be a space that takes no room.
    const point = await page.locator(selector).evaluate((element) => {
      const [first, ...others] = element.getClientRects();
      const wider = (a: DOMRect, b: DOMRect) => (b.width > a.width ? b : a);
      const { left, top, width, height } = others.reduce(wider, first as DOMRect);
      return { x: left + width / 2, y: top + height / 2 };
    });
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] });
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    // The click comes after the touch, in a task of its own.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  };
}

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? "";
}

/** What the embedded model generates here. */
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

describe("the browser example", () => {
  for (const isolated of [false, true]) {
    const threads = isolated ? 2 : 1;
    itChromium(
      `generates what is generated here, in ${threads === 1 ? "one thread" : "two threads"}`,
      async () => {
        await inExample({ isolated }, async ({ page, requests }) => {
          const about = isolated
            ? /isolated: the engine can use several/
            : /not cross-origin isolated: .* one thread/;
          assert.match(await textOf(page, "#isolation"), about);
          assert.equal(await page.locator("#threads").isDisabled(), !isolated);
          if (isolated) await fill(page, { threads });
          for (const [prompt, settings] of [
            ["Once upon a time", { temperature: 0.8, seed: 7, maxTokens: 120 }],
            ["The <b>old</b> king", { temperature: 0, maxTokens: 60 }],
            [
              "",
              { temperature: 1.2, topK: 0, topP: 1, minP: 0.05, repeatPenalty: 1.1, seed: 3, maxTokens: 80 },
            ],
          ] as const) {
            await page.locator("#prompt").fill(prompt);
            await fill(page, settings);
            const [pieces, whole] = await generatedHere(prompt, settings);
            const ending =
              whole.finishReason === "eos" ? "ended its text" : "as many tokens as were asked for";
            assert.match(await run(page), new RegExp(`^Done: .*${ending}`));
            assert.equal(await textOf(page, "#before"), prompt);
            assert.equal(await textOf(page, "#tokens"), whole.text);
            assert.equal(await textOf(page, "#plain"), whole.text);
            assert.equal(await page.locator("#tokens .token").count(), pieces.length);
            const speed = await textOf(page, "#speed");
            const n = `${pieces.length} tokens, [\\d,]+ tokens/s, ${threads} thread${isolated ? "s" : ""}, relaxed SIMD`;
            assert.match(speed, new RegExp(`^${n}$`));
            assert.equal(await textOf(page, "#error"), "");
          }
          // Loaded once, from one script: there is no WebAssembly file that could be missing.
          const paths = requests.filter((url) => url.startsWith("http")).map((url) => new URL(url).pathname);
          assert.ok(!paths.some((path) => path.endsWith(".wasm")));
          for (const path of ["/dist/cria.js", `/${embeddedName}`]) {
            assert.equal(paths.filter((other) => other === path).length, 1, path);
          }
        });
      },
    );
  }

  itChromium("shows the alternatives of a token on hover and on keyboard focus", async () => {
    await inExample({}, async ({ page }) => {
      const settings = { temperature: 1, topK: 0, topP: 1, seed: 5, maxTokens: 40 };
      await fill(page, settings);
      await run(page);
      const [pieces] = await generatedHere("Once upon a time", { ...settings, logprobs: 5 });
      const panel = page.locator("#alternatives");
      const shown = async (index: number) => {
        const { id, alternatives } = pieces[index] as Piece;
        const ids = alternatives.map((other) => other.id);
        const rows = panel.locator("tbody tr");
        const there = await rows.evaluateAll((rows) =>
          rows.map((row) => Number((row as HTMLElement).dataset.id)),
        );
        assert.deepEqual(there, ids.includes(id) ? ids : [...ids, id], `token ${index}`);
        const chosen = panel.locator("tr.chosen");
        assert.equal(await chosen.count(), 1);
        assert.equal(await chosen.getAttribute("data-id"), String(id));
        const percent = await chosen.locator("td").textContent();
        assert.ok(
          Math.abs(Number.parseFloat(percent ?? "") / 100 / Math.exp(pieces[index]!.logprob) - 1) < 0.06,
        );
        assert.match((await page.locator(`#token-${index}`).getAttribute("aria-label")) ?? "", /., [\d.]+%$/);
      };
      assert.equal(await panel.isVisible(), false);
      for (const index of [0, 7, 39]) {
        await page.locator(`#token-${index}`).hover();
        await shown(index);
      }
      await page.locator("h1").hover();
      assert.equal(await panel.isVisible(), false);

      const tokens = page.locator("#tokens");
      await page.locator("#start").focus();
      for (let i = 0; i < 5 && !(await tokens.evaluate((list) => list === document.activeElement)); i++) {
        await page.keyboard.press("Tab");
      }
      for (const [key, index] of [
        ["Home", 0],
        ["ArrowRight", 1],
        ["ArrowDown", 2],
        ["ArrowLeft", 1],
        ["End", 39],
        ["ArrowRight", 39],
      ] as const) {
        await page.keyboard.press(key);
        assert.equal(await tokens.getAttribute("aria-activedescendant"), `token-${index}`);
        assert.equal(await page.locator('[aria-selected="true"]').getAttribute("id"), `token-${index}`);
        await shown(index);
      }
      await page.keyboard.press("Escape");
      assert.equal(await panel.isVisible(), false);

      await page.getByLabel("Show probabilities").uncheck();
      assert.equal(await tokens.isVisible(), false);
      assert.equal(await page.locator("#plain").isVisible(), true);
    });
  });

  itChromium("stops soon, in the middle of a text and of a download", async () => {
    await inExample({}, async ({ page }) => {
      await page.locator("#prompt").fill("The old king");
      await fill(page, { temperature: 0, maxTokens: 500 });
      // With the first tokens, from inside the page: this model is quicker than a test.
      await page.evaluate(() => {
        const tokens = document.querySelector("#tokens") as HTMLElement;
        const observer = new MutationObserver(() => {
          if (tokens.childElementCount === 0) return;
          observer.disconnect();
          document.querySelector<HTMLElement>("#stop")?.click();
        });
        observer.observe(tokens, { childList: true });
      });
      const stopMs = () =>
        page.evaluate(() => performance.getEntriesByName("stop").at(-1)?.duration ?? Number.NaN);
      assert.match(await run(page), /^Stopped after \d+ tokens?\.$/);
      const ms = await stopMs();
      console.log(`stopped after ${ms.toFixed(1)} ms`);
      assert.ok(ms < 2000, `${ms} ms`);
      const count = await page.locator("#tokens .token").count();
      assert.ok(count > 0 && count < 500, `${count} tokens`);

      await serving(
        (response) => {
          response.writeHead(200, { "Access-Control-Allow-Origin": "*", "Content-Length": 1e9 });
          response.write("GGUF\x03\0\0\0");
        },
        async (url) => {
          await page.getByLabel("A file on the web").check();
          await page.locator("#url").fill(url);
          await page.locator("#start").click();
          await page.locator("#loading").waitFor();
          await page.locator("#stop").click();
          assert.equal(await settled(page), "Loading was stopped.");
          assert.ok((await stopMs()) < 2000);
        },
      );

      await page.getByLabel("Tales").check();
      await fill(page, { maxTokens: 5 });
      assert.match(await run(page), /^Done/);
      assert.equal(await page.locator("#tokens .token").count(), 5);
    });
  });

  itChromium("takes a file and an address, and says what is wrong with others", async () => {
    const expected = /^Failed to load resource/;
    await inExample({ expected }, async ({ page, origin }) => {
      await fill(page, { temperature: 0, maxTokens: 8 });
      const error = page.getByRole("alert");
      const refused = async (message: RegExp) => {
        assert.match(await run(page), /^The model was not loaded\. Cannot/);
        assert.equal(await error.isVisible(), true);
        assert.match((await error.textContent()) ?? "", message);
      };
      const choose = (name: string, buffer: Uint8Array) =>
        page
          .locator("#file")
          .setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(buffer) });

      const { bytes } = tinyLlamaGguf();
      await page.getByLabel("A file on this device").check();
      await choose("text.gguf", new TextEncoder().encode("This is no model, but a text."));
      await refused(/text\.gguf: .*known formats: GGUF/);
      await choose("half.gguf", bytes.subarray(0, bytes.length / 2));
      await refused(/half\.gguf/);
      await choose("empty.gguf", new Uint8Array(0));
      await refused(/empty\.gguf/);
      await choose("tiny.gguf", bytes);
      await page.locator("#prompt").fill("word ".repeat(200));
      assert.match(
        await run(page),
        /^Ended by an error\. Cannot generate: Expected a prompt of at most 128 tokens/,
      );
      await page.locator("#prompt").fill("in the");
      assert.match(await run(page), /^Done/);
      assert.equal(await error.isVisible(), false);

      await page.getByLabel("A file on the web").check();
      const at = (url: string) => page.locator("#url").fill(url);
      await at(`${origin}/models/absent.gguf`);
      await refused(/absent\.gguf.*404/);
      await at(`${origin + PAGE}index.html`);
      await refused(/a web page|known formats|HTML/);
      // A folder may be a model of safetensors.
      await at(origin + PAGE);
      await refused(/Expected config\.json in it/);
      await at("tiny.gguf");
      await refused(/there are no files in a browser/);
      await at("http://127.0.0.1:9/m.gguf");
      await refused(/127\.0\.0\.1:9\/m\.gguf/);
      await at(`${origin}/${embeddedName}`);
      await page.locator("#prompt").fill("Once upon a time");
      assert.match(await run(page), /^Done/);
      const [, whole] = await generatedHere("Once upon a time", { temperature: 0, maxTokens: 8 });
      assert.equal(await textOf(page, "#tokens"), whole.text);
    });
  });

  itChromium(
    "says so where the engine's script is missing, and asks for settings that make sense",
    async () => {
      const files = { "/dist/cria.js": "throw new Error('no engine');" };
      await inExample({ files, expected: /./ }, async ({ page }) => {
        await page.locator("#start").click();
        await settled(page);
        assert.match(await textOf(page, "#error"), /dist\/cria\.js|Llama|engine/);
      });
      await inExample({}, async ({ page }) => {
        await fill(page, { temperature: -1 });
        await page.locator("details").evaluate((details) => details.removeAttribute("open"));
        await page.locator("#start").click();
        assert.equal(await page.locator("#temperature").isVisible(), true);
        assert.equal(await textOf(page, "#status"), "");
      });
    },
  );

  itChromium("has a label for every field, and fits on 320 pixels", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      await inExample({ colorScheme, viewport: { width: 320, height: 600 } }, async ({ page }) => {
        const unlabelled = await page
          .locator("input, textarea, progress")
          .evaluateAll((fields) =>
            fields
              .filter((field) => ((field as HTMLInputElement).labels?.length ?? 0) === 0)
              .map((field) => field.id),
          );
        assert.deepEqual(unlabelled, []);
        const width = () => page.evaluate(() => document.documentElement.scrollWidth);
        for (const choice of ["A file on this device", "A file on the web", "Tales"]) {
          await page.getByLabel(choice).check();
          assert.ok((await width()) <= 320, choice);
        }
        // The same text each time: a random one may have a line break there, which no pointer meets.
        await fill(page, { temperature: 0, maxTokens: 40 });
        await run(page);
        for (const index of [0, 11, 39]) {
          await page.locator(`#token-${index}`).hover();
          const box = await page.locator("#alternatives").boundingBox();
          assert.ok(box && box.x >= 0 && box.x + box.width <= 320, `token ${index}`);
          assert.ok((await width()) <= 320, `token ${index}`);
        }
      });
    }
  });

  itChromium("shows the alternatives of a token that a finger taps, each time", async () => {
    await inExample({ ...phone }, async ({ page }) => {
      await fill(page, { temperature: 1, topK: 0, topP: 1, seed: 5, maxTokens: 40 });
      await run(page);
      const panel = page.locator("#alternatives");
      const tap = await touching(page);
      // Token 28 is the end of a line, which takes no room.
      const indexes = [0, 5, 11, 17, 22, 29, 33, 39];
      for (const index of indexes) {
        await page.locator(`#token-${index}`).scrollIntoViewIfNeeded();
        // What is open may lie over the next one.
        await tap("h2");
        assert.equal(await panel.isVisible(), false, `before token ${index}`);
        await tap(`#token-${index}`);
        assert.equal(await panel.isVisible(), true, `token ${index}`);
        assert.equal(await page.locator('[aria-selected="true"]').getAttribute("id"), `token-${index}`);
        const chosen = await panel.locator("tr.chosen th").textContent();
        const label = await page.locator(`#token-${index}`).getAttribute("aria-label");
        assert.ok(chosen?.includes((label ?? "").split(",")[0] as string), `${chosen}, ${label}`);
      }
      // A tap into the panel leaves it.
      await tap("#alternatives caption");
      assert.equal(await panel.isVisible(), true);
      await tap("h2");
      assert.equal(await panel.isVisible(), false);
    });
  });

  itChromium("keeps the end of the text in view on a phone, and Stop within reach", async () => {
    await inExample({ ...phone }, async ({ page }) => {
      const isSeen = (selector: string) =>
        page.locator(selector).evaluate((element) => {
          const { top, bottom } = element.getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        });
      assert.equal(await isSeen("#start"), true, "before it starts");
      await fill(page, { temperature: 0.8, seed: 7, maxTokens: 200 });
      await page.evaluate(() => {
        const tokens = document.querySelector("#tokens") as HTMLElement;
        const seen: boolean[] = [];
        const observer = new MutationObserver(() => {
          const last = tokens.lastElementChild?.getBoundingClientRect();
          const controls = document.querySelector("#stop")?.getBoundingClientRect();
          if (!last || !controls) return;
          seen.push(last.top >= controls.bottom && last.bottom <= innerHeight && controls.top >= 0);
        });
        observer.observe(tokens, { childList: true });
        Object.assign(globalThis, { seen });
      });
      await run(page);
      const seen = await page.evaluate(() => (globalThis as unknown as { seen: boolean[] }).seen);
      assert.ok(seen.length > 0);
      assert.ok(
        seen.every((value) => value),
        `${seen}`,
      );
      assert.equal(await isSeen("#tokens .token:last-child"), true);
      assert.equal(await isSeen("#start"), true, "after the text");
    });
  });

  itChromium("leaves nothing of an earlier run beside the error of a later one", async () => {
    await inExample({ expected: /^Failed to load resource/ }, async ({ page, origin }) => {
      await fill(page, { temperature: 0, maxTokens: 8 });
      assert.match(await run(page), /^Done/);
      assert.notEqual(await textOf(page, "#speed"), "");
      await page.getByLabel("A file on the web").check();
      await page.locator("#url").fill(`${origin}/models/absent.gguf`);
      assert.match(await run(page), /^The model was not loaded\./);
      for (const id of ["before", "tokens", "plain", "speed"])
        assert.equal(await textOf(page, `#${id}`), "", id);
      assert.equal(await page.locator("#copy").isDisabled(), true);

      // Nothing is loaded for an empty address; what it says is the browser's word alone.
      await page.locator("#url").fill("");
      await page.locator("#start").click();
      assert.equal(await page.locator("#url:invalid").count(), 1);
      assert.equal(await page.getByRole("alert").isVisible(), false);
      assert.equal(await textOf(page, "#status"), "");

      await page.getByLabel("Tales").check();
      assert.match(await run(page), /^Done/);
      assert.equal(await page.locator("#tokens .token").count(), 8);
    });
  });

  itChromium("starts by Ctrl+Enter and Cmd+Enter in the prompt, not by Enter", async () => {
    await inExample({}, async ({ page }) => {
      await fill(page, { temperature: 0, maxTokens: 4 });
      const prompt = page.locator("#prompt");
      for (const key of ["Control+Enter", "Meta+Enter"]) {
        await prompt.fill(`The ${key === "Meta+Enter" ? "queen" : "king"}`);
        await prompt.press(key);
        assert.match(await settledAfter(page, /^Done/), /^Done/);
        assert.equal(await textOf(page, "#before"), await prompt.inputValue());
      }
      await prompt.press("Enter");
      assert.match(await prompt.inputValue(), /\n/);
      assert.equal(await textOf(page, "#before"), "The queen");
      // With something wrong it asks for it, as the button does.
      await fill(page, { temperature: -1 });
      await prompt.press("Control+Enter");
      assert.equal(await textOf(page, "#status"), "");
    });
  });

  itChromium("says the end of the text in words, and colours only what is unlikely", async () => {
    await inExample({}, async ({ page }) => {
      const settings = { temperature: 0.8, seed: 7, maxTokens: 500 };
      await fill(page, settings);
      await run(page);
      const [pieces, whole] = await generatedHere("Once upon a time", settings);
      assert.equal(whole.finishReason, "eos");
      const last = page.locator("#tokens .token").last();
      assert.equal(await last.getAttribute("data-end"), "end of text");
      assert.match((await last.getAttribute("aria-label")) ?? "", /^end of text, [\d.]+%$/);
      await last.hover();
      assert.match((await page.locator("#alternatives tr.chosen th").textContent()) ?? "", /^end of text/);
      assert.equal(await textOf(page, "#tokens"), whole.text);
      const plain = await page.locator('#tokens [data-band="0"]').count();
      assert.equal(plain, pieces.filter(({ logprob }) => Math.exp(logprob) >= 0.3).length);
      const background = await page
        .locator('#tokens [data-band="0"]')
        .first()
        .evaluate((token) => getComputedStyle(token).backgroundColor);
      assert.equal(background, "rgba(0, 0, 0, 0)");
    });
  });

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
