// Edits of a built script: names, line lengths, and the source map that follows them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { build, transform } from "esbuild";

const {
  applyEdits,
  classNames,
  lineBreaks,
  lineMappings,
  privateNames,
  pureConstants,
  shortVariables,
  textsFirst,
} = await import(new URL("../../scripts/source_edits.mjs", import.meta.url).href);

const source = `
class Base { constructor(value) { this.value = value } }
export const Made = class Made extends Base {
  #hidden = [1, 2, 3];
  static one() { return new Made("a,b;c{d") }
  get hidden() { return { Made, list: this.#hidden.map((n) => { return n + 1; }) } }
};
export function text(x) { return \`\${x},{;\${[x, x].join(",")};,\` + /[,;{]/.test("{").toString(); }
`;

async function minified() {
  const { code, map } = await transform(source, {
    ...{ minify: true, format: "iife", globalName: "library" },
    ...{ sourcemap: "external", sourcefile: "a.js" },
  });
  return { text: code, map: JSON.parse(map) };
}

/** Where the source map leads from each occurrence of a word, as the word that stands there. */
function mapped({ text, map }: { text: string; map: object }, word: RegExp): string[] {
  const sourceMap = new SourceMap(map as ConstructorParameters<typeof SourceMap>[0]);
  const lines = source.split("\n");
  return text.split("\n").flatMap((line, i) =>
    [...line.matchAll(word)].map(({ index }) => {
      const entry = sourceMap.findEntry(i, index) as { originalLine: number; originalColumn: number };
      return /^[#\w"]*/.exec(lines[entry.originalLine]?.slice(entry.originalColumn) ?? "")?.[0] ?? "";
    }),
  );
}

function run(text: string): unknown[] {
  const library = new Function(`${text}\nreturn library;`)();
  const made = library.Made.one();
  return [made.value, made.hidden.list, made.hidden.Made === library.Made, library.text(1)];
}

const results = ["a,b;c{d", [2, 3, 4], true, "1,{;1,1;,true"];

describe("shortVariables()", () => {
  const script = `
var numbers = [1, 2], counted = 0, $0 = "taken", shared = new Map, unset;
var useful = () => numbers, Kind = class { numbers = 3; counted() { return counted; } }, made = [class {}];
function count({ counted, unset = numbers }, ...shared) { counted ??= 4; ({ numbers } = { numbers }); return { counted, unset, shared }; }
function own(object) { let { numbers: found, ...unset } = object; return [found, unset, object.numbers, import.meta.numbers]; }
export { count, own, useful, Kind, made, shared as kept, own as unset };
export const seen = [count({}, 5), count({ counted: 6, unset: 7 }), own({ numbers: 8, counted: 9 }), new Kind(), $0];`;
  const edited = applyEdits({ text: script, map: { mappings: "" } }, shortVariables(script)).text;

  it("renames what holds no function and no class, and keeps properties, exports and what the script does", async () => {
    assert.match(edited, /^\nvar \$\w = \[1, 2\], \$\w = 0, \$0 = "taken", shared = new Map, unset;$/m);
    for (const name of ["useful", "Kind", "made", "count", "own", "seen"])
      assert.ok(edited.includes(name), name);
    const folder = mkdtempSync(join(tmpdir(), "cria-names-"));
    const loaded = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return import(pathToFileURL(join(folder, name)).href);
    };
    const [before, after] = [await loaded("before.mjs", script), await loaded("after.mjs", edited)];
    rmSync(folder, { recursive: true });
    assert.equal(before.seen.length, 5);
    assert.deepEqual(JSON.stringify(after.seen), JSON.stringify(before.seen));
    assert.deepEqual([after.useful(), new after.Kind().counted()], [[1, 2], 0]);
    assert.deepEqual(Object.keys(after), Object.keys(before));
  });
});

