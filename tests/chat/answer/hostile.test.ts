// Garbage and attacks on the reader of answers: nothing throws, no text is lost, and time grows with the text only.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AnswerParser } from "../../../src/chat/answer/answer_parser.ts";
import { answerFormatOf } from "../../../src/chat/answer/formats.ts";
import { parseAnswer } from "../../../src/chat/answer/parse_answer.ts";
import { tools } from "./tools.ts";
import { readPieces } from "./ways.ts";

const formats = [
  ...[
    "plain",
    "hermes",
    "llama3-json",
    "mistral-json",
    "mistral-v11",
    "phi4-mini",
    "granite3",
    "command-r7b",
  ],
  ...["qwen3-coder", "seed-oss", "minimax-m2", "minicpm5", "glm4", "kimi-k2", "deepseek", "functionary-v3.1"],
  ...[
    "functionary-v3.2",
    "pythonic",
    "llama4",
    "lfm2",
    "harmony",
    "gemma4",
    "functiongemma",
    "nemotron",
    "jamba",
  ],
];

// What formats are made of, so that garbage comes near to answers.
const parts = [
  ...[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<|tool_call|>",
    "functools",
    "[TOOL_CALLS]",
    "[ARGS]",
  ],
  ...[
    "<function=",
    "now",
    ">",
    "</function>",
    "<parameter=",
    "city",
    "</parameter>",
    "<arg_key>",
    "</arg_key>",
  ],
  ...[
    "<arg_value>",
    "</arg_value>",
    "<|channel|>",
    "<|message|>",
    "<|end|>",
    "<|start|>",
    "analysis",
    "final",
  ],
  ...[
    " to=functions.now",
    "<|tool_call>",
    "call:",
    '<|"|>',
    "<|channel>",
    "<channel|>",
    "<tool_call|>",
    ">>>",
    "all\n",
  ],
  ...[
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    '"name"',
    '"arguments"',
    '"now"',
    ":",
  ],
  ...[",", "=", "'", '"', "\\", " ", "\n", "1", "1e999", "True", "😀", "\ud83d", "<", "a", ";", "{}"],
];
const garbage = fc.array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 3 })), { maxLength: 40 });
const format = fc.constantFrom(...formats);

describe("answerFormatOf()", () => {
  it("reads a long template once, whatever it repeats", () => {
    const n = 200_000;
    assert.equal(answerFormatOf("[ARGS]".repeat(n)), undefined);
    assert.equal(answerFormatOf("[TOOL_CALLS]".repeat(n)), "mistral-json");
    assert.equal(answerFormatOf(`[ARGS]${"[TOOL_CALLS]".repeat(n)}`), "mistral-v11");
    assert.equal(answerFormatOf(`${"[TOOL_CALLS]".repeat(n)}[ARGS]`), "mistral-v11");
  });
});

describe("AnswerParser, given garbage,", () => {
  it("reads the same however it is cut", () => {
    fc.assert(
      fc.property(garbage, format, fc.boolean(), fc.boolean(), (pieces, name, partial, known) => {
        const options = { format: name, partial, ...(known ? { tools } : {}) };
        const text = pieces.join("");
        const whole = readPieces([text], options).answer;
        for (const other of [pieces, text.split("")]) {
          assert.equal(JSON.stringify(readPieces(other, options).answer), JSON.stringify(whole));
        }
        for (const { function: call } of partial ? [] : whole.toolCalls) JSON.parse(call.arguments as string);
      }),
      { numRuns: 1500 },
    );
  });

  it("loses no text but white space if there is nothing to call and nothing to split off", () => {
    const keeping = formats.filter(
      (name) => !/command-r7b|granite3|functionary-v3.2|harmony|kimi|deepseek/.test(name),
    );
    fc.assert(
      fc.property(garbage, fc.constantFrom(...keeping), (pieces, name) => {
        const text = pieces.join("");
        assert.equal(
          parseAnswer(text, { format: name, tools: [], reasoning: false }).content.trim(),
          text.trim(),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("loses no letter if nothing is a call", () => {
    const letters = (text: string) => text.replace(/[^a-z]/g, "");
    fc.assert(
      fc.property(
        garbage,
        fc.constantFrom("hermes", "llama3-json", "pythonic", "qwen3-coder", "mistral-json"),
        (pieces, name) => {
          const text = pieces.join("").replaceAll("think>", "");
          const { content, toolCalls } = parseAnswer(text, { format: name, reasoning: false });
          if (toolCalls.length === 0) assert.equal(letters(content), letters(text));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("AnswerParser, given a megabyte,", () => {
  const attacks: Record<string, string> = {
    brackets: "[".repeat(1e6),
    braces: "{".repeat(1e6),
    "nested arguments": `<tool_call>{"name": "now", "arguments": {"a": ${"[".repeat(1e6)}`,
    "nested Python": `<|tool_call_start|>[now(a=${"{'a':".repeat(2e5)}`,
    "openings of calls": "<tool_call>".repeat(9e4),
    "openings of two kinds": '<tool_call>{"a":"<function=now><parameter=city>'.repeat(2e4),
    "half markers": "<tool_cal".repeat(1e5),
    "white space": " \n".repeat(5e5),
    "white space in a call": `<tool_call>${" ".repeat(1e6)}`,
    "white space before a call": `a${" ".repeat(1e6)}<start_function_call>`,
    "one long string": `[TOOL_CALLS][{"name": "now", "arguments": {"a": "${"x\\n".repeat(1e5)}`,
    "one long number": `{"name": "now", "parameters": {"a": ${"1".repeat(1e6)}x`,
    "one long name": `<tool_call><function=${"a".repeat(1e6)}`,
    channels: "<|channel|>".repeat(9e4),
    sections: ">>>now\n".repeat(1.4e5),
    "strings in a list": `["${'a","'.repeat(2.5e5)}`,
  };
  for (const [name, text] of Object.entries(attacks)) {
    it(`reads ${name} as far as it needs to`, () => {
      // No clock: reading in squares of a megabyte would outlast the test.
      for (const format of [
        "hermes",
        "qwen3-coder",
        "lfm2",
        "pythonic",
        "llama3-json",
        "mistral-json",
        "harmony",
        "functionary-v3.2",
        "functiongemma",
      ]) {
        assert.ok(parseAnswer(text, { format, tools }).content.length <= text.length);
      }
    });
  }

  it("takes it in small pieces too", () => {
    for (const text of [
      "[".repeat(1e5),
      " ".repeat(1e5),
      `<tool_call>${" ".repeat(1e5)}`,
      `{"name": "${"a".repeat(1e5)}`,
    ]) {
      const parser = new AnswerParser({ format: "llama3-json", tools });
      const other = new AnswerParser({ format: "functiongemma", tools });
      let length = 0;
      for (let i = 0; i < text.length; i++) {
        for (const delta of parser.push(text[i] as string)) if ("text" in delta) length += delta.text.length;
        other.push(text[i] as string);
      }
      for (const delta of parser.end()) if ("text" in delta) length += delta.text.length;
      assert.equal(length, text.length);
    }
  });
});
