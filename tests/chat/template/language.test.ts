// The language of templates: what Python's jinja2 writes, and the errors of what is no template.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChatTemplate } from "../../../src/chat/template/chat_template.ts";
import type { Message } from "../../../src/session/messages.ts";
import { FormatError, UnsupportedError, UsageError } from "../../../src/util/errors.ts";

const hello: Message[] = [{ role: "user", content: "hi" }];
const render = (template: string, variables: Record<string, unknown> = {}) =>
  new ChatTemplate(template).render(hello, variables);

// Expressions and what str() of their value is in jinja2 3.1.
const expressions: readonly (readonly [string, string])[] = [
  ["7 // 2, -7 // 2, 7 % 3, -7 % 3, 2 ** 10, 7 / 2, 2 ** -1", "(3, -4, 1, 2, 1024, 3.5, 0.5)"],
  ["[1, 2] + [3], (1,) + (2,), [0] * 3, 'ab' * 2", "([1, 2, 3], (1, 2), [0, 0, 0], 'abab')"],
  ["1 ~ 2 ~ none ~ true", "12NoneTrue"],
  ["1 == 1.0, 1 == true, '1' == 1, [1] == (1,), none == false", "(True, True, False, False, False)"],
  ["'a' < 'b', [1, 2] < [1, 3], 'Z' < 'a'", "(True, True, True)"],
  ["1e3, 1.50, 1_000, 1e20, 0.00001", "(1000.0, 1.5, 1000, 1e+20, 1e-05)"],
  [
    "'it\\'s', \"q\\\"\", 'both \\'\"', 'tab\\t', 'é', '\\x07'",
    `("it's", 'q"', 'both \\'"', 'tab\\t', 'é', '\\x07')`,
  ],
  ["'\\u00e9\\d\\\\'", "é\\d\\"],
  [
    "'abc'[-1], 'abc'[5] is defined, 'abc'[::-1], 'abcdef'[1:5:2], [1, 2, 3][:-1]",
    "('c', False, 'cba', 'bd', [1, 2])",
  ],
  ["'😀b'[1], '😀b' | length, '😀b'[::-1]", "('b', 2, 'b😀')"],
  ["{'a': 1, 2: [none]}, {}, (), (1,)", "({'a': 1, 2: [None]}, {}, (), (1,))"],
  [
    "5 is divisibleby 5, 5 is divisibleby(2), 3 is in [1, 3], 3 is not in [1, 3]",
    "(True, False, True, False)",
  ],
  ["'a' is string and 1 is number and none is none and {} is mapping and [] is sequence", "True"],
  ["x is defined, x is undefined, x is none", "(False, True, False)"],
  ["'yes' if none is none else 'no'", "yes"],
  ["dict({'a': 1}, b=2), dict([('a', 1)], a=2), dict(), [5, 6][true]", "({'a': 1, 'b': 2}, {'a': 2}, {}, 6)"],
  ["not 1 is eq 2 and 2 is gt 1", "True"],
  [
    "' a  b '.split(), ' a  b '.split(' '), 'a,b,c'.split(',', 1), ' a b c'.rsplit(none, 1)",
    "(['a', 'b'], ['', 'a', '', 'b', ''], ['a', 'b,c'], [' a b', 'c'])",
  ],
  ["'xxaxx'.strip('x'), ' a '.lstrip(), ' a '.rstrip(), '\\ufeffa'.strip() | length", "('a', 'a ', ' a', 2)"],
  ["'aXbXc'.replace('X', '-', 1), 'abc'.replace('', '.')", "('a-bXc', '.a.b.c.')"],
  [
    "'hello world'.title(), 'hELLO'.capitalize(), 'a'.upper(), 'Ab'.swapcase()",
    "('Hello World', 'Hello', 'A', 'aB')",
  ],
  [
    "'abc'.startswith(('x', 'a')), 'abc'.endswith('c'), 'abc'.find('c'), 'abc'.find('z'), 'aa'.count('a')",
    "(True, True, 2, -1, 2)",
  ],
  [
    "'abcabc'.find('a', 1), 'abcabc'.find('a', -3), 'abcabc'.find('c', 0, 2), 'abcabc'.rfind('a', 0, -3), " +
      "'😀a😀a'.find('a', 2), 'abc'.find('b', -9), 'abc'.find('b', none, 9)",
    "(3, 3, -1, 0, 3, 1, 1)",
  ],
  [
    "'a-b-c'.partition('-'), 'a-b-c'.rpartition('-'), 'a'.partition('-')",
    "(('a', '-', 'b-c'), ('a-b', '-', 'c'), ('a', '', ''))",
  ],
  ["'7'.zfill(3), 'a'.ljust(3) ~ '|', 'a'.rjust(3), 'ab'.center(5, '*')", "('007', 'a  |', '  a', '**ab*')"],
  [
    "'a\\nb\\n'.splitlines(), 'prefix-x'.removeprefix('prefix-'), 'x.py'.removesuffix('.py')",
    "(['a', 'b'], 'x', 'x')",
  ],
  [
    "'12'.isdigit(), 'a1'.isalnum(), 'a'.isalpha(), ' '.isspace(), 'A'.isupper()",
    "(True, True, True, True, True)",
  ],
  ["'{} {1} {x}'.format(1, 2, x=3) if false else '{0} {1} {x}'.format(1, 2, x=3)", "1 2 3"],
  ["'%s is %d and %.2f%%' % ('x', 3, 2.5), '%s' | format('y')", "('x is 3 and 2.50%', 'y')"],
  [
    "{'a': 1}.get('a'), {'a': 1}.get('b'), {'a': 1}.get('b', 2), {'a': 1}.keys() | list",
    "(1, None, 2, ['a'])",
  ],
  ["{'b': 1, 'a': 2} | dictsort, {'b': 1} | items | list", "([('a', 2), ('b', 1)], [('b', 1)])"],
  [
    "[3, 1, 2] | sort, [3, 1] | sort(reverse=true), ['b', 'A'] | sort, [1, 1, 2] | unique | list",
    "([1, 2, 3], [3, 1], ['A', 'b'], [1, 2])",
  ],
  [
    "[1, 2, 3] | select('odd') | list, [0, 1] | reject | list, [1, 2, 3] | sum, [] | sum",
    "([1, 3], [0], 6, 0)",
  ],
  ["['a', 'b'] | map('upper') | join(','), [[1], [2]] | map('first') | list", "('A,B', [1, 2])"],
  [
    "[1, 2, 3, 4, 5] | batch(2) | list, [1, 2] | first, [1, 2] | last, [] | first is defined",
    "([[1, 2], [3, 4], [5]], 1, 2, False)",
  ],
  [
    "'3' | int, '3.7' | int, 'x' | int, 'x' | int(9), 3.9 | int, '1.5' | float, 2.5 | round, 2.567 | round(2)",
    "(3, 3, 0, 9, 3, 1.5, 2.0, 2.57)",
  ],
  ["'a b c' | wordcount, ('<a>' | e) ~ '', 'a b' | urlencode, -3 | abs", "(3, '&lt;a&gt;', 'a%20b', 3)"],
  ["'hello world foo' | truncate(9), 'hello world' | truncate(5, true, '', 0)", "('hello...', 'hello')"],
  ["{'k': [1, 2.5, none, true, 'é\\n<']} | tojson", '{"k": [1, 2.5, null, true, "é\\n<"]}'],
  ["{'b': 1, 'a': []} | tojson(indent=2, sort_keys=true)", '{\n  "a": [],\n  "b": 1\n}'],
  [
    "x | default('d'), '' | default('d'), '' | default('d', true), x | upper, x | list, x | length",
    "('d', '', 'd', '', [], 0)",
  ],
  [
    "namespace(a=1).a, dict(a=1), range(3) | list, range(5, 1, -2) | list",
    "(1, {'a': 1}, [0, 1, 2], [5, 3])",
  ],
  ["{'items': 1}['items'], {'x': {'y': 2}}.x.y, [[1, [2]]][0][1][0]", "(1, 2, 2)"],
  [
    "messages[0].role, messages[0]['content'], messages | length, tools is none, documents is none",
    "('user', 'hi', 1, True, True)",
  ],
];

