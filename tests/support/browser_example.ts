// Uses the page of examples/browser as somebody does: opens it, sets things, writes messages.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { ServedFile } from "../../examples/browser/serve.ts";
import { bundleForBrowser, inPage, type PageOptions, type PageTest } from "./chromium.ts";

/** Where the page is. */
export const PAGE = "/examples/browser/";

/** A telephone: fingers in place of a mouse. */
export const phone = { phone: true, viewport: { width: 390, height: 844 } } as const;

interface ExampleOptions extends Partial<PageOptions> {
  /** What the browser may say of requests that the test makes fail. */
  readonly expected?: RegExp;
}

const bundles = new Map<string, Promise<string>>();

/** One script of a module of src/ and all it imports, made once. */
function bundle(path: string): Promise<string> {
  const made = bundles.get(path) ?? bundleForBrowser(path);
  bundles.set(path, made);
  return made;
}

/** Opens the page over the sources of this repository while `body` runs; nothing may complain meanwhile. */
export async function inExample(
  options: ExampleOptions,
  body: (test: PageTest) => Promise<void>,
): Promise<void> {
  const files: Record<string, ServedFile> = {
    "/dist/cria.js": await bundle("src/mod.ts"),
    "/dist/models.js": await bundle("src/models.ts"),
    ...options.files,
  };
  await inPage({ isolated: true, ...options, files }, async (test) => {
    await test.page.goto(test.origin + PAGE);
    await body(test);
    const rest = test.complaints.filter((text) => !options.expected?.test(text));
    assert.deepEqual(rest, []);
  });
}

/** The text of an element. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? "";
}

/** Fills fields of the settings by their ids. */
export async function set(page: Page, values: Readonly<Record<string, number | string>>): Promise<void> {
  await page.getByRole("button", { name: "Settings" }).click();
  for (const [id, value] of Object.entries(values)) await page.locator(`#${id}`).fill(String(value));
  await page.getByRole("button", { name: "Close" }).click();
}

/** Takes a model of the list, and waits until it is loaded or not. */
export async function take(page: Page, name: string): Promise<string> {
  await openModels(page);
  await page.locator(`#models .take:has(.name:text-is("${name}"))`).click();
  return settled(page);
}

/** Opens the list of models. */
export async function openModels(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Model: / }).click();
  await page.locator("#models[open]").waitFor();
}

/** Writes a message, sends it, and waits for the end of the answer; what the page then says. */
export async function say(page: Page, text: string): Promise<string> {
  await page.locator("#message").fill(text);
  await page.locator("#message").press("Enter");
  return settled(page);
}

/** Waits until the page is idle; its status and its error, if there is one. */
export async function settled(page: Page): Promise<string> {
  await page.locator("body:not(:has(#stop:not([hidden]), #loading:not([hidden])))").waitFor();
  return `${await textOf(page, "#status")} ${await textOf(page, "#error")}`.trim();
}

/** A turn of the conversation by its number, from 1 on; 0 is the last. */
export function turn(page: Page, number = 0) {
  const element = page.locator(number === 0 ? ".turn:last-child" : `.turn:nth-child(${number})`);
  const text = async (part: string) => (await element.locator(part).textContent()) ?? "";
  return {
    element,
    said: () => text(".said"),
    answer: () => text(".tokens"),
    meta: () => text(".meta"),
    error: () => text(".error"),
    token: (index: number) => element.locator(`.tokens .token:nth-child(${index + 1})`),
    tokens: () => element.locator(".tokens .token").count(),
    press: (name: string) => element.getByRole("button", { name, exact: true }).click(),
  };
}

/** Milliseconds that the last stop took. */
export function stopMs(page: Page): Promise<number> {
  return page.evaluate(() => performance.getEntriesByName("stop").at(-1)?.duration ?? Number.NaN);
}

/** Presses Stop from inside the page once the first tokens are there: small models are quicker than a test. */
export async function stopAtFirstTokens(page: Page, how: "button" | "Escape"): Promise<void> {
  await page.evaluate((how) => {
    const conversation = document.querySelector("#conversation") as HTMLElement;
    const observer = new MutationObserver(() => {
      if (!conversation.querySelector(".turn:last-child .token")) return;
      observer.disconnect();
      if (how === "button") document.querySelector<HTMLElement>("#stop")?.click();
      else dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    });
    observer.observe(conversation, { childList: true, subtree: true });
  }, how);
}

/** Real touches: a finger comes down on the middle of an element and lifts. */
export async function touching(page: Page): Promise<(selector: string) => Promise<void>> {
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
