// Eight conversations at once in a page's worker: each has the ids that it has alone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe } from "node:test";
import type { Page } from "playwright-core";
import type { LoadOptions } from "../../../src/mod.ts";
import { bundleForBrowser, inPage, itChromium } from "../../support/chromium.ts";
import { chatModel } from "../../support/models.ts";
import { holdAll, type Talks } from "./conversations.ts";
import type { TalksAnswer, TalksRequest } from "./conversations_worker.ts";

async function talksInWorker(page: Page, options: LoadOptions): Promise<Talks> {
  const request: TalksRequest = { model: "/tales-chat.gguf", options };
  const answer = await page.evaluate(
    (request) =>
      new Promise<TalksAnswer>((resolve) => {
        const worker = new Worker("/worker.js", { type: "module" });
        const end = (answer: TalksAnswer) => {
          worker.terminate();
          resolve(answer);
        };
        worker.onmessage = ({ data }) => end(data);
        worker.onerror = ({ message }) => end({ error: message });
        worker.postMessage(request);
      }),
    request,
  );
  if ("error" in answer) throw new Error(answer.error);
  return answer.talks;
}

describe("conversations at once in a browser", () => {
  itChromium("have the ids that each has alone, isolated and not", async () => {
    const bytes = new Uint8Array(readFileSync(chatModel));
    const alone = await holdAll(bytes, false, { threads: 1 });
    assert.equal(alone.atOnce, 1);
    assert.ok(alone.talks.every(({ ids }) => ids.length === 3 && ids.every((of) => of.length > 0)));
    const files = {
      "/index.html": '<!doctype html><html lang="en"><title>talks</title><link rel="icon" href="data:,">',
      "/worker.js": await bundleForBrowser("tests/runtime/chromium/conversations_worker.ts"),
      "/tales-chat.gguf": bytes,
    };
    for (const isolated of [true, false]) {
      await inPage({ isolated, files }, async ({ page, origin, complaints }) => {
        await page.goto(origin);
        const options: LoadOptions = isolated ? { tune: { threads: 2 } } : {};
        const { talks, atOnce } = await talksInWorker(page, options);
        assert.equal(atOnce, 8, "all had begun before the first one ended");
        assert.deepEqual(talks, alone.talks);
        assert.deepEqual(complaints, []);
      });
    }
  });
});
