// Conversations: what is computed again, what stays of an answer that was left, saving, forks, tools, a full context.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Chat, type ChatAnswer, type ChatOptions, Llama, type Message } from "../../src/mod.ts";
import { chatModel, embeddedModel } from "../support/models.ts";

const llama = await Llama.load(chatModel, { threads: 1 });
const greedy = { temperature: 0 };

/** What a chat with no memory answers to the same history: the whole prompt is computed. */
async function afresh(chat: Chat, options = greedy): Promise<string> {
  using other = llama.chat({ messages: chat.messages });
  return (await other.ask([], options)).text;
}

async function streamed(answers: AsyncGenerator<unknown, ChatAnswer>): Promise<[string[], ChatAnswer]> {
  const texts: string[] = [];
  for (;;) {
    const { done, value } = await answers.next();
    if (done) return [texts, value];
    texts.push(String(value));
  }
}

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });

describe("llama.chat()", () => {
  it("streams what ask() gives, without the space that the first word brings", async () => {
    using chat = llama.chat();
    const [texts, answer] = await streamed(chat.send("Hello!", greedy));
    assert.equal(texts.join(""), answer.text);
    assert.match(answer.text, /^Hello!/);
    assert.equal(answer.finishReason, "eos");
    assert.deepEqual(chat.messages, [user("Hello!"), assistant(answer.text)]);
    using other = llama.chat();
    assert.deepEqual((await other.ask("Hello!", greedy)).ids, answer.ids);
  });

  it("computes only what is new of a second turn, and answers as if it had computed all", async () => {
    using chat = llama.chat({ system: "You are Rose, a storyteller." });
    const first = await chat.ask("Tell me a story about a cat.", greedy);
    assert.equal(first.usage.cachedTokens, 0);
    chat.messages.push(user("not mine"));
    const messages = [...chat.messages, user("Who was the story about?")];
    const second = await chat.ask("Who was the story about?", greedy);
    const { ids } = llama.template.render(messages);
    assert.equal(second.usage.promptTokens, ids.length);
    // All but the end of the first answer, which was drawn and not computed, and the new message.
    const prompt = first.usage.promptTokens + first.usage.generatedTokens - 1;
    assert.equal(second.usage.cachedTokens, prompt);
    using other = llama.chat({ messages });
    const lone = await other.ask([], greedy);
    assert.deepEqual([lone.ids, lone.usage.cachedTokens], [second.ids, 0]);
  });

  it("has a limit that suits the model, and takes another", async () => {
    using chat = llama.chat();
    const long = await chat.ask("Tell me a story.", { ...greedy, ignoreEos: true });
    assert.deepEqual([long.finishReason, long.usage.generatedTokens], ["length", 220]);
    using other = llama.chat();
    assert.equal((await other.ask("Tell me a story.", { ...greedy, maxTokens: 3 })).ids.length, 3);
  });

  it("takes what was said before, and its system's message can change", async () => {
    using chat = llama.chat({
      system: "You are Rose, a storyteller.",
      messages: [user("Hello!"), assistant("Hi!")],
    });
    assert.equal(chat.messages.length, 3);
    assert.match((await chat.ask("Who are you?", greedy)).text, /Rose/);
    chat.system = "You are Anna, a storyteller.";
    assert.equal(chat.undo().length, 2);
    assert.match((await chat.ask("Who are you?", greedy)).text, /Anna/);
    chat.system = undefined;
    assert.equal(chat.messages[0]?.role, "user");
    assert.equal(chat.system, undefined);
  });

  it("knows its system's message if that is in parts", () => {
    const parts = ["You are Rose,", " a storyteller."].map((text) => ({ type: "text" as const, text }));
    using chat = llama.chat({ messages: [{ role: "system", content: parts }, user("Hello!")] });
    assert.equal(chat.system, "You are Rose, a storyteller.");
  });

  it("undoes and retries", async () => {
    using chat = llama.chat();
    const { text } = await chat.ask("Hello!", greedy);
    await chat.ask("Tell me a story.", { ...greedy, maxTokens: 8 });
    const [, again] = await streamed(chat.retry({ ...greedy, maxTokens: 5 }));
    assert.equal(again.ids.length, 5);
    assert.equal(chat.messages.length, 4);
    assert.deepEqual(chat.messages[3], assistant(again.text));
    assert.deepEqual(chat.undo(), [user("Tell me a story."), assistant(again.text)]);
    assert.deepEqual(chat.messages, [user("Hello!"), assistant(text)]);
    chat.undo();
    assert.deepEqual([chat.undo(), chat.messages], [[], []]);
    await assert.rejects(chat.retry().next(), {
      name: "UsageError",
      message: "Cannot retry: Expected an answer as the last message, got none",
    });
  });

  it("forks: both go on apart, with the memory of what they share", async () => {
    using chat = llama.chat();
    await chat.ask("Hello!", greedy);
    using fork = chat.fork();
    const a = await chat.ask("Tell me a story about a dog.", { ...greedy, maxTokens: 20 });
    const b = await fork.ask("Tell me a story about a cat.", { ...greedy, maxTokens: 20 });
    assert.notEqual(a.text, b.text);
    assert.ok(b.usage.cachedTokens > 20);
    assert.equal(fork.messages.length, 4);
    fork.undo();
    assert.equal(await afresh(fork), (await fork.ask([], greedy)).text);
  });
});

