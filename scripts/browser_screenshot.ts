// Takes the screenshots of examples/browser in docs/: `bun scripts/browser_screenshot.ts [FOLDER]`.
import { writeFile } from "node:fs/promises";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { phone, say, set, settled, turn } from "../tests/support/browser_example.ts";
import { bundleForBrowser, inPage, type PageOptions } from "../tests/support/chromium.ts";
import { smallPng } from "./small_png.ts";

const folder = argv[2] ?? fileURLToPath(new URL("../docs", import.meta.url));
const files = {
  "/dist/cria.js": await bundleForBrowser("src/mod.ts"),
  "/dist/models.js": await bundleForBrowser("src/models.ts"),
};
const desktop = { viewport: { width: 920, height: 640 } } as const;

async function shoot(
  name: string,
  options: Partial<PageOptions>,
  pose: (page: Page) => Promise<void>,
): Promise<void> {
  await inPage({ isolated: true, files, ...options }, async ({ page, origin }) => {
    await page.addInitScript(holdAnswers);
    await page.goto(`${origin}/examples/browser/`);
    await settled(page);
    await pose(page);
    await page.mouse.move(0, 0);
    await writeFile(`${folder}/${name}.png`, smallPng(await page.screenshot({ caret: "hide" })));
  });
}

// Answers come in milliseconds. To show one that is being written, the page is not told of its end.
function holdAnswers(): void {
  const listen = Worker.prototype.addEventListener;
  Worker.prototype.addEventListener = function (this: Worker, type: string, listener: unknown) {
    const held = (event: MessageEvent) => {
      if ("isHeld" in globalThis && event.data.done) return;
      (listener as (event: MessageEvent) => void)(event);
    };
    listen.call(this, type, (type === "message" ? held : listener) as EventListener);
  } as typeof listen;
}

const hold = (page: Page) => page.evaluate(() => Object.assign(globalThis, { isHeld: true }));

/** Answers the same several times: meanwhile the browser compiles faster code, which the speed shows. */
async function warmUp(page: Page): Promise<void> {
  for (let i = 0; i < 4; i++) await say(page, "Tell me a story about a king.");
  await page.getByRole("button", { name: "New conversation" }).click();
}

const GREETING = "Hello! Who are you?";
const REQUEST = "Tell me a story about a dog named Rex who finds a ball.";

await shoot("browser", desktop, async (page) => {
  await warmUp(page);
  await set(page, { seed: 4, temperature: 0.7 });
  await say(page, REQUEST);
  await turn(page).press("Probabilities");
  await turn(page).element.locator('.token[data-band="3"]').first().click();
});
await shoot("browser_dark", { ...desktop, colorScheme: "dark" }, async () => {});
await shoot("browser_phone", phone, async (page) => {
  await warmUp(page);
  await set(page, { seed: 30, temperature: 0.7, maxTokens: 110 });
  await say(page, GREETING);
  await hold(page);
  await page.locator("#message").fill(REQUEST);
  await page.locator("#message").press("Enter");
  await page.waitForTimeout(1500);
});
await shoot("browser_phone_dark", { ...phone, colorScheme: "dark" }, async (page) => {
  await page.getByRole("button", { name: /^Model: / }).click();
});
