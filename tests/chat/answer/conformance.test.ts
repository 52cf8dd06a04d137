// Answers of llama.cpp's and vLLM's tests, with what they must be read as.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answerFormatOf } from "../../../src/chat/answer/formats.ts";
import type { ParsedAnswer } from "../../../src/chat/answer/parse_answer.ts";
import type { Tool } from "../../../src/chat/messages.ts";
import { itShared, sharedJson } from "../../support/shared.ts";
import { readEveryWay } from "./ways.ts";

interface Case {
  readonly family: string;
  readonly template?: string;
  readonly output: string;
  readonly after?: string;
  readonly tools?: readonly string[];
  readonly reasoning?: boolean;
  readonly partial?: boolean;
  readonly content_may?: "any";
  readonly expect: {
    readonly content?: string;
    readonly reasoning?: string;
    readonly calls: readonly { readonly name: string; readonly arguments: string; readonly id?: string }[];
  };
}

interface Cases {
  readonly tools: Record<string, Omit<Tool["function"], "name">>;
  readonly cases: readonly Case[];
  readonly more: readonly Case[];
}

const file = "conformance/tool_calls.json";
const renders = "conformance/chat_renders.json";

describe("parseAnswer() and AnswerParser", () => {
  itShared(
    [file, renders],
    "read what models wrote as llama.cpp and vLLM do, in every way of cutting it",
    () => {
      const { tools, cases, more } = sharedJson<Cases>(file);
      const { templates } = sharedJson<{ templates: Record<string, string> }>(renders);
      assert.ok(cases.length > 100 && more.length > 50);
      for (const one of [...cases, ...more]) {
        const template = templates[one.template ?? ""];
        const answer = readEveryWay(one.output, {
          format: template === undefined ? one.family : answerFormatOf(template),
          tools: one.tools?.map((name) => ({ type: "function", function: { name, ...tools[name] } })),
          promptEnd: one.after,
          reasoning: one.reasoning,
          partial: one.partial,
        });
        compare(answer, one);
      }
    },
  );

  itShared([renders], "know the formats of shipped templates", () => {
    const { templates } = sharedJson<{ templates: Record<string, string> }>(renders);
    const found = Object.keys(templates).map((name) => [name, answerFormatOf(templates[name] as string)]);
    assert.deepEqual(
      found.filter(([, format]) => format === undefined).map(([name]) => name),
      ["microsoft-Phi-3.5-mini-instruct", "google-gemma-2-2b-it"],
    );
  });
});

function compare(answer: ParsedAnswer, one: Case): void {
  const { expect, content_may, partial } = one;
  const about = JSON.stringify(one);
  if (expect.content !== undefined && content_may !== "any")
    assert.equal(answer.content, expect.content, about);
  assert.equal(answer.reasoning, expect.reasoning ?? "", about);
  assert.equal(answer.toolCalls.length, expect.calls.length, about);
  for (const [i, { name, arguments: json, id }] of expect.calls.entries()) {
    const call = answer.toolCalls[i]?.function;
    assert.equal(call?.name, name, about);
    if (id !== undefined) assert.equal(answer.toolCalls[i]?.id, id, about);
    if (partial) assert.equal(call?.arguments, json, about);
    else assert.deepEqual(JSON.parse(call?.arguments as string), JSON.parse(json), about);
  }
}

describe("answerFormatOf()", () => {
  const asked: Record<string, string> = {
    "{{ '<|tool_call>call:' + name }}": "gemma4",
    "<start_function_call>": "functiongemma",
    "<tool_call>\n<function=example>\n<parameter=x>": "qwen3-coder",
    "<seed:tool_call><function=f><parameter=x>": "seed-oss",
    "<tool_call>{name}<arg_key>": "glm4",
    '<function name="f"><param name="x">': "minicpm5",
    "<function=f>{}</function>": "functionary-v3.1",
    "{{ '>>>all' }}": "functionary-v3.2",
    '<tool_call>\n{"name"': "hermes",
    "<|tool_call|>": "granite3",
    "[TOOL_CALLS]": "mistral-json",
    "'[TOOL_CALLS]' + name + '[ARGS]'": "mistral-v11",
    "<|python_start|>": "llama4",
    "<|python_tag|>": "llama3-json",
    "<|tool_list_start|>": "lfm2",
    "[func_name1(params_name1=params_value1)]": "pythonic",
    "<|channel|>analysis": "harmony",
    "<|tool_call_begin|>": "kimi-k2",
    "<｜tool▁call▁begin｜>": "deepseek",
    "<|START_ACTION|>": "command-r7b",
    "minimax:tool_call": "minimax-m2",
    functools: "phi4-mini",
    "'<｜Assistant｜>' … '<' + '｜DSML｜' + 'function_calls>'": "dsml",
    "<|tools_prefix|>": "apertus",
    "<|message_sep|>": "gigachat3",
    "{{ 'User: ' + content }}": "undefined",
  };
  for (const [template, format] of Object.entries(asked)) {
    it(`finds ${format} in ${JSON.stringify(template)}`, () =>
      assert.equal(String(answerFormatOf(template)), format));
  }
});