describe("an answer that is left", () => {
  it("is what was said until then, after break, an abort and stopOnAbort", async () => {
    const texts: string[] = [];
    for (const how of ["break", "abort", "stopOnAbort"]) {
      using chat = llama.chat();
      const stop = new AbortController();
      let text = "";
      const stopOnAbort = how === "stopOnAbort";
      const answer = chat.send("Tell me a story about a cat.", {
        ...greedy,
        signal: stop.signal,
        stopOnAbort,
      });
      const read = async () => {
        for await (const piece of answer) {
          text += piece;
          if (text.length < 40) continue;
          if (how === "break") break;
          stop.abort(new Error("enough"));
        }
      };
      if (how === "abort") await assert.rejects(read(), { message: "enough" });
      else await read();
      assert.deepEqual(chat.messages.at(-1), assistant(text));
      const { usage } = await chat.ask("Thank you!", greedy);
      assert.ok(usage.cachedTokens > 25, `${how}: ${usage.cachedTokens}`);
      texts.push(text);
    }
    assert.equal(new Set(texts).size, 1);
  });

  it("leaves nothing behind if it ended before its first token", async () => {
    using chat = llama.chat({ messages: [user("Hello!"), assistant("Hi!")] });
    const before = chat.messages;
    const signal = AbortSignal.abort(new Error("no"));
    await assert.rejects(chat.ask("A story!", { signal }), { message: "no" });
    assert.equal((await chat.ask("A story!", { signal, stopOnAbort: true })).finishReason, "abort");
    await chat.ask("A story!", { maxTokens: 0 });
    await assert.rejects(chat.ask({ role: "critic", content: "A story!" }), {
      name: "UsageError",
      message: /tales-chat knows the roles system, user and assistant, not critic/,
    });
    assert.deepEqual(chat.messages, before);
  });

  it("keeps others from beginning one meanwhile", async () => {
    using chat = llama.chat();
    const answer = chat.send("Hello!", greedy);
    await answer.next();
    const busy = {
      name: "UsageError",
      message: /^Cannot \w+: Expected a chat that is idle, this one answers;/,
    };
    await assert.rejects(chat.ask("Hello?"), busy);
    assert.throws(() => chat.undo(), busy);
    assert.throws(() => chat.save(), busy);
    await answer.return(undefined as never);
    assert.equal(chat.messages.length, 2);
    await chat.ask("Hello?", greedy);
  });
});

describe("a chat whose context is full", () => {
  it("leaves out the oldest turns, says so, and answers as without them", async () => {
    const dropped: Message[] = [];
    const system = "You are Rose, a storyteller.";
    using chat = llama.chat({ system, onTrim: (messages) => dropped.push(...messages) });
    const said: Message[] = [];
    for (let i = 0; i < 6; i++) {
      const { message, usage } = await chat.ask(`Tell me a story about a cat named Cat${i}.`, greedy);
      said.push(user(`Tell me a story about a cat named Cat${i}.`), message);
      assert.ok(usage.promptTokens + 220 <= llama.contextLength);
    }
    assert.ok(dropped.length >= 4 && dropped.length % 2 === 0);
    assert.deepEqual([...dropped, ...chat.messages.slice(1)], said);
    assert.deepEqual(chat.messages[0], { role: "system", content: system });
    const answer = chat.messages.at(-1);
    chat.undo();
    using other = llama.chat({ messages: [...chat.messages, said.at(-2) as Message] });
    assert.deepEqual((await other.ask([], greedy)).message, answer);
  });

  it("refuses a message that fills it, and stays as it was", async () => {
    using chat = llama.chat();
    await chat.ask("Hello!", greedy);
    const before = chat.messages;
    await assert.rejects(chat.ask("long ".repeat(600)), {
      name: "ContextError",
      message: /^Cannot answer: Expected a prompt of at most 511 tokens, got \d+ for the last turn alone/,
    });
    assert.deepEqual(chat.messages, before);
    // One that leaves less room than usual is answered in what there is.
    const { finishReason, usage } = await chat.ask("long ".repeat(400), { ...greedy, ignoreEos: true });
    assert.equal(finishReason, "context");
    assert.ok(usage.promptTokens > 400);
  });
});