describe("lineBreaks()", () => {
  it("bounds every line, changes nothing that the script does, and keeps the map", async () => {
    const script = await minified();
    const words = /"a,b;c\{d"|\bjoin\b|\btest\b/g;
    const before = mapped(script, words);
    assert.deepEqual(new Set(before), new Set(['"a', "join", "test"]));
    for (const limit of [30, 80, 100, 1000]) {
      const broken = applyEdits(script, lineBreaks(script.text, limit));
      if (limit >= 80) {
        const longest = Math.max(...broken.text.split("\n").map((line: string) => line.length));
        assert.ok(longest <= limit, `${longest} of ${limit}`);
      }
      assert.deepEqual(run(broken.text), results, `${limit}`);
      assert.deepEqual(mapped(broken, words), before, `${limit}`);
      assert.equal(broken.text.replaceAll("\n", ""), script.text.replaceAll("\n", ""));
    }
  });
});

describe("lineBreaks()", () => {
  it("gives statements lines of their own, and breaks long texts between their characters", () => {
    const units = [
      "a",
      "\\n",
      "\\\\",
      "\\u{1f600}",
      "\\u0041",
      "\\x42",
      "\u{1f600}",
      "\\0",
      "$",
      "{",
      "\\`",
      '\\"',
      ",",
      ";",
    ];
    const long = Array.from({ length: 300 }, (_, i) => units[(i * i + 3 * i) % units.length]).join("");
    const body = long.replaceAll("${", "$ {");
    const text = `var a="${long}",b=\`${body}\${a}${body}$\`;function c(){return[a,b]}var d=/[,;{]/;`;
    const value = (script: string) => new Function(`${script}\nreturn [...c(), d.source];`)();
    for (const limit of [40, 41, 42, 43, 100]) {
      const broken: string = applyEdits({ text, map: { mappings: "" } }, lineBreaks(text, limit)).text;
      assert.deepEqual(value(broken), value(text), `${limit}`);
      assert.ok(
        broken.split("\n").every((line) => line.length <= limit && !/[\ud800-\udbff]\\?$/.test(line)),
      );
      assert.match(broken, /^function c\(\)\{return\[a,b\]\}\nvar d=/m);
    }
  });
});

describe("textsFirst()", () => {
  it("keeps the map of what is behind them", async () => {
    const text = `function first() { return 1; }\nvar long = "${"x".repeat(50)}";\nfunction second() { return long; }\n`;
    const { code, map } = await transform(text, { sourcemap: "external", sourcefile: "a.js" });
    const moved = applyEdits({ text: code, map: JSON.parse(map) }, textsFirst(code, 9));
    const lines: string[] = moved.text.split("\n");
    const sourceMap = new SourceMap(moved.map);
    const lineOf = (word: string) => {
      const line = lines.findIndex((text) => text.includes(word));
      const entry = sourceMap.findEntry(line, (lines[line] as string).indexOf(word));
      return (entry as { originalLine?: number }).originalLine;
    };
    assert.deepEqual([lineOf("first"), lineOf("second"), lineOf("return long")], [0, 2, 2]);
    assert.match(lines[0] ?? "", /^(var|let|const) long/);
  });

  it("moves long texts to the begin, and nothing else", () => {
    const text =
      'var a = 1;\nvar b = "long text";\nexport var c = "long text";\nvar d = "short", e = "long text";\nvar f = `long\ntext`;\nvar g = made("long text");';
    assert.equal(
      applyEdits({ text, map: { mappings: "" } }, textsFirst(text, 9)).text.replace(/\n+/g, "|"),
      'var b = "long text";|var f = `long|text`;|var a = 1;|export var c = "long text";|var d = "short", e = "long text";|var g = made("long text");',
    );
  });
});

describe("classNames()", () => {
  it("calls a class that refers to itself by its variable", async () => {
    const { text, map } = await minified();
    const renamed = applyEdits({ text, map }, classNames(text));
    const [, variable, own] = /(\w+)=class (\w+) extends/.exec(renamed.text) ?? [];
    assert.ok(variable);
    assert.equal(own, variable);
    assert.deepEqual(run(renamed.text), results);
    assert.deepEqual(mapped(renamed, /\bjoin\b|\bvalue\b/g), mapped({ text, map }, /\bjoin\b|\bvalue\b/g));
  });
});

