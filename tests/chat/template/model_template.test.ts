// `llama.template`: where a model's template comes from, and which ids messages become.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LoadOptions } from "../../../src/api/load_options.ts";
import { ModelTemplate } from "../../../src/chat/template/model_template.ts";
import { Llama, Tokenizer } from "../../../src/mod.ts";
import type { Message } from "../../../src/session/messages.ts";
import { FormatError, UnsupportedError, UsageError } from "../../../src/util/errors.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { type GgufValue, meta, tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { refused } from "../../support/refused.ts";
import { tinyFolder } from "../../support/safetensors_writer.ts";
import { itShared, sharedJson, sharedPath } from "../../support/shared.ts";

const chat = "{% for m in messages %}{{ bos_token }}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}";
const withTools = "tools:{% for t in tools %} {{ t.function.name }}{% endfor %}";
const hello: Message[] = [{ role: "user", content: "hi" }];
const tools = [{ type: "function" as const, function: { name: "f" } }];
const greedy = { temperature: 0, maxTokens: 6, ignoreEos: true, logprobs: false };

async function tiny(templates: Record<string, string>, options: LoadOptions = {}): Promise<Llama> {
  const metadata: Record<string, GgufValue> = {};
  for (const [name, source] of Object.entries(templates)) {
    metadata[`tokenizer.chat_template${name && `.${name}`}`] = meta("string", source);
  }
  return Llama.load(tinyLlamaGguf({ metadata }).bytes, { threads: 1, ...options });
}

async function folder(files: Record<string, unknown>, options: LoadOptions = {}): Promise<Llama> {
  const bytes = (value: unknown) =>
    new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  const own = Object.entries(files).map(([name, value]) => [name, bytes(value)] as const);
  return Llama.load(Object.fromEntries([...tinyFolder(), ...own]), { threads: 1, ...options });
}

