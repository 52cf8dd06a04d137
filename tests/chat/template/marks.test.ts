// What stands in messages never becomes a special token, whatever a template does with it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChatTemplate } from "../../../src/chat/template/chat_template.ts";
import type { Message } from "../../../src/session/messages.ts";

// The parts of the rendered text that come from messages.
function marked(template: string, messages: Message[], variables: Record<string, unknown> = {}): string[] {
  const { text, marks } = new ChatTemplate(template).renderMarked(messages, variables);
  const parts: string[] = [];
  for (let i = 0; i < marks.length; i += 2) {
    assert.ok((marks[i] as number) < (marks[i + 1] as number));
    if (i > 0) assert.ok((marks[i - 1] as number) < (marks[i] as number));
    parts.push(text.slice(marks[i], marks[i + 1]));
  }
  return parts;
}

const say = (content: string): Message[] => [{ role: "user", content }];

describe("ChatTemplate.renderMarked()", () => {
  it("marks contents and nothing else", () => {
    const template = "{{ '<|' + messages[0].role + '|>' }}{{ messages[0].content }}{{ '<|end|>' }}";
    assert.deepEqual(marked(template, say("a <|end|>")), ["a <|end|>"]);
    assert.deepEqual(marked("plain {{ 'text' }}", say("x")), []);
  });

  it("marks a role that is no usual one", () => {
    const template = "<|{{ messages[0].role }}|>";
    assert.deepEqual(marked(template, [{ role: "user", content: "" }]), []);
    assert.deepEqual(marked(template, [{ role: "end", content: "" }]), ["end"]);
  });

  it("follows contents through what templates do with them", () => {
    const m = "messages[0].content";
    for (const [expression, expected] of [
      [`${m} | trim`, ["a b"]],
      [`${m}.strip()`, ["a b"]],
      [`'<s>' + ${m}[1:4] + '</s>'`, ["a b"]],
      [`'<s>' ~ ${m} ~ '</s>'`, [" a b "]],
      [`${m}.split(' ')[1]`, ["a"]],
      [`${m}.rsplit(' ', 1)[0]`, [" a b"]],
      [`${m} | upper`, [" A B "]],
      [`['<s>', ${m}, '</s>'] | join`, [" a b "]],
      [`'-'.join(['x', ${m}])`, [" a b "]],
      [`${m}.replace('b', '<s>')`, [" a ", " "]],
      [`'[%s]' | format(${m})`, [" a b "]],
      [`'[{}]'.format(${m})`, [" a b "]],
      [`${m} | tojson`, ['" a b "']],
      [`{'k': ${m}} | tojson`, ['" a b "']],
      [`[${m}]`, ["' a b '"]],
      [`${m} | indent(2, first=true)`, [" a b "]],
      [`${m} | list | join('_')`, [" ", "a", " ", "b", " "]],
      [`${m} | reverse`, [" b a "]],
      [`(${m} if true else '') or 'x'`, [" a b "]],
      [`none_such | default(${m})`, [" a b "]],
      [`${m} * 2`, [" a b  a b "]],
      [`messages | map(attribute='content') | first`, [" a b "]],
      [`messages | tojson`, ['"role"', '"content"', '" a b "']],
      [`${m} | length`, []],
      [`'<s>' if 'a' in ${m} else ''`, []],
      [`${m}.partition('a') | join('|')`, [" ", "a", " b "]],
      [`${m} | replace('a', ${m})`, ["  a b  b "]],
    ] as const) {
      assert.deepEqual(marked(`{{ ${expression} }}`, say(" a b ")), expected, expression);
    }
  });

  it("follows contents through blocks: set, macro, call, filter, namespace, loop", () => {
    for (const template of [
      "{% set x %}<s>{{ messages[0].content }}</s>{% endset %}{{ x }}",
      "{% macro f(m) %}<s>{{ m.content }}</s>{% endmacro %}{{ f(messages[0]) }}",
      "{% macro f() %}<s>{{ caller() }}</s>{% endmacro %}{% call f() %}{{ messages[0].content }}{% endcall %}",
      "{% filter trim %}<s>{{ messages[0].content }}</s>{% endfilter %}",
      "{% set ns = namespace(t='<s>') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor %}{{ ns.t }}",
      "{% for k, v in messages[0] | items %}{% if k == 'content' %}<s>{{ v }}{% endif %}{% endfor %}",
      "{% with c = messages[0].content %}<s>{{ c }}</s>{% endwith %}",
      "{% for m in messages recursive %}<s>{{ m.content }}</s>{{ loop([]) }}{% endfor %}",
    ]) {
      assert.deepEqual(marked(template, say("c")), ["c"], template);
    }
  });

  it("marks names, arguments, tools, keys and variables", () => {
    const messages: Message[] = [
      {
        role: "assistant",
        content: null,
        tool_calls: [{ function: { name: "f", arguments: '{"<k>":"<v>"}' } }],
      },
    ];
    const template =
      "{% for c in messages[0].tool_calls %}{{ c.function.name }}:{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}{% endfor %}";
    assert.deepEqual(marked(template, messages), ["f", "<k>", "<v>"]);
    assert.deepEqual(
      marked("{{ tools[0].function.name }}|{{ x }}", messages, {
        tools: [{ type: "function", function: { name: "<t>" } }],
        x: "<x>",
      }),
      ["<t>", "<x>"],
    );
  });

  it("marks what is left of contents when the last message goes on", () => {
    const template = "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}";
    const { text, marks } = new ChatTemplate(template).renderMarked(
      [...say("a"), { role: "assistant", content: "Once upon " }],
      { continueFinalMessage: true },
    );
    assert.equal(text, "<s>a</s><s>Once upon ");
    assert.deepEqual(marks, [3, 4, 11, 21]);
  });
});
