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

/** A seed whose answers do not end by themselves, with {@link endless}. */
export const ENDLESS_SEED = 1;

/**
 * Files of a page whose engine goes on computing after the first tokens of an answer, until it is stopped: other answers may be over
 * before a page on a busy machine has shown their beginning. Only answers with {@link ENDLESS_SEED} are so; Retry takes the next seed.
 */
export async function endless(): Promise<Record<string, ServedFile>> {
  const script = `
import { Llama } from "./whole.js";
export * from "./whole.js";
const { chat } = Llama.prototype;
Llama.prototype.chat = function (options) {
  const made = chat.call(this, options);
  const { send } = made;
  made.send = (message, options) => {
    const answer = send.call(made, message, options);
    return options.seed === ${ENDLESS_SEED} ? { next: nextOf(this, answer, options.signal) } : answer;
  };
  return made;
};
function nextOf(llama, answer, signal) {
  let n = 0;
  return async () => {
    n++;
    // The worker sends tokens in batches, the next one when a token comes so late.
    if (n === 4) await new Promise((resolve) => setTimeout(resolve, 100));
    if (n > 4) while (!signal.aborted) await llama.logits([1]);
    return answer.next();
  };
}`;
  return { "/dist/cria.js": script, "/dist/whole.js": await bundle("src/mod.ts") };
}

/** Sends a message whose answer is {@link endless}, and stops it once its first tokens are there; what the page then says. */
export async function stopped(page: Page, text: string, how: "button" | "Escape"): Promise<string> {
  await page.locator("#message").fill(text);
  await page.locator("#message").press("Enter");
  await turn(page).token(0).waitFor();
  if (how === "button") await page.locator("#stop").click();
  else await page.keyboard.press("Escape");
  return settled(page);
}

/** Real touches: a finger comes down on the middle of an element and lifts, which is a click. */
export function touching(page: Page): (selector: string) => Promise<void> {
  return async (selector) => {
    const { x, y } = await page.locator(selector).evaluate((element) => {
      // The click comes some time after the touch, when the browser knows that it was no other gesture.
      const state = Object.assign(globalThis, { isClicked: false });
      addEventListener("click", () => (state.isClicked = true), { once: true });
      // Of a token that goes over two lines, the wider part: the other may be a space that takes no room.
      const [first, ...others] = element.getClientRects();
      const wider = (a: DOMRect, b: DOMRect) => (b.width > a.width ? b : a);
      const { left, top, width, height } = others.reduce(wider, first as DOMRect);
      return { x: left + width / 2, y: top + height / 2 };
    });
    // Both parts at once: a finger that lifts late is a long press, and no click.
    await page.touchscreen.tap(x, y);
    await page.waitForFunction(() => (globalThis as unknown as { isClicked: boolean }).isClicked);
  };
}
