// Templates that want to take a machine's time and memory: each ends with a typed error, after work that is bounded.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChatTemplate } from "../../../src/chat/template/chat_template.ts";
import { Meter } from "../../../src/chat/template/limits.ts";
import type { Message } from "../../../src/session/messages.ts";
import { FormatError, UnsupportedError, UsageError } from "../../../src/util/errors.ts";

const hello: Message[] = [{ role: "user", content: "hi" }];

const loop = (body: string, n = 99_999) => `{% for i in range(${n}) %}${body}{% endfor %}`;
/** Sets a name to a text or list that is put together with itself so many times: work for nobody yet. */
const doubled = (name: string, value: string, times: number, operator = "~") =>
  `{% set ns = namespace(v=${value}) %}${loop(`{% set ns.v = ns.v ${operator} ns.v %}`, times)}{% set ${name} = ns.v %}`;
/** Four million characters, as many as a text may have. */
const big = doubled("big", "'A'", 22);
const items = "{% set l = range(100000) | list %}";
const self = "{% set l = [1] %}{% set _ = l.append(l) %}";
/** A text of which every other character is of a message. */
const mixed = doubled("t", "([messages[0].content, 'x'] * 15000) | join", 2);
const needles = `${doubled("h", "'a'", 21)}${doubled("n", "'a'", 20)}`;

const names = Array(60_000).fill("a").join(",");

/** Ends because of its steps, its work on texts, a text's length, or its depth. */
const hostile: Readonly<Record<string, string>> = {
  "loops inside loops": loop(loop("")),
  "a list that grows while a loop goes through it":
    "{% set l = [1] %}{% for i in l %}{% set _ = l.append(1) %}{% endfor %}",
  "a text that doubles": doubled("x", "'x'", 60),
  "a list that doubles": doubled("x", "[1]", 60, "+"),
  "a huge range": "{% for i in range(10**9) %}{% endfor %}",
  "a text many times": "{{ 'x' * 10**9 }}",
  "a list many times": "{{ [1] * 10**9 }}",
  "padding without end": "{{ 'x'.rjust(10**9) }}",
  "padding again and again": loop("{% set x = 'x' | center(4000000) %}"),
  "a tree of lists, printed": `${doubled("x", "[1]", 1)}${loop("{% set ns.v = [ns.v, ns.v] %}", 60)}{{ ns.v }}`,
  "a tree of lists as JSON": `${doubled("x", "[1]", 1)}${loop("{% set ns.v = [ns.v, ns.v] %}", 60)}{{ ns.v | tojson }}`,
  "a tree of tuples as a key": `${doubled("x", "(1,)", 1)}${loop("{% set ns.v = (ns.v, ns.v) %}", 60)}{{ {ns.v: 1} }}`,
  "a long tuple as a key": `{% set t = (1,) * 100000 %}{% set d = {} %}${loop("{% set x = d.get(t) %}")}`,
  "a list inside itself, printed": `${self}{{ l }}`,
  "a list inside itself as JSON": `${self}{{ l | tojson(indent=2) }}`,
  "a list inside itself, compared": `${self}{% set m = [1] %}{% set _ = m.append(m) %}{{ l == m }}`,
  "a dict inside itself": "{% set d = {} %}{% set _ = d.update(a=d) %}{{ d | tojson }}",
  "a namespace inside itself": "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
  "JSON with a long key": `${big}{% set d = {big[:2000000]: 1} %}${loop("{% set x = d | tojson %}")}`,
  "JSON with long separators": `${big}${loop("{% set x = [1, 2] | tojson(separators=(big, big)) %}")}`,
  "JSON in ASCII": `{% set x = 'é' * 100000 %}${loop("{% set y = x | tojson(ensure_ascii=true) %}")}`,
  "upper case that is longer": `${doubled("x", "'ŉ'", 22)}{{ x | upper | length }}`,
  "text for HTML": `${doubled("x", "'<'", 19)}${loop("{% set y = x | e %}")}`,
  "text for addresses": `${doubled("x", "'語'", 19)}${loop("{% set y = x | urlencode %}")}`,
  "a date of a long format": `${doubled("x", "'%A'", 18)}${loop("{% set y = strftime_now(x) %}")}`,
  "characters to trim": `${big}${loop("{% set x = 'a' | trim(big) %}")}`,
  "replaced by something longer": `${doubled("x", "'a'", 18)}{{ x.replace('a', x) }}`,
  "replaced again and again": loop("{% set x = 'aaaa'.replace('', 'b' * 9999) %}"),
  "a pattern of percents": `${doubled("p", "'%%'", 20)}${loop("{% set x = p % () %}")}`,
  "a format with long values": `${mixed}${loop("{% set x = '{}{}{}'.format(t, t, t) %}")}`,
  "a long text, sorted many times": `${big}{{ ([big] * 90000) | sort | length }}`,
  "a long text, once": `${big}{{ ([big] * 90000) | unique | length }}`,
  "the longest of long texts": `${big}{{ ([{'k': big}] * 90000) | map(attribute='k') | max | length }}`,
  "sorting without end": items + loop("{% set x = l | sort(reverse=true) %}"),
  "a long list, reversed": items + loop("{% set x = l.reverse() %}"),
  "a long list, joined": `${big}{{ ([big] * 99999) | join }}`,
  "batches of one": items + loop("{% set x = l | batch(1, 0) | list %}"),
  "slices of a list": items + loop("{% set x = l[::-1] %}"),
  "slices of a text": big + loop("{% set x = big[::-1] %}"),
  "searching without end": `${needles}{% set n = n ~ 'b' %}${loop("{% set x = n in h %}")}`,
  "searching for what begins as all does": `${needles}{% set n = n ~ 'b' %}{{ n in h }}`,
  "searching for what differs in its middle": `${needles}{{ h.replace(n[:500000] ~ 'b' ~ n[:500000], '') | length }}`,
  "searching from the end": `${needles}{{ h.rsplit(n ~ 'b') | length }}`,
  "a part that differs late": `${needles}{{ h.rpartition(n ~ 'b') | length }}`,
  "a place that differs late": `${needles}{{ h.find(n ~ 'b') }}`,
  "many long prefixes": `${needles}{{ h.startswith((n ~ 'b',) * 100000) }}`,
  "many prefixes, many times": `{% set t = ('b',) * 100000 %}${loop("{% set x = 'a'.endswith(t) %}")}`,
  "blanks to trim": `${doubled("x", "' '", 20)}${loop("{% set y = x | trim %}")}`,
  "attributes inside attributes": `${self}{% set _ = l.append(l) %}{{ ([l] * 90000) | map(attribute='1' ~ '.1' * 400) | list | length }}`,
  "names for the items of many": `{% set t = (1,) * 60000 %}{% for ${names} in [t] * 20000 %}{% endfor %}`,
  "names that are set": `{% set t = (1,) * 60000 %}${loop(`{% set ${names} = t %}`)}`,
  "marks of messages, written": `${mixed}${loop("{% set x %}{{ t }}{% endset %}")}`,
  "marks of messages, cut": `${mixed}${loop("{% set x = t.split('x') %}")}`,
  "pairs for a namespace": `{% set l = [('a', 1)] * 90000 %}${loop("{% set x = namespace(l) %}")}`,
  "arguments for each of many": "{{ ([[]] * 90000) | map('map', 'x', *range(100000)) | list | length }}",
  "a macro inside itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
  "a tree of macros":
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
  "a call block inside itself":
    "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
  "a loop inside itself": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
  "names in deep scopes": `${"{% with a = 1 %}".repeat(300)}${loop("{{ b }}{{ b }}")}${"{% endwith %}".repeat(300)}`,
  "a long sum": `{{ ${"1 + ".repeat(20_000)}1 }}`,
};

