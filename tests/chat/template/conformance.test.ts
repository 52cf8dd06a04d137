// Chat templates that models ship, and Jinja's language, beside what Python's jinja2 writes (facts in ../shared).
import assert from "node:assert/strict";
import { describe } from "node:test";
import { ChatTemplate } from "../../../src/chat/template/chat_template.ts";
import type { Message, Tool } from "../../../src/session/messages.ts";
import { CriaError } from "../../../src/util/errors.ts";
import { itShared, sharedJson } from "../../support/shared.ts";

interface Case {
  readonly template: string;
  readonly expected?: string;
}
interface Conversation {
  readonly name: string;
  readonly messages: Message[];
  readonly tools?: Tool[];
  readonly add_generation_prompt: boolean;
}

const hello: Message[] = [{ role: "user", content: "x" }];

// What jinja2 refuses and is rendered here: lists may be changed; no tools are an empty list, and arguments of calls are
// texts, for templates that fail otherwise.
const rendered = [
  "Kimi-K2-Instruct",
  "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
  "meetkai-functionary-medium-v3.2",
];
// Templates of which llama.cpp changes the messages (a system message becomes a part of the user's, contents are trimmed).
const changedByLlamaCpp = 8;

describe("chat templates", () => {
  itShared(["conformance/jinja.json"], "write what jinja2 writes: 180 cases of the language, no gap", () => {
    const { cases } = sharedJson<{ cases: (Case & { vars: Record<string, unknown> })[] }>(
      "conformance/jinja.json",
    );
    assert.ok(cases.length >= 180);
    for (const { template, vars, expected } of cases) {
      assert.equal(new ChatTemplate(template).render(hello, vars), expected, template);
    }
  });

  itShared(["conformance/jinja.json"], "that are hostile end with a typed error or a harmless text", () => {
    const { hostile } = sharedJson<{ hostile: { templates: (Case & { name: string })[] } }>(
      "conformance/jinja.json",
    );
    assert.ok(hostile.templates.length >= 9);
    for (const { name, template } of hostile.templates) {
      try {
        assert.ok(new ChatTemplate(template).render(hello).length < 100, name);
      } catch (error) {
        assert.ok(error instanceof CriaError, `${name}: ${error}`);
      }
    }
  });

  itShared(["conformance/chat_renders.json"], "of 25 models write 9 conversations as jinja2 does", () => {
    const { templates, conversations, cases } = sharedJson<{
      templates: Record<string, string>;
      conversations: Conversation[];
      cases: (Case & { conversation: string; raises?: boolean })[];
    }>("conformance/chat_renders.json");
    assert.ok(cases.length >= 225);
    const workarounds = new Set<string>();
    for (const { template, conversation: name, expected, raises } of cases) {
      const conversation = conversations.find((other) => other.name === name) as Conversation;
      const { messages, tools, add_generation_prompt: addGenerationPrompt } = conversation;
      const render = () =>
        new ChatTemplate(templates[template] as string, { bosToken: "<BOS>", eosToken: "<EOS>" }).render(
          messages,
          { tools, addGenerationPrompt, enable_thinking: true, now: new Date("2026-01-02T03:04:05Z") },
        );
      if (!raises) assert.equal(render(), expected, `${template}, ${name}`);
      else if (!rendered.includes(template)) assert.throws(render, CriaError, `${template}, ${name}`);
      else {
        workarounds.add(template);
        const last = messages.at(-1)?.content as string;
        assert.ok(render().includes(last.trim()), `${template}, ${name}`);
      }
    }
    assert.deepEqual([...workarounds].sort(), rendered);
  });

  itShared(
    ["conformance/llamacpp_chat_templates.json"],
    "of llama.cpp's tests are written as they stand",
    () => {
      const { messages, cases } = sharedJson<{
        messages: Message[];
        cases: (Case & {
          name: string;
          bos_token: string;
          eos_token: string;
          expected_jinja: string;
          plain_jinja_agrees: boolean;
        })[];
      }>("conformance/llamacpp_chat_templates.json");
      const plain = cases.filter((other) => other.plain_jinja_agrees);
      assert.equal(cases.length - plain.length, changedByLlamaCpp);
      for (const { name, template, bos_token: bosToken, eos_token: eosToken, expected_jinja } of plain) {
        assert.equal(
          new ChatTemplate(template, { bosToken, eosToken }).render(messages),
          expected_jinja,
          name,
        );
      }
    },
  );
});