describe("chat.save()", () => {
  it("is gone on from by llama.restoreChat() with nothing to compute", async () => {
    using chat = llama.chat({ system: "You are Rose, a storyteller.", variables: { a: 1 } });
    await chat.ask("Tell me a story about a cat.", { ...greedy, maxTokens: 30 });
    const bytes = chat.save();
    using restored = llama.restoreChat(bytes);
    assert.deepEqual(restored.messages, chat.messages);
    const [a, b] = [await chat.ask("Go on.", greedy), await restored.ask("Go on.", greedy)];
    assert.deepEqual([a.ids, a.usage], [b.ids, b.usage]);
    assert.ok(b.usage.cachedTokens > 40);
  });

  it("refuses bytes that are damaged, cut, of a session, or hold no conversation", async () => {
    using chat = llama.chat({ messages: [user("Hello!")] });
    const bytes = chat.save();
    using session = llama.session();
    const changed = bytes.slice();
    changed[60] = (changed[60] as number) ^ 1;
    const newer = bytes.slice();
    newer[8] = 9;
    const long = bytes.slice();
    long.fill(0xff, 12, 16);
    for (const [wrong, message] of [
      [changed, "Cannot restore the chat: Expected bytes as they were saved"],
      [newer, "Cannot restore the chat: Expected version 1, got 9"],
      [long, "Cannot restore the chat: Expected at least 4294967343 bytes, got"],
      [bytes.slice(0, 20), "Cannot restore the chat: Expected the bytes of a chat, got others"],
      [bytes.slice(0, bytes.length - 9), "Cannot restore the session: "],
      [session.save(), "Cannot restore the chat: Expected the bytes of a chat, got others"],
      ["text", "Cannot restore the chat: Expected a Uint8Array, got string"],
    ] as const) {
      assert.throws(
        () => llama.restoreChat(wrong as Uint8Array),
        (error: Error) => error.name === "SnapshotError" && error.message.startsWith(message),
        message,
      );
    }
  });
});

describe("options of chats", () => {
  it("are refused if they are unknown or wrong", async () => {
    const wrong: readonly [unknown, RegExp][] = [
      [{ systm: "x" }, /Unknown option "systm"; did you mean system\?/],
      [{ system: 5 }, /Expected system to be a text, got 5/],
      [{ messages: {} }, /Expected messages to be an array of messages/],
      [{ messages: [user("a"), { content: "b" }] }, /Expected messages\[1\] to be an object with a role/],
      [
        { messages: [{ role: "assistant", tool_calls: 5 }] },
        /messages\[0\].tool_calls to be an array of .* got 5/,
      ],
      [
        { messages: [{ role: "assistant", tool_calls: [null] }] },
        /messages\[0\].tool_calls to be an array of/,
      ],
      [{ tools: [{ name: "f" }] }, /Expected tools\[0\] to be \{ type: "function"/],
      [{ variables: [] }, /Expected variables to be an object/],
      [{ now: new Date("x") }, /Expected now to be a valid Date/],
      [{ onTrim: true }, /Expected onTrim to be a function/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(() => llama.chat(options as ChatOptions), { name: "UsageError", message });
    }
    using chat = llama.chat();
    for (const [options, message] of [
      [{ maxToken: 1 }, /did you mean maxTokens\?/],
      [{ maxTokens: -1 }, /Expected maxTokens to be an integer of at least 0, got -1/],
      [{ special: true }, /Unknown option "special"; messages are text/],
      [null, /Expected an object of options, got null/],
    ] as const) {
      await assert.rejects(chat.send("x", options as object).next(), { name: "UsageError", message });
    }
    await assert.rejects(
      chat.send([5 as never]).next(),
      /Expected messages\[0\] to be an object with a role/,
    );
    assert.equal(String(chat), "Chat { messages: 0, pos: 0, contextLength: 512 }");
  });
});

describe("templates of chats", () => {
  it("are the model's or the caller's, and an error if there is none", async () => {
    await using tales = await Llama.load(embeddedModel, { threads: 1, contextLength: 64 });
    assert.throws(() => tales.chat(), {
      name: "UnsupportedError",
      message: /has no chat template: it is a base model/,
    });
    const template = "{{ start }}{{ messages[-1].content }}";
    using chat = tales.chat({ template, variables: { start: "Once " } });
    const few = { ...greedy, maxTokens: 8 };
    const { ids } = await chat.ask("upon a time", few);
    assert.deepEqual(ids, (await tales.complete("Once upon a time", few)).ids);
    using again = tales.restoreChat(chat.save());
    assert.deepEqual((await again.ask("upon a time", few)).ids, ids);
    assert.throws(() => tales.chat({ template: "tool_use" }), {
      name: "UsageError",
      message: /Expected the text of a template, or a name that the model has \(none\)/,
    });
    assert.throws(() => tales.chat({ template: "{% for" }), { name: "FormatError" });
  });
});