describe("ModelTemplate.render()", () => {
  // Each with a token that ends texts.
  for (const name of ["bpe.model", "bpe.gguf", "gpt2.gguf", "bpe.tokenizer.json", "gpt2.tokenizer.json"]) {
    it(`leaves special tokens in contents text: ${name}`, async () => {
      const tokenizer = await Tokenizer.load(fixturePath(name));
      const id = tokenizer.eosIds[0] ?? tokenizer.encode("<|endoftext|>", { special: true })[0] ?? 0;
      const special = tokenizer.piece(id);
      const half = special.slice(1, -1);
      const template = new ModelTemplate(
        {
          name: "m",
          main: "{{ eos_token }}{{ messages[0].content }}{{ eos_token }}",
          withTools: undefined,
        },
        tokenizer,
        { bosToken: undefined, eosToken: special },
      );
      const ends = { bos: false, eos: false };
      for (const content of [
        "",
        "Once upon a time",
        `a ${special} b`,
        special + special,
        `${half}>`,
        ` ${special}`,
      ]) {
        const ids = template.render([{ role: "user", content }]).ids;
        // The template writes no BOS, and gets one if texts have one.
        if (tokenizer.encode("")[0] === tokenizer.bosId && tokenizer.bosId !== undefined) {
          assert.equal(ids.shift(), tokenizer.bosId);
        }
        assert.deepEqual(ids, [id, ...tokenizer.encode(content, ends), id], JSON.stringify(content));
      }
      // A token that template and content make together is none.
      const [first, ...rest] = special;
      const joined = new ModelTemplate(
        { name: "m", main: `{{ '${first}' }}{{ messages[0].content }}`, withTools: undefined },
        tokenizer,
        {},
      );
      const { ids } = joined.render([{ role: "user", content: rest.join("") }]);
      assert.ok(!ids.slice(1).includes(id) && ids[0] !== id);
    });
  }

  it("takes what stands between two special tokens as one text", async () => {
    const llama = await tiny({ "": "{{ bos_token }}the {{ messages[0].content }}nd{{ eos_token }}" });
    const { text, ids } = llama.template.render([{ role: "user", content: "a" }]);
    assert.equal(text, "<s>the and</s>");
    assert.deepEqual(ids, [1, ...llama.tokenizer.encode("the and", { bos: false }), 2]);
    llama.dispose();
  });

  it("puts BOS before a prompt that has none, and never a second one", async () => {
    for (const source of ["x", "{{ bos_token }}x"]) {
      const llama = await tiny({ "": source });
      assert.deepEqual(llama.template.render(hello).ids, llama.tokenizer.encode("x"));
      llama.dispose();
    }
  });

  it("passes tools, variables, the date and what ends the prompt", async () => {
    const source =
      "{{ tools[0].function.name }} {{ enable_thinking }} {{ strftime_now('%Y') }} {{ messages[0].content }} {{ add_generation_prompt }}";
    const llama = await tiny({ "": source });
    const { text } = llama.template.render(hello, {
      tools,
      variables: { enable_thinking: false },
      now: new Date("2001-05-05"),
      addGenerationPrompt: false,
    });
    assert.equal(text, "f False 2001 hi False");
    assert.equal(llama.template.render(hello, { continueFinalMessage: true, tools }).text.slice(-2), "hi");
    for (const options of [
      { tool: tools },
      { variables: { tools } },
      { variables: null },
      { now: "today" },
    ]) {
      assert.throws(() => llama.template.render(hello, options as never), UsageError);
    }
    llama.dispose();
  });

  it("refuses messages that are none, naming the place", async () => {
    const llama = await tiny({ "": chat });
    const call = (more: object) => [
      { role: "assistant", tool_calls: [{ function: { name: "f", ...more } }] },
    ];
    for (const [messages, message] of [
      [[], /at least one message/],
      ["hi", /messages to be an array of messages, got "hi"/],
      [[...hello, 7], /messages\[1\] to be an object, got 7/],
      [[{ content: "x" }], /messages\[0\]\.role to be a text, got undefined/],
      [
        [{ role: "user", content: 7 }],
        /messages\[0\]\.content to be a text, null, or an array of parts, got 7/,
      ],
      [
        [{ role: "user", content: [{ type: "image_url" }] }],
        /messages\[0\]\.content\[0\]\.type to be "text"/,
      ],
      [[{ role: "user", content: [{ type: "text" }] }], /messages\[0\]\.content\[0\]\.text to be a text/],
      [[{ role: "user" }], /messages\[0\]\.content to be a text or an array of parts, got undefined/],
      [[...hello, { role: "tool", content: null }], /messages\[1\]\.content to be a text or .*, got null/],
      [[{ role: "system", content: undefined }], /messages\[0\]\.content to be a text or/],
      [[{ role: "assistant", tool_calls: {} }], /messages\[0\]\.tool_calls to be an array of calls/],
      [[{ role: "assistant", tool_calls: [{}] }], /tool_calls\[0\]\.function to be an object/],
      [call({ name: 7 }), /tool_calls\[0\]\.function\.name to be a text/],
      [call({ arguments: "{" }), /tool_calls\[0\]\.function\.arguments to be JSON of an object, got "{"/],
      [call({ arguments: "[1]" }), /tool_calls\[0\]\.function\.arguments to be an object, got an array/],
    ] as const) {
      assert.throws(
        () => llama.template.render(messages as never),
        (error: Error) => error instanceof UsageError && message.test(error.message),
        String(message),
      );
    }
    // Calls alone, and what roles of a template's own have, are no content.
    for (const message of [{ role: "assistant", tool_calls: [] }, { role: "documents" }]) {
      assert.ok(llama.template.render([...hello, message] as never).ids.length > 0);
    }
    assert.throws(
      () => llama.template.render(hello, { tools: [{}] as never }),
      /tools\[0\]\.function to be an object/,
    );
    llama.dispose();
  });

  it("joins content parts, and reads arguments of calls", async () => {
    const source = "{{ messages[0].content }}|{{ messages[1].tool_calls[0].function.arguments.a }}";
    const llama = await tiny({ "": source });
    const { text } = llama.template.render([
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      { role: "assistant", content: null, tool_calls: [{ function: { name: "f", arguments: '{"a": 5}' } }] },
    ]);
    assert.equal(text, "a\nb|5");
    llama.dispose();
  });

  it("writes numbers in arguments of calls as the model did", async () => {
    const json = '{"a": 2.0, "b": -0.5, "c": 1e20, "d": 12345678901234567890, "e": "2.0", "f": [3]}';
    const llama = await tiny({ "": "{{ messages[0].tool_calls[0].function.arguments | tojson }}" });
    const { text } = llama.template.render([
      { role: "assistant", content: "", tool_calls: [{ function: { name: "f", arguments: json } }] },
    ]);
    assert.equal(text, json.replace("1e20", "1e+20"));
    llama.dispose();
  });

  it("gives arguments as texts, and no tools as an empty list, to templates that fail otherwise", async () => {
    const call: Message[] = [
      { role: "assistant", content: "", tool_calls: [{ function: { name: "f", arguments: '{"a":1}' } }] },
    ];
    const llama = await tiny({
      "": "{% for t in tools %}{% endfor %}{{ 'call ' + messages[0].tool_calls[0].function.arguments }}",
    });
    assert.equal(llama.template.render(call).text, 'call {"a":1}');
    assert.equal(llama.template.render(call, { tools }).text, 'call {"a":1}');
    llama.dispose();
  });
});

