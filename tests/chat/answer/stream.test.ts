// What a stream of answers tells when, and that calls which break or stop half-way say so.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAnswer } from "cria";
import { AnswerParser } from "../../../src/chat/answer/answer_parser.ts";
import { tools } from "./tools.ts";
import { readPieces } from "./ways.ts";

const options = { format: "hermes", tools, idSeed: "a" };

describe("AnswerParser", () => {
  it("gives text before a call at once, and arguments as they come", () => {
    const parser = new AnswerParser(options);
    assert.deepEqual(parser.push("Let me "), [{ kind: "content", text: "Let me " }]);
    assert.deepEqual(parser.push("see<tool_"), [{ kind: "content", text: "see" }]);
    assert.deepEqual(parser.push('call>{"name": "forecast", "argum'), [
      { kind: "call", index: 0, id: "call_iLALnT3YfNlZKWwlU0As613U", name: "forecast" },
    ]);
    assert.deepEqual(parser.push('ents": {"city": "Os'), [
      { kind: "arguments", index: 0, text: '{"city": "Os' },
    ]);
    assert.equal(parser.finishedCalls, 0);
    assert.deepEqual(parser.push('lo"}}</tool_call>'), [{ kind: "arguments", index: 0, text: 'lo"}' }]);
    assert.deepEqual([parser.finishedCalls, parser.brokenCalls.length], [1, 0]);
    assert.deepEqual(parser.end({ cut: false }), []);
  });

  it("gives back what might have become a marker", () => {
    const parser = new AnswerParser(options);
    assert.deepEqual(parser.push("a <tool"), [{ kind: "content", text: "a " }]);
    assert.deepEqual(parser.push("_box>"), [{ kind: "content", text: "<tool_box>" }]);
    assert.deepEqual(parser.push("<"), []);
    assert.deepEqual(parser.end(), [{ kind: "content", text: "<" }]);
    assert.deepEqual(parser.end(), []);
  });

  it("streams a value of XML that is a string, and waits for others", () => {
    const parser = new AnswerParser({ ...options, format: "qwen3-coder" });
    parser.push("<tool_call><function=forecast><parameter=city>");
    assert.deepEqual(parser.push('\nOs"l'), [{ kind: "arguments", index: 0, text: '"Os\\"l' }]);
    assert.deepEqual(parser.push("\n"), []);
    assert.deepEqual(parser.push("o\n</parameter><parameter=days>"), [
      { kind: "arguments", index: 0, text: '\\no", "days": ' },
    ]);
    assert.deepEqual(parser.push("1"), []);
    assert.deepEqual(parser.push("2</parameter>"), [{ kind: "arguments", index: 0, text: "12" }]);
  });

  it("says which call broke, and how it was written", () => {
    const text = '<tool_call>{"name": "now", "arguments": {"a" 1}}</tool_call>';
    const { deltas, parser } = readPieces([`So: ${text}`], options);
    assert.deepEqual(
      deltas.map(({ kind }) => kind),
      ["content", "call", "arguments", "content"],
    );
    assert.equal(parser.finishedCalls, 0);
    const written = '<tool_call>{"name": "now", "arguments": {"a" ';
    assert.deepEqual(parser.brokenCalls, [{ index: 0, text: written, at: 4 }]);
    assert.equal(parseAnswer(text, options).content, text);
    assert.deepEqual(parseAnswer(text, options).toolCalls, []);
  });

  it("keeps a call that was cut off if asked to, and counts it as broken", () => {
    const text = 'So: <tool_call>{"name": "forecast", "arguments": {"city": "Os';
    const whole = parseAnswer(text, { ...options, partial: true });
    assert.equal(whole.content, "So: ");
    assert.deepEqual(whole.toolCalls[0]?.function, { name: "forecast", arguments: '{"city": "Os' });
    assert.equal(parseAnswer(text, options).content, text);
    const parser = new AnswerParser(options);
    parser.push(text);
    parser.end({ cut: true });
    assert.deepEqual([parser.finishedCalls, parser.brokenCalls.length], [0, 1]);
  });

  it("holds the first half of a character", () => {
    const parser = new AnswerParser();
    assert.deepEqual(parser.push("a\ud83d"), [{ kind: "content", text: "a" }]);
    assert.deepEqual(parser.push("\ude00"), [{ kind: "content", text: "😀" }]);
    parser.push("\ud83d");
    assert.deepEqual(parser.end(), [{ kind: "content", text: "\ud83d" }]);
  });

  it("makes ids that are unique, of nine letters for Mistral, and random without a seed", () => {
    const two = "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}";
    const ids = (text: string, format: string, idSeed?: string) =>
      parseAnswer(text, { format, idSeed }).toolCalls.map(({ id }) => id);
    const [first, second] = ids(two, "mistral-v11");
    assert.equal(first, "abcdefghi");
    assert.match(second as string, /^[a-zA-Z0-9]{9}$/);
    assert.notEqual(first, second);
    const one = '<tool_call>{"name": "now", "arguments": {}}</tool_call>';
    assert.match(ids(one, "hermes")[0] as string, /^call_[a-zA-Z0-9]{24}$/);
    assert.notDeepEqual(ids(one, "hermes"), ids(one, "hermes"));
    assert.deepEqual(ids(one, "hermes", "b"), ids(one, "hermes", "b"));
    assert.notDeepEqual(ids(one, "hermes", "b"), ids(one, "hermes", "c"));
  });

  it("takes no beginning from a prompt that has none", () => {
    for (const promptEnd of [
      "User: Hi\nTales:",
      "### Response:\n",
      "[INST] Hi [/INST]",
      "Hi\n<<A>>\n",
      "<|begin_assistant|>\n",
      "<SPECIAL_11>Assistant\n",
      "ASSISTANT: ",
    ]) {
      assert.equal(parseAnswer("Yes", { promptEnd }).content, "Yes");
    }
    assert.equal(parseAnswer("Yes</think>No", { promptEnd: "Hi\n<<A>><think>\n" }).reasoning, "Yes");
    assert.equal(parseAnswer(" day", { promptEnd: "Good" }).content, "Good day");
  });

  it("refuses a format that nobody knows", () => {
    assert.throws(() => new AnswerParser({ format: "hermez" }), {
      name: "UsageError",
      message: 'Cannot parse an answer: Unknown format "hermez": did you mean hermes?',
    });
    assert.throws(() => parseAnswer("", { format: "x" }), /formats: harmony, gemma4, .*plain/);
  });
});