/** Work of a rendering, as its meter is told of it. */
interface Work {
  steps: number;
  units: number;
  longest: number;
}

/** Notes what meters are told while `run` runs. */
function watched(run: () => void): Work {
  const work: Work = { steps: 0, units: 0, longest: 0 };
  const { step, units, length } = Meter.prototype;
  Meter.prototype.step = function (this: Meter, n = 1) {
    step.call(this, n);
    work.steps += n;
  };
  Meter.prototype.units = function (this: Meter, n: number) {
    units.call(this, n);
    work.units += n;
  };
  Meter.prototype.length = function (this: Meter, n: number) {
    length.call(this, n);
    work.longest = Math.max(work.longest, n);
  };
  try {
    run();
  } finally {
    Object.assign(Meter.prototype, { step, units, length });
  }
  return work;
}

function render(template: string, messages = hello): string {
  return new ChatTemplate(template).render(messages);
}

describe("hostile templates", () => {
  for (const [name, template] of Object.entries(hostile)) {
    it(`end after bounded work: ${name}`, () => {
      const { steps, units, longest } = watched(() =>
        assert.throws(() => render(template), UnsupportedError),
      );
      assert.ok(steps <= 410_000, `${steps} steps`);
      assert.ok(units <= 17_000_000, `${units} units`);
      assert.ok(longest <= 4 << 20, `a text of ${longest} units`);
    });
  }

  it("that are harmless in the end take little", () => {
    const { steps } = watched(() => {
      assert.equal(render(`{{ ${"1 <= ".repeat(20_000)}1 }}`), "True");
      assert.equal(render(`{{ ${"x is eq [".repeat(50)}${"1, ".repeat(5000)}1${"]".repeat(50)} }}`), "False");
      assert.equal(
        render(`${needles}{% set n = 'b' ~ n %}{{ h.rfind(n) }}{{ h.rsplit(n) | length }}`),
        "-11",
      );
      assert.equal(
        render(`{% set l = [[]] * 90000 %}${loop("{% set x = true[l] %}", 9000)}{{ x is defined }}`),
        "False",
      );
      assert.equal(
        render(`${mixed}{{ t.split('x') | length }}{{ t.replace('x', '') | length }}`),
        "60001120000",
      );
    });
    assert.ok(steps <= 800_000, `${steps} steps`);
  });

  it("have one budget, in however many ways they are tried", () => {
    const late = `${loop("{% set x = 1 %}", 50_000)}{{ 1 / 0 }}`;
    const { steps } = watched(() => assert.throws(() => render(late), /division by zero/));
    assert.ok(steps <= 410_000, `${steps} steps`);
  });

  it("fail with a typed error if they are no templates, or compute what is no number", () => {
    const deep = "{% if true %}".repeat(15_000) + "{% endif %}".repeat(15_000);
    assert.throws(() => render(deep), FormatError);
    for (const template of [
      "{{ 10 ** 300 * 10 ** 300 }}",
      "{{ 2 ** 5000 }}",
      "{{ 10 ** 400 - 10 ** 400 }}",
    ]) {
      assert.throws(() => render(template), { code: UsageError.code, message: /out of range/ }, template);
    }
    assert.equal(render(`{{ ('9' * 500) | int(7) }}`), "7");
  });
});