describe("the template of a model", () => {
  it("is the file's own, and another one for tools if it has one", async () => {
    const llama = await tiny({ "": chat, tool_use: withTools, other: "other" });
    assert.equal(llama.template.source, chat);
    assert.equal(llama.template.render(hello).text, "<s>user: hi</s>");
    assert.equal(llama.template.render(hello, { tools: [] }).text, "<s>user: hi</s>");
    assert.equal(llama.template.render(hello, { tools }).text, "tools: f");
    llama.dispose();
  });

  it("is the one that chatTemplate names, or its text", async () => {
    for (const [chatTemplate, expected] of [
      ["tool_use", "tools: f"],
      ["other", "other"],
      ["own {{ messages[0].content }}", "own hi"],
    ] as const) {
      const llama = await tiny({ "": chat, tool_use: withTools, other: "other" }, { chatTemplate });
      assert.equal(llama.template.render(hello, { tools }).text, expected);
      llama.dispose();
    }
    await refused(
      tiny({ "": chat, x: "x" }, { chatTemplate: "chatml" }),
      /a name that the model has \("default", "x"\)/,
      UsageError,
    );
    await refused(tiny({}, { chatTemplate: "{% if %}" }), /Line 1: /, FormatError);
    await refused(
      tiny({}, { chatTemplate: 7 as never }),
      /with chatTemplate 7: Expected a template.s text or name/,
      UsageError,
    );
  });

  it("of a folder is in chat_template.jinja, chat_template.json or tokenizer_config.json", async () => {
    const named = [
      { name: "default", template: "d" },
      { name: "tool_use", template: withTools },
    ];
    for (const [files, expected, expectedWithTools = expected] of [
      [{ "tokenizer_config.json": { chat_template: "c" } }, "c"],
      [{ "tokenizer_config.json": { chat_template: named } }, "d", "tools: f"],
      [{ "chat_template.json": { chat_template: "j" } }, "j"],
      [{ "tokenizer_config.json": { chat_template: "c" }, "chat_template.jinja": "file" }, "file"],
      [
        { "tokenizer_config.json": { bos_token: "<s>", eos_token: { content: "!" }, chat_template: chat } },
        "<s>user: hi!",
      ],
    ] as const) {
      const llama = await folder(files);
      assert.equal(llama.template.render(hello).text, expected);
      assert.equal(llama.template.render(hello, { tools }).text, expectedWithTools);
      llama.dispose();
    }
    await refused(
      folder({ "tokenizer_config.json": { chat_template: 7 } }),
      /Expected chat_template to be a string, got 7/,
    );
  });

  it("that is none is an error that says what to do, also of prompts", async () => {
    const llama = await tiny({});
    assert.equal(llama.template.source, undefined);
    assert.equal(llama.template.format, undefined);
    const message = /has no chat template: it is a base model.*chatTemplate, --chat-template FILE/;
    assert.throws(
      () => llama.template.render(hello),
      (error: Error) => error instanceof UnsupportedError && message.test(error.message),
    );
    await refused(llama.complete(hello), message, UnsupportedError);
    llama.dispose();
  });

  it("that is broken is an error when it is needed, and not before", async () => {
    const llama = await tiny({ "": "\n{% if %}" });
    assert.throws(() => llama.template.render(hello), /Cannot read the chat template: Line 2: /);
    await llama.complete("a", greedy);
    llama.dispose();
  });
});