// Templates and what they write in jinja2 with trim_blocks, lstrip_blocks and loop controls.
const blocks: readonly (readonly [string, string])[] = [
  ["a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"],
  ["a  {%- if true -%}  b  {%- endif -%}  c", "abc"],
  ["{% if true %}\n\nx{% endif %}", "\nx"],
  ["  {%+ if true %}x{% endif +%}\ny", "  x\ny"],
  ["  {{ 1 }}\n  {# c #}\n  {#- c -#}  z", "  1\nz"],
  ["{% raw %}{{ x }}{% endraw %}|{%- raw -%} a {%- endraw -%} b", "{{ x }}|ab"],
  ["{{ '%}' }}{{ '}}' }}{{ {'a': {'b': 1}}.a.b }}", "%}}}1"],
  ["{% generation %}x{% endgeneration %}\ny {%- generation -%} z {%- endgeneration %}", "xyz"],
  [
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "02",
  ],
  ["{% for i in range(3) %}<{{ i }}{% if i == 1 %}!{% break %}{% endif %}>{% endfor %}", "<0><1!"],
  ["{% for i in [] %}x{% else %}none{% endfor %}", "none"],
  [
    "{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
    "1/2:1 2/2:3 ",
  ],
  [
    "{% for i in 'ab' %}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('x', 'y') }} {% endfor %}",
    "TrueFalsebx FalseTrueay ",
  ],
  ["{% for k, (a, b) in [('x', (1, 2))] %}{{ k }}{{ a }}{{ b }}{% endfor %}", "x12"],
  ["{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{% endfor %}{{ x }}", "111"],
  ["{% set a, b = 1, 2 %}{{ b }}{% set t %}<{{ a }}>{% endset %}{{ t }}", "2<1>"],
  [
    "{% macro m(a, b='d', c=none) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 2, 3, 4, z=5) }}",
    "1dNone(){} 123(4,){'z': 5}",
  ],
  ["{% macro m() %}{{ x }}{% endmacro %}{% for x in [1] %}[{{ m() }}]{% endfor %}", "[]"],
  [
    "{% macro w(t) %}<{{ t }}>{{ caller('c') }}</>{% endmacro %}{% call(v) w('b') %}{{ v }}!{% endcall %}",
    "<b>c!</>",
  ],
  ["{% filter upper %}ab{% endfilter %}{% if x %}{% endif %}", "AB"],
  ["{% set l = [] %}{% set _ = l.append(1) %}{% set _ = l.extend([2, 3]) %}{{ l.pop() }}{{ l }}", "3[1, 2]"],
  ["{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"],
  ["{% set a = 5 %}{% with a = 1, b = a %}{{ a }},{{ b }}{% endwith %},{{ a }}", "1,5,5"],
  ["{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", "1False"],
  [
    "{% with a = [1], b = {'k': 2} %}{% with a = 'in' %}{{ a }}{% endwith %}{{ a }}{{ b.k }}{% endwith %}",
    "in[1]2",
  ],
  [
    "{% for i in [1, 2, 3] %}{% with j = loop.index %}{% if i == 2 %}{% continue %}{% endif %}{{ j }}{% endwith %};{% endfor %}",
    "1;3;",
  ],
  ["a\n  {% with a = 1 -%}\n  x\n  {%- endwith %}\nb{% filter upper %}c{% endfilter %}", "a\nxbC"],
  ["{% for i in [1, 1, 2, 1] %}{{ loop.changed(i, 'x') }} {% endfor %}", "True False True True "],
  ["{% for i in [1, 2] %}{{ loop.changed() }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "True10False10"],
  [
    "{% set tree = [{'n': 'a', 'c': [{'n': 'b', 'c': []}, {'n': 'd', 'c': []}]}, {'n': 'e', 'c': []}] %}" +
      "{% for t in tree if t.n != 'd' recursive %}{{ loop.depth }}{{ t.n }}({{ loop(t.c) }}){% else %}-{% endfor %}",
    "1a(2b(-))1e(-)",
  ],
  ["{% set recursive = [1, 2] %}{% for i in recursive %}{{ i }}{% endfor %}", "12"],
  [
    "{% set x = 3 %}{{ 1 < x < 5 }}{{ 1 < x < 2 }}{{ 5 > x > 2 > 1 }}{{ 1 in [1] == true }}{{ 5 < 2 < none.y }}",
    "TrueFalseTrueFalseFalse",
  ],
  [
    "{% set x = 3 %}{{ (1 < x) == true }}{{ (x == 3) != (1 == 2) }}{{ [1 < x, x < 2] }}{{ 1 < x and x < 5 }}",
    "TrueTrue[True, False]True",
  ],
  ["{% for a in [1, 2, 3] if 1 < a < 3 %}{{ a == 2 in [2] }}{% endfor %}", "True"],
  ["a\r\nb\rc\n", "a\nb\nc"],
  ["{{ none }}{{ true }}{{ undefined_thing }}{{ 1.0 }}", "NoneTrue1.0"],
];

describe("ChatTemplate", () => {
  it("computes expressions as Python does", () => {
    for (const [expression, expected] of expressions) {
      assert.equal(render(`{{ ${expression} }}`), expected, expression);
    }
  });

  it("runs blocks as Python does", () => {
    for (const [template, expected] of blocks) assert.equal(render(template), expected, template);
  });

  it("writes dates of the time that it is given, in UTC", () => {
    const now = new Date("2024-02-29T13:04:05Z");
    assert.equal(
      render("{{ strftime_now('%d %b %Y, %A %-d %B %y %j %H:%M:%S %I %p %%') }}", { now }),
      "29 Feb 2024, Thursday 29 February 24 060 13:04:05 01 PM %",
    );
    assert.match(render("{{ strftime_now('%Y') }}"), /^20\d\d$/);
  });

  it("refuses what is no template, with the line", () => {
    for (const [template, message] of [
      ["a\n{% if x %}\nb", /Line 3: Unexpected end/],
      ["a\n\n{{ 1 + }}", /Line 3: Unexpected token/],
      ["{{ 'abc }}", /Line 1: Expected ' at the end of a text/],
      ["\n{{ x ", /Line 2: Expected }}, got none/],
      ["\n{# x ", /Line 2: Expected #}/],
      ["{% raw %}", /Line 1: Expected {% endraw %}/],
      ["\n{% frob %}", /Line 2: Unknown statement type: frob/],
      ["{% with a = 1 %}\n{% else %}{% endwith %}", /Line 2: Unknown statement type: else/],
      ["{% with a = 1 %}\n{% endfilter %}", /Line 2: Unexpected endfilter/],
      ["\n{% endwith %}", /Line 2: Unexpected endwith/],
      ["{% with a = 1 %}", /Line 1: Unexpected end/],
      ["{{ a ] }}", /Line 1: Unexpected \]/],
      ["{{ a ? b }}", /Line 1: Unexpected character "\?"/],
      [`{{ ${"(".repeat(20_000)}1${")".repeat(20_000)} }}`, /Line 1: Expected at most 100 brackets/],
      [`{{ ${"not ".repeat(60_000)}x }}`, /template: Expected less nesting/],
      ["x".repeat((256 << 10) + 1), /Expected at most 262144 characters/],
    ] as const) {
      assert.throws(
        () => new ChatTemplate(template),
        (error) => {
          assert.ok(error instanceof FormatError, String(error));
          assert.match(error.message, message);
          return true;
        },
      );
    }
    assert.throws(() => new ChatTemplate(7 as never), UsageError);
  });

  it("fails with Python's reason", () => {
    for (const [template, message] of [
      ["{{ x.y }}", /'x' is undefined/],
      ["{{ messages[0].nothing.y }}", /'nothing' is undefined/],
      ["{{ 'a' + 1 }}", /Unsupported operand types for \+: 'str' object and 'int' object/],
      ["{{ none | length }}", /'NoneType' object has no length/],
      ["{% for i in 5 %}{% endfor %}", /'int' object is not iterable/],
      ["{{ 'a' in none }}", /'NoneType' object is not iterable/],
      ["{{ 1 / 0 }}", /division by zero/],
      ["{{ 1 < 'a' }}", /have no order/],
      ["{{ x() }}", /'x' is undefined, which is not callable/],
      ["{{ 1 | frob }}", /No filter named 'frob'/],
      ["{{ 1 is frob }}", /No test named 'frob'/],
      ["{{ {[]: 1} }}", /cannot be a key/],
      ["{% set a, b = [1] %}", /unpack/],
      ["{% with 5 %}{% endwith %}", /Expected names and values for with/],
      ["{% for a in [1] %}{{ loop([2]) }}{% endfor %}", /Expected a loop marked as recursive/],
    ] as const) {
      assert.throws(
        () => render(template),
        (error) => {
          assert.ok(error instanceof UsageError, String(error));
          assert.match(error.message, /^Cannot render messages: The chat template fails: /);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });

  it("gives a refusal of the template in its own words", () => {
    assert.throws(() => render("{{ raise_exception('Roles must alternate!') }}"), {
      code: UsageError.code,
      message: "Cannot render messages: The chat template refuses them: Roles must alternate!",
    });
  });

  it("ends templates that take too much", () => {
    for (const template of [
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% for i in range(10**9) %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{{ 'x' * 10**9 }}",
      "{{ [1] * 10**9 }}",
      "{{ 'x'.ljust(10**9) }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      `{{ ${"1 + ".repeat(5000)}1 }}`,
      "{% set x = 'a' * 4000000 %}{% for i in range(1000) %}{{ 'b' in x }}{% endfor %}",
      "{% set x = 'a' * 2000000 %}{% for i in range(1000) %}{% set y = x | upper %}{% endfor %}",
      "{% for i in range(3000) %}{{ 'x' * 3000 }}{% endfor %}",
      "{% set l = [1] %}{% for i in l %}{% set _ = l.append(1) %}{% endfor %}",
    ]) {
      assert.throws(() => render(template), UnsupportedError, template.slice(0, 80));
    }
    // White space is read once.
    assert.equal(render(`a${" ".repeat(200_000)}{% generation %}x{% endgeneration %}`).length, 200_002);
  });

  it("says of messages that are too long that they are, and blames no template", () => {
    const content = "x".repeat((4 << 20) + 1);
    const template = new ChatTemplate("{{ messages[0].content }}");
    assert.throws(() => template.render([{ role: "user", content }]), {
      name: "UsageError",
      message: /Expected messages and variables of at most 4194304 characters/,
    });
  });

  it("has no way to the runtime", () => {
    for (const name of ["constructor", "__proto__", "prototype", "toString", "__class__", "hasOwnProperty"]) {
      for (const of of ["''", "[]", "{}", "messages", "range", "namespace()", "none", "1"]) {
        assert.equal(render(`{{ ${of}['${name}'] is defined }}`), "False", `${of}.${name}`);
        assert.equal(render(`{{ ${of}.${name} is defined }}`), "False", `${of}.${name}`);
      }
      assert.equal(render(`{{ ${name} is defined }}`), "False", name);
      assert.throws(() => render(`{{ 'x' | ${name} }}`), /No filter named/);
      assert.throws(() => render(`{{ 'x' is ${name} }}`), /No test named/);
    }
  });
});
