// Chats whose model thinks and calls tools: a session in place of the model writes what it is told to.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerParser } from "../../src/chat/answer/answer_parser.ts";
import { AnswerBuilder } from "../../src/chat/answer_builder.ts";
import { Chat, type ChatSetup } from "../../src/chat/chat.ts";
import type { Message, Tool, ToolCallDelta } from "../../src/mod.ts";
import type { Completion, FinishReason, Piece } from "../../src/session/options.ts";
import type { Session } from "../../src/session/session.ts";

const tools: Tool[] = ["weather", "time"].map((name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { city: { type: "string" } } } },
}));

/** A chat whose model writes these answers, three characters a token. Prompts are collected. */
function chatOf(
  answers: readonly string[],
  { format = "hermes", end = "eos" as FinishReason, given = tools } = {},
) {
  const prompts: (readonly Message[])[] = [];
  const rest = [...answers];
  const session = {
    ids: [],
    pos: 0,
    cached: 0,
    rollback: () => {},
    dispose: () => {},
    async *generate(): AsyncGenerator<Piece, Completion> {
      const text = rest.shift() as string;
      const parts = text.match(/.{1,3}/gs) ?? [];
      for (const part of parts) yield { id: 1, text: part, logprob: Number.NaN, alternatives: [] };
      const usage = { promptTokens: 1, cachedTokens: 0, generatedTokens: parts.length };
      return {
        text,
        ids: parts.map(() => 1),
        finishReason: end,
        usage,
        timings: {} as Completion["timings"],
      };
    },
  };
  const setup: ChatSetup = {
    ...{ contextLength: 100, defaults: {}, template: undefined, now: new Date(0) },
    tools: given,
    renderer: {
      format,
      render(messages, { addGenerationPrompt = true }) {
        if (addGenerationPrompt) prompts.push(messages);
        const text = "<|im_start|>user\nHello<|im_end|>\n";
        return {
          text: addGenerationPrompt ? `${text}<|im_start|>assistant\n<think>\n` : text,
          ids: [1, 2, 3],
        };
      },
    },
  };
  return { chat: new Chat(setup, session as unknown as Session, []), prompts };
}

const call = (name: string, city: string) =>
  `<tool_call>\n${JSON.stringify({ name, arguments: { city } })}\n</tool_call>`;

describe("a chat with tools", () => {
  it("gives what the model thinks, says and calls, in pieces and as a whole", async () => {
    const { chat } = chatOf([`I must ask.\n</think>\n\nLet me see.\n${call("weather", "Oslo")}`]);
    let [text, reasoning] = ["", ""];
    const deltas: ToolCallDelta[] = [];
    const answers = chat.send("How is the weather in Oslo?");
    let next = await answers.next();
    for (; !next.done; next = await answers.next()) {
      text += next.value;
      reasoning += next.value.reasoning;
      deltas.push(...next.value.toolCalls);
    }
    const answer = next.value;
    assert.deepEqual([answer.text.trim(), answer.reasoning], ["Let me see.", "I must ask."]);
    assert.deepEqual([text, reasoning], [answer.text, answer.reasoning]);
    const [first, ...others] = deltas;
    const id = first?.id as string;
    assert.deepEqual(first, { index: 0, id, name: "weather", arguments: "" });
    assert.ok(others.every(({ index, id, name }) => index === 0 && id === undefined && name === undefined));
    assert.equal(others.map((delta) => delta.arguments).join(""), answer.toolCalls[0]?.function.arguments);
    const { tool_calls, ...message } = answer.message;
    assert.deepEqual(message, { role: "assistant", content: text, reasoning_content: "I must ask." });
    assert.deepEqual(tool_calls, answer.toolCalls);
    assert.deepEqual(JSON.parse(answer.toolCalls[0]?.function.arguments as string), { city: "Oslo" });
    assert.deepEqual(chat.messages.at(-1), answer.message);
  });

  it("is told results one by one, and answers when all are there", async () => {
    const both = `</think>${call("weather", "Oslo")}\n${call("time", "Oslo")}`;
    const { chat, prompts } = chatOf([both, "</think>Four degrees at noon."]);
    const { toolCalls } = await chat.ask("Weather and time in Oslo?");
    const [a, b] = toolCalls.map(({ id }) => id as string) as [string, string];
    assert.notEqual(a, b);
    assert.equal(await chat.result(b, "noon"), undefined);
    assert.deepEqual(chat.openCalls, toolCalls.slice(0, 1));
    await assert.rejects(chat.result(b, "noon"), {
      name: "UsageError",
      message: `Cannot tell a tool's result: Expected the id of an open call, got "${b}"; open: "${a}"`,
    });
    await assert.rejects(
      chat.result(a, undefined),
      /Expected value to be a text or a value that JSON can write/,
    );
    const answer = await chat.result(a, { celsius: 4 });
    assert.equal(answer?.text, "Four degrees at noon.");
    assert.deepEqual(prompts.at(-1)?.slice(2), [
      { role: "tool", tool_call_id: b, name: "time", content: "noon" },
      { role: "tool", tool_call_id: a, name: "weather", content: '{"celsius":4}' },
    ]);
    await assert.rejects(chat.result(a, 1), /; open: no call at all$/);
    // All of it is one turn.
    assert.equal(chat.undo().length, 5);
  });

  it("keeps no call that was cut off, and loses no text", async () => {
    const cut = chatOf(['</think><tool_call>\n{"name": "weather", "arguments": {"city": "Os'], {
      end: "length",
    });
    const answer = await cut.chat.ask("Weather?");
    assert.deepEqual([answer.toolCalls, answer.message.tool_calls], [[], undefined]);
    const text = `</think>${call("weather", "Oslo")}`;
    const none = chatOf([text], { given: [] });
    assert.equal((await none.chat.ask("Weather?")).text, call("weather", "Oslo"));
  });
});

describe("white space that an answer begins with", () => {
  it("is one space of the first word, which is left out, or an indentation, which stays", () => {
    for (const [written, text] of [
      [" Hello", "Hello"],
      ["Hello", "Hello"],
      ["    return 1", "    return 1"],
      [" \nHello", " \nHello"],
      [" ", " "],
    ] as const) {
      const builder = new AnswerBuilder(new AnswerParser());
      const alone = { id: 1, logprob: Number.NaN, alternatives: [] };
      for (const part of [...written]) builder.push({ ...alone, text: part });
      builder.end(false);
      assert.equal(builder.text, text, JSON.stringify(written));
    }
  });
});
