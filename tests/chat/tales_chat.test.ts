// The embedded chat model says what its reference says, by the template in its file: prompts, their ids, and greedy answers.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Llama, type LoadOptions, type Message } from "../../src/mod.ts";
import { chatModel } from "../support/models.ts";
import { itOn, sharedJson } from "../support/shared.ts";

interface Case {
  readonly name: string;
  readonly messages: readonly Message[];
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly default: Greedy;
  readonly f32: Greedy;
}

interface Greedy {
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
}

const hello: Greedy = {
  greedy_ids: [
    361, 3933, 4044, 1834, 381, 320, 849, 325, 261, 1299, 4054, 424, 1043, 754, 313, 306, 315, 4054, 2,
  ],
  greedy_text: "Hello! Shall I tell you a story? Who should be in it?",
};

/** One of the reference's cases. */
const own: Case = {
  name: "hello",
  messages: [{ role: "user", content: "Hello!" }],
  prompt: "<s>User: Hello!\nTales:",
  prompt_ids: [1, 1552, 2351, 4069, 361, 3933, 4044, 13, 4039, 4016, 955, 4069],
  default: hello,
  f32: hello,
};

const reference = "models/tales-chat/expected.json";
const subjects = [
  { name: "a greeting", value: () => [own] },
  { name: "its reference", needs: [reference], value: () => sharedJson<{ cases: Case[] }>(reference).cases },
];
const precisions: readonly (readonly ["default" | "f32", LoadOptions])[] = [
  ["default", {}],
  ["f32", { precision: "f32" }],
];

describe("tales-chat", () => {
  for (const [precision, options] of precisions) {
    itOn(
      subjects,
      `has the prompts, ids and greedy answers of its reference, ${precision}`,
      async (cases) => {
        await using llama = await Llama.load(chatModel, { threads: 1, ...options });
        for (const { name, messages, prompt, prompt_ids, [precision]: greedy } of cases()) {
          const rendered = llama.template.render(messages);
          assert.deepEqual([rendered.text, rendered.ids], [prompt, prompt_ids], name);
          using chat = llama.chat({ messages });
          const { ids, text } = await chat.ask([], { temperature: 0, maxTokens: 48 });
          assert.deepEqual([ids, text], [greedy.greedy_ids, greedy.greedy_text], name);
        }
      },
    );
  }
});
