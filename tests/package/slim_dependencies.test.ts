// Packages in the bundles do what they do in node_modules, without what cria never reaches.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { ChatTemplate } from "../../src/chat/template/chat_template.ts";
import type { Message } from "../../src/session/messages.ts";

const { slimDependencies, slimmed } = await import(
  new URL("../../scripts/slim_dependencies.mjs", import.meta.url).href
);

/** chat_template.ts as the bundles have it, and the bytes of the package in it. */
async function bundled(
  plugins: readonly Plugin[],
): Promise<{ Template: typeof ChatTemplate; bytes: number }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/chat/template/chat_template.ts", import.meta.url))],
    ...{ bundle: true, format: "esm", target: "es2022", platform: "neutral", charset: "utf8" },
    ...{ minifySyntax: true, metafile: true, write: false },
    plugins: [...plugins],
  });
  const { inputs = {} } = Object.values(metafile.outputs)[0] ?? {};
  const path = Object.keys(inputs).find((path) => path.includes("@huggingface/jinja")) ?? "";
  const script = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  const library = await import(`data:text/javascript;base64,${script}`);
  return { Template: library.ChatTemplate, bytes: inputs[path]?.bytesInOutput ?? 0 };
}

const messages: Message[] = [
  { role: "user", content: "a,b" },
  { role: "assistant", content: "c" },
];
const variables = { d: { k: 1, n: { z: [1.5, null] } }, l: [1, 2.5, "a", true], now: new Date(0) };

// All that the package's parser and interpreter still do, and what they say of what they refuse.
const templates = [
  "{{ 1 }}{{ 2.5 }}{{ 1.0 }}{{ 'a' 'b' }}{{ [1, [2.0, none]] }}{{ (1, 'x') }}{{ {'a': 1, 2: [true]} }}{{ -1 }}{{ +2.5 }}{{ not x }}",
  "{{ 1 + 2 * 3 ** 2 // 2 % 5 - 1 / 2 }}{{ 1 < 2 and 2 >= 3 or 'a' in 'ab' }}{{ 1 not in l }}{{ 'a' ~ 1 }}",
  "{{ 'y' if l else 'n' }}{{ 'y' if nope }}{{ l[1:] }}{{ l[::-1] }}{{ d.n.z[0] }}{{ d['k'] }}{{ l.0 }}",
  "{% set x = 1 %}{% set x, y = l[:2] %}{% set n = namespace(a=1) %}{% set n.a = n.a + y %}{{ x }}{{ n.a }}{{ n }}",
  "{% set x %}<{{ d.k }}>{% endset %}{{ x|upper }}{% filter upper|trim %} z {% endfilter %}{% filter replace('a', 'b') %}a{% endfilter %}",
  "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m.content }}{% else %}none{% endfor %}",
  "{% for k, v in d.items() %}{{ k }}{% if k == 'n' %}{% break %}{% endif %}{% continue %}{% endfor %}",
  "{% if nope %}1{% elif d %}2{% else %}3{% endif %}",
  "{% macro f(a, b=a) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{{ caller('q') if caller }}{% endmacro %}{{ f(*l, z=1) }}{% call(q) f(1) %}{{ q }}{% endcall %}{{ f(**{'a': 3}) }}",
  "{{ namespace({'a': 1}, b=2).b }}{{ namespace([('a', 1)]).a }}{{ namespace(['ab']).a }}{{ dict(a=1) }}{{ range(3) }}",
  "{{ 'a b'.split() }}{{ 'a'.upper() }}{{ d.keys() }}{{ d.get('k') }}{{ l|tojson }}{{ l|join('-') }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}",
  // How values write themselves in errors.
  ...[
    "{{ l[[1.0, -2.5, {'a': [none, nope, 'q']}, (1, 2)]].y }}",
    "{{ l[[1.0, {'a': [none, nope, 'q', true]}, namespace(a=1)]].y }}",
  ],
  ...["{{ namespace(1, 2) }}", "{{ namespace(1) }}", "{{ namespace([1]) }}", "{{ namespace([(1, 2)]) }}"],
  ...[
    "{{ d(1) }}",
    "{{ d.k.nope.x }}",
    "{{ -'a' }}",
    "{{ dict(**1) }}",
    "{{ dict(*1) }}",
    "{{ dict(a=1, **{'a': 2}) }}",
  ],
  ...[
    "{% set x, y = 1 %}",
    "{% set x, y = l %}",
    "{% set x, 1 = l[:2] %}",
    "{% set d.k = 1 %}",
    "{% set 1 = 1 %}",
  ],
  ...[
    "{{ 1 }",
    "{% foo %}",
    "{% if 1 %}",
    "{% for 1 in l %}{% endfor %}",
    "{% for x %}{% endfor %}",
    "{{ 1 | }}",
    "{{ 1 is 2 }}",
  ],
  ...[
    "{{ (1 }}",
    "{{ [1 }}",
    "{{ {1} }}",
    "{{ d. }}",
    "{{ l[] }}",
    "{{ l[1:2:3:4] }}",
    "{{ f(a=1, 2) }}",
    "{{ f(*l, 1) }}",
  ],
  ...[
    "{% macro 1() %}{% endmacro %}",
    "{% macro f(a, a) %}{% endmacro %}",
    "{% macro f(*a) %}{% endmacro %}",
  ],
  ...[
    "{% call 1() %}{% endcall %}",
    "{{ 1:2 }}",
    "{{ * }}",
    "{% set %}",
    "{% endfor %}",
    "{{ f(**d, 1) }}",
    "{{ f(*l, *l) }}",
  ],
];

