// The page of examples/browser as somebody talks to it.
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Route } from "playwright-core";
import { type ChatPiece, Llama, type Message, type SendOptions } from "../../../src/mod.ts";
import {
  ENDLESS_SEED,
  endless,
  inExample,
  phone,
  say,
  set,
  settled,
  stopped,
  textOf,
  touching,
  turn,
} from "../../support/browser_example.ts";
import { itChromium } from "../../support/chromium.ts";
import { chatModel } from "../../support/models.ts";

/** The path of tales-chat on the page's server. */
const chatPath = chatModel.href.slice(chatModel.href.indexOf("/models/"));

const DOG = "Tell me a story about a dog named Rex who finds a ball.";
const GREETING = "Hello! Who are you?";

interface Said {
  readonly pieces: readonly ChatPiece[];
  readonly text: string;
  readonly finishReason: string;
}

/** What tales-chat answers here to the last of some messages. */
async function answerHere(
  messages: readonly Message[],
  options: SendOptions,
  system?: string,
): Promise<Said> {
  await using llama = await Llama.load(chatModel, { threads: 1 });
  using chat = llama.chat({ messages: messages.slice(0, -1), ...(system && { system }) });
  const answers = chat.send(messages.at(-1) as Message, options);
  const pieces: ChatPiece[] = [];
  for (;;) {
    const { done, value } = await answers.next();
    if (done) return { pieces, text: value.text, finishReason: value.finishReason };
    pieces.push(value);
  }
}

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });

describe("the browser example", () => {
  for (const isolated of [true, false]) {
    const threads = isolated ? 2 : 1;
    itChromium(`answers as tales-chat does here, in ${isolated ? "two threads" : "one thread"}`, async () => {
      await inExample({ isolated }, async ({ page, requests }) => {
        const about = isolated
          ? /isolated: the engine can use several/
          : /not cross-origin isolated: .* one thread/;
        assert.match(await textOf(page, "#isolation"), about);
        assert.equal(await page.locator("#threads").isDisabled(), !isolated);
        const options = { temperature: 0.7, topP: 0.9, seed: 5, maxTokens: 80 };
        const system = "You are Rose, a storyteller.";
        await set(page, { ...options, system, ...(isolated && { threads }) });

        // The first message is sent by a click on a suggestion, while the model may still be loading.
        await page.getByRole("button", { name: DOG }).click();
        assert.match(await settled(page), /^(Done|Cut)\./);
        const first = await answerHere([user(DOG)], options, system);
        assert.equal(await turn(page, 1).said(), DOG);
        assert.equal(await turn(page, 1).answer(), first.text);
        assert.match(
          await turn(page, 1).meta(),
          new RegExp(`^${first.pieces.length} tokens · [\\d,]+ tokens/s · seed 5`),
        );

        await say(page, GREETING);
        const second = await answerHere([user(DOG), assistant(first.text), user(GREETING)], options, system);
        assert.equal(await turn(page, 2).answer(), second.text);
        assert.match(await textOf(page, "#status"), /^(Done|Cut)\. \d+ of 512 tokens used\.$/);
        // Screen readers hear a whole answer once, not its tokens.
        assert.equal(await textOf(page, "#spoken"), second.text);

        // Loaded once, from one script: there is no WebAssembly file that could be missing.
        const paths = requests.filter((url) => url.startsWith("http")).map((url) => new URL(url).pathname);
        assert.ok(!paths.some((path) => path.endsWith(".wasm")));
        assert.equal(paths.filter((path) => path === "/dist/cria.js").length, 1);
        // Other threads than at first: once more.
        assert.ok(paths.filter((path) => path === chatPath).length <= 2);
      });
    });
  }

  itChromium("stops by its button and by Escape, and goes on from what was said", async () => {
    await inExample({ files: await endless() }, async ({ page }) => {
      const options = { temperature: 0, maxTokens: 220 };
      const { text } = await answerHere([user(DOG)], options);
      const beginning = async (how: "button" | "Escape") => {
        await set(page, { ...options, seed: ENDLESS_SEED });
        assert.match(await stopped(page, DOG, how), /^Stopped\./);
        assert.match(await turn(page).meta(), /^\d+ tokens? · .*stopped$/);
        const said = await turn(page).answer();
        assert.ok(said !== "" && said.length < text.length && text.startsWith(said), said);
        return said;
      };
      for (const how of ["button", "Escape"] as const) {
        await beginning(how);
        // The same answer once more, to its end.
        await turn(page).press("Retry");
        await settled(page);
        assert.equal(await turn(page).answer(), text);
        await page.getByRole("button", { name: "New conversation" }).click();
      }
      const said = await beginning("button");
      await set(page, { maxTokens: 20, seed: ENDLESS_SEED + 1 });
      await say(page, "Go on.");
      const next = await answerHere([user(DOG), assistant(said), user("Go on.")], {
        temperature: 0,
        maxTokens: 20,
      });
      assert.equal(await turn(page, 2).answer(), next.text);
    });
  });

  itChromium("loads the model with other threads that are asked for while it is loading", async () => {
    await inExample({}, async ({ page, origin }) => {
      let first: Route | undefined;
      // The first answer to a request of the model comes when the second one is on its way.
      await page.route(origin + chatPath, async (route) => {
        if (!first) first = route;
        else await Promise.all([first.continue().catch(() => {}), route.continue()]);
      });
      const held = page.waitForRequest(origin + chatPath);
      await page.reload();
      await held;
      const others = Number(await page.locator("#threads").inputValue()) + 1;
      await set(page, { threads: others, temperature: 0, maxTokens: 20 });
      assert.match(await say(page, DOG), /^(Done|Cut)\./);
      const { text } = await answerHere([user(DOG)], { temperature: 0, maxTokens: 20 });
      assert.equal(await turn(page).answer(), text);
      assert.match(await turn(page).meta(), /^20 tokens/);
      assert.match(await say(page, GREETING), /^(Done|Cut)\./);
    });
  });

  itChromium("answers once more, and after an edit of an earlier message", async () => {
    await inExample({}, async ({ page }) => {
      const options = { temperature: 1, seed: 7, maxTokens: 40 };
      await set(page, options);
      await say(page, DOG);
      const first = await turn(page, 1).answer();
      await turn(page, 1).press("Retry");
      await settled(page);
      const again = await answerHere([user(DOG)], { ...options, seed: 8 });
      assert.notEqual(again.text, first);
      assert.equal(await turn(page, 1).answer(), again.text);
      assert.match(await turn(page, 1).meta(), /seed 8/);

      await say(page, GREETING);
      await say(page, "Thank you.");
      assert.equal(await page.locator(".turn").count(), 3);
      // Only the last answer can be another one.
      assert.equal(await turn(page, 2).element.locator(".retry").isVisible(), false);

      await turn(page, 2).element.hover();
      await turn(page, 2).press("Edit");
      const field = page.getByRole("textbox", { name: "Your message" });
      assert.equal(await field.inputValue(), GREETING);
      await field.press("Escape");
      assert.equal(await page.locator(".turn").count(), 3);
      await turn(page, 2).element.hover();
      await turn(page, 2).press("Edit");
      await field.fill("What is the dog called?");
      await field.press("Enter");
      await settled(page);
      assert.equal(await page.locator(".turn").count(), 2);
      assert.equal(await turn(page, 2).said(), "What is the dog called?");
      const edited = await answerHere(
        [user(DOG), assistant(again.text), user("What is the dog called?")],
        options,
      );
      assert.equal(await turn(page, 2).answer(), edited.text);
    });
  });

  itChromium("shows the alternatives of a token on a click, and of all by a button", async () => {
    await inExample({}, async ({ page }) => {
      const options = { temperature: 1, topK: 0, topP: 1, seed: 5, maxTokens: 40 };
      await set(page, options);
      await say(page, DOG);
      const { pieces } = await answerHere([user(DOG)], { ...options, logprobs: 5 });
      const panel = page.locator("#alternatives");
      const { element, token, press } = turn(page);
      const shown = async (index: number) => {
        await element.locator(`.tokens .current[data-index="${index}"]`).waitFor();
        const { id, logprob, alternatives } = pieces[index] as ChatPiece;
        const ids = alternatives.map((other) => other.id);
        const there = await panel
          .locator("tbody tr")
          .evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset.id)));
        assert.deepEqual(there, ids.includes(id as number) ? ids : [...ids, id], `token ${index}`);
        const chosen = panel.locator("tr.chosen");
        assert.equal(await chosen.getAttribute("data-id"), String(id));
        const percent = Number.parseFloat((await chosen.locator("td").textContent()) ?? "");
        assert.ok(Math.abs(percent / 100 / Math.exp(logprob) - 1) < 0.06, `token ${index}`);
      };
      // Plain text: a pointer that passes opens nothing, a click does.
      await token(7).hover();
      await element.locator('.token[data-index="7"]:hover').waitFor();
      assert.equal(await panel.isVisible(), false);
      await token(7).click();
      await shown(7);
      await page.keyboard.press("Escape");
      await panel.waitFor({ state: "hidden" });
      assert.equal(await element.locator("[role=option]").count(), 0);

      await press("Probabilities");
      for (const index of [1, 7, 39]) {
        // What is open may lie over the next one.
        await page.locator("h1").hover();
        await panel.waitFor({ state: "hidden" });
        await token(index).hover();
        await shown(index);
        assert.match((await token(index).getAttribute("aria-label")) ?? "", /., [\d.]+%$/);
      }
      const unlikely = pieces.filter(({ logprob }) => Math.exp(logprob) < 0.3).length;
      assert.equal(await element.locator('.token:not([data-band="0"])').count(), unlikely);
      await page.locator("h1").hover();
      await panel.waitFor({ state: "hidden" });

      const list = element.locator(".tokens");
      await page.keyboard.press("Shift+Tab");
      for (let i = 0; i < 5 && !(await list.evaluate((list) => list === document.activeElement)); i++) {
        await page.keyboard.press("Shift+Tab");
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
        await shown(index);
        const id = await token(index).getAttribute("id");
        assert.equal(await list.getAttribute("aria-activedescendant"), id);
        assert.equal(await element.locator('[aria-selected="true"]').getAttribute("id"), id);
      }
      await press("Probabilities");
      await panel.waitFor({ state: "hidden" });
      assert.equal(await element.locator("[role=option], [role=listbox]").count(), 0);
    });
  });

  itChromium("sends by Enter, breaks lines by Shift+Enter, and waits for input methods", async () => {
    await inExample({}, async ({ page }) => {
      await set(page, { temperature: 0, maxTokens: 4 });
      const message = page.locator("#message");
      await message.fill("Hello!");
      const height = async () => (await message.boundingBox())?.height ?? 0;
      const low = await height();
      await message.press("Shift+Enter");
      await message.pressSequentially("Who are you?");
      assert.equal(await message.inputValue(), "Hello!\nWho are you?");
      assert.ok((await height()) > low + 10, "the field grows");
      await message.evaluate((field) =>
        field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true })),
      );
      assert.equal(await page.locator(".turn").count(), 0);
      await message.press("Enter");
      await settled(page);
      assert.equal(await turn(page).said(), "Hello!\nWho are you?");
      assert.equal(await message.inputValue(), "");
      assert.equal(await message.evaluate((field) => field === document.activeElement), true);
      // Nothing is nothing to answer.
      await message.fill("  \n ");
      await message.press("Enter");
      assert.equal(await page.locator(".turn").count(), 1);
      // With something wrong in the settings it asks for that.
      await set(page, { temperature: -1 });
      await message.fill("Hello!");
      await message.press("Enter");
      await page.locator("#temperature").waitFor();
      assert.equal(await page.locator(".turn").count(), 1);
    });
  });

  itChromium("takes what is said and answered as text, whatever it says", async () => {
    await inExample({}, async ({ page }) => {
      await set(page, { temperature: 0, maxTokens: 12 });
      const evil = '<img src=x onerror="document.title = 1">\n</s><b>User</b>';
      await say(page, evil);
      assert.equal(await turn(page).said(), evil);
      assert.equal(await page.locator("#conversation :is(img, b)").count(), 0);
      assert.equal(await page.title(), "cria in the browser");
      const { text } = await answerHere([user(evil)], { temperature: 0, maxTokens: 12 });
      assert.equal(await turn(page).answer(), text);
    });
  });

  itChromium("says which turns the model does not remember when its context is full", async () => {
    await inExample({}, async ({ page }) => {
      await set(page, { temperature: 0, maxTokens: 150 });
      for (let i = 0; i < 4; i++) await say(page, DOG);
      const forgotten = await page.locator(".turn.forgotten").count();
      assert.ok(forgotten > 0 && forgotten < 4, `${forgotten} turns`);
      assert.equal(await page.locator(".turn.forgotten + .border").count(), 1);
      assert.equal(await turn(page).error(), "");
    });
  });

  itChromium("keeps the end of an answer in view on a phone, with Stop in reach of a thumb", async () => {
    await inExample({ ...phone }, async ({ page }) => {
      const isSeen = (selector: string) =>
        page.locator(selector).evaluate((element) => {
          const { top, bottom } = element.getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        });
      assert.equal(await isSeen("#send"), true, "before it answers");
      await set(page, { temperature: 0.8, seed: 7, maxTokens: 200 });
      await page.evaluate(() => {
        const conversation = document.querySelector("#conversation") as HTMLElement;
        const seen: boolean[] = [];
        const observer = new MutationObserver(() => {
          const last = conversation
            .querySelector(".turn:last-child .token:last-child")
            ?.getBoundingClientRect();
          const dock = document.querySelector("#dock")?.getBoundingClientRect();
          const stop = document.querySelector("#stop")?.getBoundingClientRect();
          if (!last || !dock || !stop || stop.width === 0) return;
          seen.push(
            last.top >= 0 && last.bottom <= dock.top + 1 && stop.bottom <= innerHeight && stop.width >= 40,
          );
        });
        observer.observe(conversation, { childList: true, subtree: true });
        Object.assign(globalThis, { seen });
      });
      await say(page, DOG);
      await say(page, DOG);
      const seen = await page.evaluate(() => (globalThis as unknown as { seen: boolean[] }).seen);
      assert.ok(seen.length > 0);
      assert.ok(seen.every(Boolean), `${seen}`);

      const panel = page.locator("#alternatives");
      const tap = touching(page);
      for (const index of [3, 11, 17]) {
        const selector = `.turn:last-child .token[data-index="${index}"]`;
        await page.locator(selector).scrollIntoViewIfNeeded();
        await tap(selector);
        assert.equal(await panel.isVisible(), true, `token ${index}`);
        const box = await panel.boundingBox();
        assert.ok(box && box.x >= 0 && box.x + box.width <= 390, `token ${index}`);
        // A tap into the panel leaves it, one beside it closes it.
        await tap("#alternatives caption");
        assert.equal(await panel.isVisible(), true);
        await tap("h1");
        assert.equal(await panel.isVisible(), false);
      }
    });
  });
});