describe("privateNames()", () => {
  it("finds names of private methods, which stack traces show, and no other number sign", () => {
    const text =
      'class A{#b=1;#call(){return this.#b+"#d"+/#e/.source}get #face(){return this.#call()}}// #call';
    assert.deepEqual(
      privateNames(text).map((at: number) => text.slice(at, at + 5)),
      ["#call", "#face", "#call"],
    );
    assert.throws(() => privateNames("class A{#call(){};c(x){return #call in x}}"), /Cannot keep the name/);
    assert.throws(() => privateNames("class A{#a(){}}"), /Cannot keep the name #a: it is too short/);
  });
});

describe("lineMappings()", () => {
  it("leads every place to its line, by fewer segments and no names", async () => {
    const { text, map } = await minified();
    const slim = { ...map, names: [], mappings: lineMappings(map.mappings) };
    assert.ok(map.names.length > 0);
    assert.ok(slim.mappings.length < map.mappings.length / 2, `${slim.mappings.length} characters`);
    // With breaks within functions, lines of the script begin in the middle of lines of the source.
    for (const limit of [30, 1000]) {
      const broken = applyEdits({ text, map }, lineBreaks(text, limit));
      const byLines = { ...broken.map, mappings: lineMappings(broken.map.mappings) };
      const before = linesOf(broken);
      assert.deepEqual(linesOf({ text: broken.text, map: byLines }), before);
      assert.ok(new Set(before.values()).size > 5);
    }
  });
});

describe("lineMappings() without a source", () => {
  it("leads to the others as before", () => {
    const map = {
      version: 3,
      sources: ["a.js", "b.js", "c.js"],
      names: [],
      mappings: "AAAA,ICEE;ECCA,IDDD;AAAA,GDFA",
    };
    const place = (slim: object, line: number, column: number) => {
      const sourceMap = new SourceMap(slim as ConstructorParameters<typeof SourceMap>[0]);
      const { originalSource, originalLine } = sourceMap.findEntry(line, column) as Record<string, unknown>;
      return `${originalSource}:${originalLine}`;
    };
    const slim = { ...map, sources: ["a.js", "c.js"], mappings: lineMappings(map.mappings, 1) };
    const places = [
      [0, 1],
      [1, 3],
      [2, 4],
    ] as const;
    const before = places.map(([line, column]) => place(map, line, column));
    assert.deepEqual(before, ["a.js:0", "c.js:3", "a.js:0"]);
    assert.deepEqual(
      places.map(([line, column]) => place(slim, line, column)),
      before,
    );
    assert.equal(place(map, 0, 5), "b.js:2");
  });
});

/** The line of the source that the map leads to from each character of a script. */
function linesOf({ text, map }: { text: string; map: object }): (number | undefined)[] {
  const sourceMap = new SourceMap(map as ConstructorParameters<typeof SourceMap>[0]);
  return text.split("\n").flatMap((line, i) =>
    Array.from(line, (_, column) => {
      return (sourceMap.findEntry(i, column) as { originalLine?: number }).originalLine;
    }),
  );
}

describe("pureConstants()", () => {
  const library = `var table = new Map([["a", [...list()].map((x) => x.y)]]), object = { ...table }, plain = 7;
function list() { return []; }
var door = made({ open: () => object }), shape = class { static of() { return list(); } };
function made(x) { return x; }
export { door, plain, shape };`;

  it("lets bundlers drop what nothing uses, and changes no value", async () => {
    const { text } = applyEdits({ text: library, map: { mappings: "" } }, pureConstants(library));
    const folder = mkdtempSync(join(tmpdir(), "cria-"));
    const file = (name: string, script: string) => {
      writeFileSync(join(folder, name), script);
      return join(folder, name);
    };
    try {
      const { door, plain, shape } = await import(pathToFileURL(file("marked.mjs", text)).href);
      assert.deepEqual([door.open(), plain, shape.of()], [{}, 7, []]);
      file("library.mjs", library);
      for (const [name, isLeft] of [
        ["library", true],
        ["marked", false],
      ] as const) {
        const contents = `import { plain } from "./${name}.mjs"; console.log(plain);`;
        const { outputFiles } = await build({
          stdin: { contents, resolveDir: folder },
          ...{ bundle: true, write: false, format: "esm", minify: true },
        });
        assert.equal(/Map|open/.test(outputFiles[0]?.text ?? ""), isLeft);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