function outcome(Template: typeof ChatTemplate, template: string): string {
  try {
    return new Template(template).render(messages, variables);
  } catch (error) {
    return String(error);
  }
}

describe("slimDependencies", () => {
  it("leaves the parser of the template engine, which writes and refuses the same", async () => {
    const [whole, slim] = [await bundled([]), await bundled([slimDependencies])];
    assert.ok(slim.bytes > 0 && slim.bytes < 0.5 * whole.bytes, `${slim.bytes} of ${whole.bytes} bytes`);
    const failed = templates.filter((template) => {
      const expected = outcome(ChatTemplate, template);
      assert.equal(outcome(slim.Template, template), expected, template);
      return /^\w*Error: /.test(expected);
    });
    assert.ok(failed.length > 30 && failed.length < templates.length - 10, `${failed.length} failed`);
  });
});

describe("slimmed()", () => {
  const script = `
const WORDS = Object.freeze({ One: "one" }), unused = made();
class Kept { constructor() { this.word = WORDS.One; } gone() { return 1; } stays() { return 2; } }
function made(x) { switch (x) { case "a": return 1; case "b": return 2; default: return 3; } }
made.early = 1;
export function long(x) { return x + 1 - 1; }
export { Kept, made };`;
  const classes = script.replace("class Kept", "const Kept = class");

  it("takes out cases, statements and constants, and replaces functions", () => {
    const text = slimmed(classes, {
      cases: { made: "a" },
      statements: ["made.early ="],
      functions: { long: "(x) { return x; }" },
      constants: ["WORDS"],
      pure: ["unused"],
    });
    assert.match(text, /this\.word = "one"/);
    assert.match(text, /unused = \/\* @__PURE__ \*\/ made\(\)/);
    assert.match(text, /export function long\(x\) \{ return x; \}/);
    for (const gone of ["early", 'case "a"', "WORDS.One"]) assert.ok(!text.includes(gone), gone);
    for (const kept of ["stays()", 'case "b"', "default:"]) assert.ok(text.includes(kept), kept);
  });

  it("refuses what is not there exactly once", () => {
    const refused = (cut: object, reason: RegExp, text = classes) =>
      assert.throws(() => slimmed(text, cut), reason);
    refused({ cases: { made: "z" } }, /case z: Expected it once, got it 0 times/);
    refused({ statements: ["return"] }, /return: Expected it once, got it \d+ times/);
    refused({ functions: { missing: "() {}" } }, /missing: Expected it once/);
    refused({ pure: ["missing"] }, /missing: Expected it once/);
    refused({ constants: ["WORDS"] }, /WORDS\.Two: Expected a text/, `${classes} made(WORDS.Two);`);
  });
});
