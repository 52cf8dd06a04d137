// The service worker of examples/browser: pages ask the model of a page as they would ask OpenAI.
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Page } from "playwright-core";
import { Llama } from "../../../src/mod.ts";
import { inExample, PAGE, say, set, settled, take, textOf, turn } from "../../support/browser_example.ts";
import { bundleForBrowser, itChromium } from "../../support/chromium.ts";
import { chatModel } from "../../support/models.ts";

const GREETING = "Hello! Who are you?";
const messages = [{ role: "user", content: GREETING }];

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

/** Asks a route of the page's folder, from the page; a body is sent as JSON. */
function ask(page: Page, route: string, body?: unknown): Promise<Answer> {
  return page.evaluate(
    async ({ url, body }) => {
      const headers = { "content-type": "application/json" };
      const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
      const response = await fetch(url, init);
      const type = response.headers.get("content-type");
      return { status: response.status, type, text: await response.text() };
    },
    { url: PAGE + route, body },
  );
}

async function answerHere(): Promise<string> {
  await using llama = await Llama.load(chatModel, { threads: 1 });
  using chat = llama.chat();
  return (await chat.ask(GREETING, { temperature: 0, maxTokens: 30 })).text;
}

describe("the service worker of the browser example", () => {
  itChromium("answers OpenAI's routes with the model of the page, beside the page itself", async () => {
    const files = { "/dist/server.js": await bundleForBrowser("src/server.ts") };
    await inExample({ files, expected: /^Failed to load resource/ }, async ({ page, origin }) => {
      await set(page, { temperature: 0, maxTokens: 30 });
      assert.equal((await ask(page, "v1/models")).status, 404, "before it was asked for");
      await page.getByRole("button", { name: "Settings" }).click();
      await page.getByLabel("Answer OpenAI").check();
      await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
      assert.equal(await textOf(page, "#serve-url"), `${origin + PAGE}v1`);
      assert.equal(await textOf(page, "#serve-error"), "");
      await page.keyboard.press("Escape");

      const models = await ask(page, "v1/models");
      assert.equal(models.status, 200, models.text);
      const [{ id }] = JSON.parse(models.text).data;
      assert.equal(id, "tales-chat");
      const text = await answerHere();
      const request = { model: id, messages, temperature: 0, max_tokens: 30 };
      // Eight at once, and the page answers its own user meanwhile.
      const asked = Array.from({ length: 8 }, () => ask(page, "v1/chat/completions", request));
      await say(page, GREETING);
      assert.equal(await turn(page).answer(), text);
      for (const { status, text: body } of await Promise.all(asked)) {
        assert.equal(status, 200, body);
        assert.equal(JSON.parse(body).choices[0].message.content, text);
      }
      const streamed = await ask(page, "v1/chat/completions", { ...request, stream: true });
      assert.match(streamed.type ?? "", /^text\/event-stream/);
      const events = streamed.text.split("\n\n").filter((event) => event.startsWith("data: {"));
      const parts = events.map(
        (event) => JSON.parse(event.slice("data: ".length)).choices[0]?.delta?.content ?? "",
      );
      assert.equal(parts.join(""), text);
      assert.match(streamed.text, /data: \[DONE\]\n\n$/);
      const wrong = await ask(page, "v1/chat/completions", { ...request, messages: "Hello!" });
      assert.equal(wrong.status, 400);
      assert.equal(typeof JSON.parse(wrong.text).error.message, "string");

      // Another model of the page is another model of the server.
      await take(page, "tales");
      await settled(page);
      await page.waitForFunction(
        // While one model takes the place of the other, requests may be refused.
        async (url) => (await (await fetch(url)).json()).data?.[0]?.id === "tales",
        `${PAGE}v1/models`,
      );
    });
  });
});
