// Takes docs/browser.png, a screenshot of examples/browser: `bun scripts/browser_screenshot.ts [FILE]`.
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { bundleForBrowser, inPage } from "../tests/support/chromium.ts";

const path = argv[2] ?? fileURLToPath(new URL("../docs/browser.png", import.meta.url));
const files = { "/dist/cria.js": await bundleForBrowser("src/mod.ts") };
await inPage({ isolated: true, files, viewport: { width: 800, height: 800 } }, async ({ page, origin }) => {
  await page.goto(`${origin}/examples/browser/`);
  await page.locator("summary").click();
  await page.getByLabel("Seed").fill("11");
  await page.getByLabel("Max tokens").fill("110");
  // Generates the same text several times. During the first ones the browser compiles faster code, which the speed shows.
  for (let i = 0; i < 5; i++) {
    await page.getByRole("button", { name: "Start" }).click();
    await page.locator("#start:enabled").waitFor();
  }
  await page.locator('#tokens [data-band="2"]').nth(3).hover();
  await page.screenshot({ path, fullPage: true });
});