describe("messages as a prompt", () => {
  it("give what the ids of the template give", async () => {
    const llama = await tiny({ "": chat });
    const { ids } = llama.template.render(hello);
    const expected = await llama.complete(ids, greedy);
    const { ids: got, usage } = await llama.complete(hello, greedy);
    assert.deepEqual(got, expected.ids);
    assert.equal(usage.promptTokens, ids.length);
    llama.dispose();
  });

  it("keep of a session what it has in common with them, and forget the rest", async () => {
    const llama = await tiny({ "": chat });
    const conversation: Message[] = [...hello];
    using session = llama.session();
    for (const content of ["one", "two", "three"]) {
      const { text } = await session.complete(conversation, greedy);
      conversation.push({ role: "assistant", content: text }, { role: "user", content });
      const before = session.ids;
      const { ids } = llama.template.render(conversation);
      const common = ids.findIndex((id, i) => id !== before[i]);
      const fresh = await llama.complete(conversation, greedy);
      const again = await session.complete(conversation, greedy);
      assert.deepEqual(again.ids, fresh.ids);
      assert.deepEqual(session.ids.slice(0, ids.length), ids);
      assert.equal(again.usage.promptTokens, ids.length);
      assert.ok(common > 0);
    }
    // Shorter than what the session has.
    const fresh = await llama.complete(hello, greedy);
    assert.deepEqual((await session.complete(hello, greedy)).ids, fresh.ids);
    await session.append(conversation);
    assert.deepEqual(session.ids, llama.template.render(conversation).ids);
    llama.dispose();
  });

  it("are refused by perplexity, which says what to give", async () => {
    const llama = await tiny({ "": chat });
    await refused(llama.perplexity(hello), /llama\.template\.render\(messages\)/, UnsupportedError);
    llama.dispose();
  });
});

describe("tales-chat", () => {
  const files = ["expected.json", "tales-chat-q8_0.gguf"].map((name) => `models/tales-chat/${name}`);
  itShared(files, "has the prompts and the greedy ids of its reference", async () => {
    const { cases } = sharedJson<{
      cases: {
        name: string;
        messages: Message[];
        prompt: string;
        prompt_ids: number[];
        f32: { greedy_ids: number[] };
      }[];
    }>(files[0] as string);
    const llama = await Llama.load(sharedPath(files[1] as string), { precision: "f32" });
    for (const { name, messages, prompt, prompt_ids, f32 } of cases) {
      assert.deepEqual(llama.template.render(messages), { text: prompt, ids: prompt_ids }, name);
      const { ids } = await llama.complete(messages, { temperature: 0, maxTokens: 48 });
      assert.deepEqual(ids, f32.greedy_ids, name);
    }
    llama.dispose();
  });
});
