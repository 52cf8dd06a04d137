// Every format of answers: one answer of each kind, as models write it, read whole and in every way of cutting it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tools } from "./tools.ts";
import { type Options, readEveryWay } from "./ways.ts";

interface Case {
  readonly text: string;
  readonly content?: string;
  readonly reasoning?: string;
  /** Names and arguments. */
  readonly calls?: readonly (readonly [string, string])[];
  readonly options?: Options;
}

const oslo = ["forecast", '{"city": "Oslo", "days": 2}'] as const;
const now = ["now", "{}"] as const;

const cases: Record<string, readonly Case[]> = {
  plain: [
    { text: "Hi there.\n", content: "Hi there.\n" },
    { text: "<tool_call>x</tool_call>", content: "<tool_call>x</tool_call>" },
    { text: "<think>\nhm\n</think>\n\nYes", content: "Yes", reasoning: "hm" },
    { text: "No <think>x</think>", content: "No <think>x</think>" },
  ],
  hermes: [
    { text: " Yes", content: "Yes", options: { promptEnd: "human: Well? <sep> assistant:" } },
    { text: "Yes", content: "Yes", options: { promptEnd: "assistant<|role_sep|>\n" } },
    {
      text: 'Let me look.\n<tool_call>\n{"name": "forecast", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
      content: "Let me look.\n",
      calls: [oslo, now],
    },
    { text: '<tool_call>{"arguments": {}, "name": "now"}</tool_call> Done', content: "Done", calls: [now] },
    { text: '<tool_call>{"name": "now", "arguments": "{}"}', calls: [now] },
    { text: '<tool_call>[{"name": "now", "arguments": {}}]</tool_call>', calls: [now] },
    { text: "Use <tool_call> and </tool_call>.", content: "Use <tool_call> and </tool_call>." },
    { text: '<tool_call>{"name": "now"}</tool_call>', content: '<tool_call>{"name": "now"}</tool_call>' },
    {
      text: "<tool_call>{'name': 'switch', 'arguments': {'on': True, 'level': None,}}</tool_call>",
      calls: [["switch", '{"on": true, "level": null}']],
    },
    {
      text: '<tool_call>{"name": "note.write", "arguments": {"text": "two\nlines \\u00e9\\n </tool_call>"}}</tool_call>',
      calls: [["note.write", '{"text": "two\\nlines \\u00e9\\n </tool_call>"}']],
    },
    {
      text: "I think</think>Yes",
      reasoning: "I think",
      content: "Yes",
      options: { promptEnd: "<|im_start|>assistant\n<think>\n" },
    },
    { text: "Yes", content: "Yes", options: { promptEnd: "<|im_start|>assistant\n<think>\n\n</think>\n\n" } },
    {
      text: " and no",
      content: "Yes and no",
      options: { promptEnd: "…<|im_end|>\n<|im_start|>assistant\nYes" },
    },
    {
      text: "hm</think>Yes",
      content: "<think>\nhm</think>Yes",
      options: { promptEnd: "<|im_start|>assistant\n<think>\n", reasoning: false },
    },
    {
      text: '<tool_call>{"name": "now", "arguments": {}}</tool_call>',
      content: '<tool_call>{"name": "now", "arguments": {}}</tool_call>',
      options: { tools: [] },
    },
  ],
  "llama3-json": [
    {
      text: '{"name": "forecast", "parameters": {"city": "Oslo", "days": 2}}; {"name": "now", "parameters": {}}',
      calls: [oslo, now],
    },
    { text: '<|python_tag|>{"type": "function", "name": "now", "parameters": {}}', calls: [now] },
    { text: '{"name": "Ada", "parameters": {}}', content: '{"name": "Ada", "parameters": {}}' },
    { text: '{"name": "now", "born": 1815}', content: '{"name": "now", "born": 1815}' },
    { text: '"yes"\n', content: '"yes"' },
    {
      text: 'I ask {twice}: {"name": "now", "parameters": {}} and {"name": 1}',
      content: 'I ask {twice}: and {"name": 1}',
      calls: [now],
    },
    { text: "<|python_tag|>note.call(text='a', n=1)", calls: [["note", '{"text": "a", "n": 1}']] },
    {
      text: "<|python_tag|>print('hi')\n",
      calls: [["python", '{"code": "print(\'hi\')\\n"}']],
      options: { tools: undefined },
    },
    { text: "<|python_tag|>print('hi')", content: "<|python_tag|>print('hi')" },
    { text: '["yes"] \n no \n', content: '["yes"] \n no \n' },
  ],
  nemotron: [{ text: '<TOOLCALL>[{"name": "now", "arguments": {}}]</TOOLCALL>', calls: [now] }],
  jamba: [{ text: '<tool_calls>[{"name": "now", "arguments": {}}]</tool_calls>', calls: [now] }],
  "mistral-json": [
    {
      text: 'So: [TOOL_CALLS] [{"name": "forecast", "arguments": {"city": "Oslo", "days": 2}, "id": "abcDEF123"}]',
      content: "So: ",
      calls: [oslo],
    },
    { text: "[THINK]hm[/THINK]Yes", content: "Yes", reasoning: "hm" },
  ],
  "mistral-v11": [
    {
      text: " well[/THINK]Yes",
      reasoning: "Oh well",
      content: "Yes",
      options: { promptEnd: "[THINK]Oh" },
    },
    {
      text: '[TOOL_CALLS]forecast[CALL_ID]x[ARGS]{"city": "Oslo", "days": 2}[TOOL_CALLS]now{}',
      calls: [oslo, now],
    },
    { text: "[TOOL_CALLS]now", content: "[TOOL_CALLS]now" },
  ],
  "phi4-mini": [
    {
      text: 'functools[{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}]',
      calls: [now, now],
    },
  ],
  granite3: [
    { text: '<|tool_call|>[{"name": "now", "arguments": {}}]', calls: [now] },
    { text: "<think>hm</think><response>Yes</response>", content: "Yes", reasoning: "hm" },
  ],
  "command-r7b": [
    {
      text: "Well<|END_THINKING|><|START_TEXT|>Yes<|END_TEXT|>",
      reasoning: "Well",
      content: "Yes",
      options: { promptEnd: "<|CHATBOT_TOKEN|><|START_THINKING|>" },
    },
    {
      text: '<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[\n {"tool_call_id": "0", "tool_name": "now", "parameters": {}}\n]<|END_ACTION|>',
      reasoning: "hm",
      calls: [now],
    },
    { text: "<|START_RESPONSE|>Yes<|END_RESPONSE|>", content: "Yes" },
  ],
  apertus: [
    {
      text: '<|inner_prefix|>hm<|inner_suffix|>I look.<|tools_prefix|>[{"forecast": {"city": "Oslo", "days": 2}}, {"now": {}}]<|tools_suffix|>',
      reasoning: "hm",
      content: "I look.",
      calls: [oslo, now],
    },
    {
      text: '<|tools_prefix|>[{"now": 5}]<|tools_suffix|>',
      content: '<|tools_prefix|>[{"now": 5}]<|tools_suffix|>',
    },
    {
      text: '<|tools_prefix|>[{"forecast": {"city": "Os',
      calls: [["forecast", '{"city": "Os']],
      options: { partial: true },
    },
  ],
  gigachat3: [
    {
      text: 'I look.<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "forecast", "arguments": {"city": "Oslo", "days": 2}}',
      content: "I look.",
      calls: [oslo],
    },
    { text: 'function call<|role_sep|>\n{"name": "now", "arguments": {}}', calls: [now] },
    { text: '<|function_call|>{"name": "now", "arguments": {}}', calls: [now] },
    { text: "A function call<|role_sep|> is none", content: "A function call<|role_sep|> is none" },
  ],
  "qwen3-coder": [
    {
      text: "<tool_call><function=odd><parameter=a>1.5</parameter><parameter=b>1</parameter><parameter=c>1</parameter></function></tool_call>",
      calls: [["odd", '{"a": 1.5, "b": "1", "c": 1}']],
    },
    {
      text: "<think>Now.\n<tool_call>\n<function=forecast>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
      reasoning: "Now.",
      calls: [oslo],
    },
    {
      text: '<tool_call><function=note.write><parameter=text>\n"a"\n\n</parameter><parameter=tags>[\'x\', "y"]</parameter><parameter=more>1</parameter></function></tool_call>',
      calls: [["note.write", '{"text": "\\"a\\"\\n", "tags": ["x", "y"], "more": "1"}']],
    },
    {
      text: "<function=switch><parameter=on>False</parameter><parameter=level>1e3</parameter></function>",
      calls: [["switch", '{"on": false, "level": 1e3}']],
    },
    {
      text: "<tool_call><function=anything><parameter=value>[1</parameter><parameter=choice>1</parameter><parameter=either>{}</parameter></function><function=now></function></tool_call>",
      calls: [["anything", '{"value": "[1", "choice": 1, "either": {}}'], now],
    },
    {
      text: "<tool_call>\n<function=forecast>\n<parameter=city>\nOslo\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
      calls: [oslo],
    },
    { text: "Write <function=name> here.", content: "Write <function=name> here." },
  ],
  "seed-oss": [
    {
      text: "<seed:think>hm</seed:think><seed:tool_call><function=now></function></seed:tool_call>",
      reasoning: "hm",
      calls: [now],
    },
  ],
  "minimax-m2": [
    {
      text: '<minimax:tool_call>\n<invoke name="now">\n</invoke>\n<invoke name="forecast">\n<parameter name="city">Oslo</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
      calls: [now, oslo],
    },
  ],
  dsml: [
    {
      text:
        "hm</think>I look.\n\n<｜DSML｜function_calls>\n" +
        '<｜DSML｜invoke name="forecast">\n<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n' +
        '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n' +
        '<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
      reasoning: "hm",
      content: "I look.",
      calls: [oslo, now],
      options: { promptEnd: "<｜Assistant｜><think>" },
    },
    // What an argument says of itself counts before its schema.
    {
      text:
        '<｜DSML｜function_calls><｜DSML｜invoke name="anything"><｜DSML｜parameter name="value" string="true">1</｜DSML｜parameter>' +
        '<｜DSML｜parameter name="either" string="false">[{"a": "</b>"}, null]</｜DSML｜parameter></｜DSML｜invoke>',
      calls: [["anything", '{"value": "1", "either": [{"a": "</b>"}, null]}']],
    },
    {
      text: '<｜DSML｜invoke name="note.write"><｜DSML｜parameter name="text">1</｜DSML｜parameter></｜DSML｜invoke>',
      calls: [["note.write", '{"text": "1"}']],
    },
    { text: 'Write <｜DSML｜invoke name="x">.', content: 'Write <｜DSML｜invoke name="x">.' },
    {
      text: '<｜DSML｜function_calls><｜DSML｜invoke name="forecast"><｜DSML｜parameter name="city" string="true">Os',
      calls: [["forecast", '{"city": "Os']],
      options: { partial: true },
    },
    // V4's mark.
    {
      text: '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
      calls: [now],
    },
  ],
  minicpm5: [
    {
      text: '<function name="note.write"><param name="text"><![CDATA[\n<a></param>\n]]></param></function>',
      calls: [["note.write", '{"text": "\\n<a></param>\\n"}']],
    },
    {
      text: '<function name="note.write"><param name="text"><![CDATA[a]]>b</param></function>',
      content: '<function name="note.write"><param name="text"><![CDATA[a]]>b</param></function>',
    },
    {
      text: '<function name="forecast"><param name="city">Oslo</param><param name="days">2</param></function>',
      calls: [oslo],
    },
  ],
  glm4: [
    {
      text: "Well<tool_call>now\n</tool_call>Done",
      reasoning: "Well",
      content: "Done",
      calls: [now],
      options: { promptEnd: "<role>ASSISTANT</role>\n<think>" },
    },
    {
      text: "<tool_call>forecast\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
      calls: [oslo],
    },
  ],
  "kimi-k2": [
    {
      text: "<think>Well<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
      reasoning: "Well",
      calls: [now],
    },
    {
      text: "Hm.<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
      content: "Hm.",
      calls: [now],
    },
  ],
  deepseek: [
    {
      text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>forecast<｜tool▁sep｜>{"city": "Oslo", "days": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
      calls: [oslo],
    },
    {
      text: "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜>",
      calls: [now],
    },
  ],
  "functionary-v3.1": [{ text: '<function=forecast>{"city": "Oslo", "days": 2}</function>', calls: [oslo] }],
  "functionary-v3.2": [
    {
      text: 'all\nLet me see.>>>forecast\n{"city": "Oslo", "days": 2}>>>now\n{}',
      content: "Let me see.",
      calls: [oslo, now],
      options: { promptEnd: "<|start_header_id|>assistant<|end_header_id|>\n\n>>>" },
    },
    {
      text: "python\nprint(1)\n>>>all\nSo.",
      content: "So.",
      calls: [["python", '{"code": "print(1)\\n"}']],
      options: { tools: undefined },
    },
    { text: "In Python: >>> 1\n1", content: "In Python: >>> 1\n1" },
  ],
  pythonic: [
    { text: "[forecast(city='Oslo', days=2), now()]", calls: [oslo, now] },
    { text: "[forecast(city='Oslo', days=2) or now()]", content: "[forecast(city='Oslo', days=2) or now()]" },
    { text: "[see(1)](http://x)", content: "[see(1)](http://x)" },
    { text: "[]", content: "[]" },
  ],
  llama4: [{ text: '<|python_start|>[forecast(city="Oslo", days=2)]<|python_end|>', calls: [oslo] }],
  lfm2: [
    {
      text: "Hm. <|tool_call_start|>[forecast(city='Oslo', days=2)]<|tool_call_end|> Well.",
      content: "Hm. Well.",
      calls: [oslo],
    },
    {
      text: "<|tool_call_start|>[anything(value=1e999), note.write(text='\\x41\\'\\d \"', tags=(1))]<|tool_call_end|>",
      content: ", note.write(text='\\x41\\'\\d \"', tags=(1))]<|tool_call_end|>",
    },
    {
      text: "<|tool_call_start|>[note.write(text='\\x41\\'\\d \"😀', tags=[1_000, .5, +2,])]",
      calls: [["note.write", '{"text": "\\u0041\'\\\\d \\"😀", "tags": [1000, 0.5, 2]}']],
    },
    {
      text: "<|tool_call_start|>[forecast(city='Os",
      calls: [["forecast", '{"city": "Os']],
      options: { partial: true },
    },
  ],
  harmony: [
    {
      text: '<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>commentary to=functions.forecast <|constrain|>json<|message|>{"city": "Oslo", "days": 2}<|call|>',
      reasoning: "hm",
      content: "One moment.",
      calls: [oslo],
    },
    { text: "Plain <b>text</b>", content: "Plain <b>text</b>" },
    {
      text: "<|channel|>final<|message|>Yes<|return|>",
      content: "Yes",
      options: { promptEnd: "<|start|>assistant" },
    },
    {
      text: "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes",
      content: "<|channel|>analysis<|message|>hm<|end|>Yes",
      options: { reasoning: false },
    },
    { text: "<|channel|>commentary to=functions.now<|message|>{}", content: "{}", options: { tools: [] } },
    {
      text: "<|channel|>commentary to=functions.now<|message|>now",
      content: "<|channel|>commentary to=functions.now<|message|>now",
    },
  ],
  gemma4: [
    { text: "<|tool_call>:now{}<tool_call|>", calls: [now] },
    {
      text: '<|channel>thought\nhm<channel|>So.<|tool_call>call:note.write{text:<|"|>"a"\n{<|"|>,tags:[1,{a:true}]}<tool_call|>',
      reasoning: "hm",
      content: "So.",
      calls: [["note.write", '{"text":"\\"a\\"\\n{","tags":[1,{"a":true}]}']],
    },
    { text: "Yes<channel|> no", content: "Yes no" },
  ],
  functiongemma: [
    {
      text: "Hm. \n<start_function_call>call:forecast{city:<escape>Oslo<escape>,days: 2}<end_function_call>",
      content: "Hm.",
      calls: [["forecast", '{"city":"Oslo","days": 2}']],
    },
  ],
};

describe("parseAnswer() and AnswerParser", () => {
  for (const [format, list] of Object.entries(cases)) {
    for (const { text, content = "", reasoning = "", calls = [], options } of list) {
      it(`read ${format}: ${JSON.stringify(text).slice(0, 70)}`, () => {
        const answer = readEveryWay(text, { format, tools, ...options });
        const found = answer.toolCalls.map(({ function: { name, arguments: json } }) => [name, json]);
        assert.deepEqual([answer.content, answer.reasoning, found], [content, reasoning, calls]);
      });
    }
  }
});
