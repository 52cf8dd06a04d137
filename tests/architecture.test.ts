// Imports point down only, and runtime globals stay where they belong.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What each folder of src/ may import from; its own folder always. Order is from the ground up. */
const allowed: Record<string, readonly string[]> = {
  util: [],
  "package.ts": ["util"],
  source: ["util", "package.ts"],
  runtime: ["util", "source"],
  quant: ["layout"],
  tokenizer: ["util"],
  sample: ["util"],
  kernels: ["layout", "util"],
  format: ["util", "tokenizer", "source", "runtime", "quant"],
  // Below the engine: a page that tokenizes takes in no model, no kernel and no trainer.
  "tokenizer.ts": ["util", "tokenizer", "source", "runtime", "format"],
  "tokenizer_train.ts": ["util", "tokenizer"],
  model: ["layout", "util", "quant", "kernels", "format"],
  engine: ["layout", "util", "source", "runtime", "quant", "sample", "kernels", "format", "model"],
  session: ["layout", "util", "runtime", "tokenizer", "sample", "model", "engine"],
  chat: ["util", "tokenizer", "sample", "session"],
  api: [
    ...["util", "source", "runtime", "quant", "tokenizer", "kernels", "format", "model"],
    ...["engine", "session", "chat", "package.ts", "tokenizer.ts"],
  ],
  server: ["util", "tokenizer", "sample", "session", "chat", "api"],
  "server.ts": ["server"],
  ai_sdk: ["util", "sample", "session", "chat", "server"],
  "ai_sdk.ts": ["ai_sdk"],
  "models.ts": ["util", "source", "api"],
  "worker.ts": ["engine"],
  "mod.ts": [
    ...["util", "source", "kernels", "tokenizer", "tokenizer.ts", "sample", "format", "model"],
    ...["session", "chat", "api"],
  ],
  convert: ["util", "source", "runtime", "quant", "tokenizer", "kernels", "format"],
  "convert.ts": ["util", "format", "convert"],
  edge: ["util", "source", "tokenizer", "sample", "format", "session", "api", "server"],
  "workerd.ts": ["kernels", "edge", "mod.ts"],
  cli: [
    ...["util", "package.ts", "source", "quant", "sample", "runtime", "mod.ts", "tokenizer.ts"],
    ...["tokenizer_train.ts", "tokenizer", "format", "api", "models.ts", "convert", "convert.ts"],
    "server",
  ],
};

/** What each folder of src/tokenizer/ may import from, besides its own; from the ground up. */
const tokenizerFolders: Record<string, readonly string[]> = {
  core: [],
  unicode: [],
  pretokenize: ["unicode"],
  byte_level: ["core", "pretokenize"],
  sentencepiece: ["core", "byte_level"],
  huggingface: ["core", "unicode", "pretokenize", "byte_level", "sentencepiece"],
  train: ["core", "unicode", "pretokenize", "byte_level", "sentencepiece"],
};

function files(folder: string): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .sort();
}

function imports(file: string): string[] {
  const text = readFileSync(root + file, "utf8");
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)[^"';]*?from\s+"([^"]+)"/g)].map(
    (m) => m[1] as string,
  );
}

/** The folder of src/ (or "layout", "assembly", "outside") that a file belongs to. */
function room(path: string): string {
  const parts = path.split("/");
  if (parts[0] === "assembly") return parts[1] === "layout" ? "layout" : "assembly";
  return parts[0] === "src" ? (parts[1] as string) : "outside";
}

/** The package of an import: "hono" of "hono/tiny". */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function resolve(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

describe("imports", () => {
  it("of WebAssembly are workerd.ts's alone", () => {
    const using = files("src").filter((file) => imports(file).some((name) => name.endsWith(".wasm")));
    assert.deepEqual(using, ["src/workerd.ts"]);
  });

  it("of src/ point down only", () => {
    const found = files("src");
    assert.ok(found.length > 30);
    for (const file of found) {
      const own = room(file);
      assert.ok(own in allowed, `${file}: the folder ${own} is not in the table of this test`);
      for (const specifier of imports(file)) {
        // Modules that bundlers and edge runtimes compile.
        if (!specifier.startsWith(".") || specifier.endsWith(".wasm")) continue;
        const target = room(resolve(file, specifier));
        assert.ok(
          target === own || allowed[own]?.includes(target),
          `${file} imports ${specifier}: ${own} must not see ${target}`,
        );
      }
    }
  });

  it("go in no circle, imports of types included", () => {
    const targets = new Map(
      files("src").map((file) => [file, imports(file).map((specifier) => resolve(file, specifier))]),
    );
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]) => {
      assert.ok(!path.includes(file), `a circle: ${[...path.slice(path.indexOf(file)), file].join(" -> ")}`);
      if (done.has(file)) return;
      for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of targets.keys()) visit(file, []);
  });

  it("of tokenizer/ point down only, from folder to folder", () => {
    for (const file of files("src/tokenizer")) {
      const own = file.split("/")[2] as string;
      for (const specifier of imports(file)) {
        const target = resolve(file, specifier).split("/");
        if (target[1] !== "tokenizer" || own.endsWith(".ts")) continue;
        const found = target[2] as string;
        assert.ok(
          found === own || tokenizerFolders[own]?.includes(found),
          `${file} imports ${specifier}: ${own} must not see ${found}`,
        );
      }
    }
  });

  it("of the tokenizers' own door never reach the engine or the trainers", () => {
    const reached = new Set<string>();
    const reach = (file: string) => {
      if (reached.has(file) || !file.startsWith("src/")) return;
      reached.add(file);
      for (const specifier of imports(file)) reach(resolve(file, specifier));
    };
    reach("src/tokenizer.ts");
    assert.ok(reached.has("src/tokenizer/registry.ts"));
    for (const file of reached)
      assert.doesNotMatch(file, /^src\/(api|engine|session|model|kernels|tokenizer\/train)\//);
  });

  it("of src/ use every permission of the table, which names what lies below only", () => {
    const used = new Set<string>();
    for (const file of files("src")) {
      for (const specifier of imports(file)) {
        if (specifier.startsWith(".")) used.add(`${room(file)} -> ${room(resolve(file, specifier))}`);
      }
    }
    const rooms = Object.keys(allowed);
    for (const [own, below] of Object.entries(allowed)) {
      for (const other of below) {
        assert.ok(used.has(`${own} -> ${other}`), `nobody in ${own} imports ${other}`);
        const isLower = other === "layout" || rooms.indexOf(other) < rooms.indexOf(own);
        assert.ok(isLower, `${own} must not see ${other}, which stands above it`);
      }
    }
  });

  it("of runtime/ end at util and the interface", () => {
    for (const file of files("src/runtime")) {
      for (const specifier of imports(file))
        assert.match(specifier, /^\.\.?\//, `${file} imports ${specifier}`);
    }
  });

  it("of assembly/ stay inside, and layout/ has none", () => {
    for (const file of files("assembly")) {
      for (const specifier of imports(file)) {
        assert.match(specifier, /^\./, `${file} imports ${specifier}`);
        assert.doesNotMatch(specifier, /\.ts$/, `${file} imports ${specifier}`);
        assert.match(resolve(file, specifier), /^assembly\//, `${file} imports ${specifier}`);
      }
      if (file.startsWith("assembly/layout/")) assert.deepEqual(imports(file), [], file);
    }
  });

  it("of packages are those that bundles take in and JSR is told of", () => {
    const dependencies = JSON.parse(readFileSync(`${root}deno.json`, "utf8")).imports;
    for (const file of files("src")) {
      for (const specifier of imports(file)) {
        if (specifier.startsWith(".")) continue;
        assert.ok(
          dependencies[packageOf(specifier)]?.startsWith("npm:") ||
            (room(file) === "cli" && specifier.startsWith("node:")),
          `${file}: ${specifier}`,
        );
      }
    }
  });
});

describe("first lines", () => {
  it("of tokenizers say what the file is", () => {
    for (const file of [
      ...files("src/tokenizer"),
      ...files("tests/tokenizer"),
      "src/tokenizer.ts",
      "src/tokenizer_train.ts",
    ]) {
      assert.match(readFileSync(root + file, "utf8"), /^(\/\/ \S.{10,}|\/\*\*)\n/, file);
    }
  });
});

describe("folders", () => {
  it("of tokenizers hold at most 20 files", () => {
    const counts = new Map<string, number>();
    for (const file of files("src/tokenizer")) {
      const folder = file.slice(0, file.lastIndexOf("/"));
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    for (const [folder, n] of counts) assert.ok(n <= 20, `${folder}: ${n} files`);
  });
});

describe("globals", () => {
  it("of a runtime are named in runtime/ and cli/ only", () => {
    for (const file of files("src")) {
      if (/^src\/(runtime|cli)\//.test(file) || file.endsWith(".gen.ts")) continue;
      const code = readFileSync(root + file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      assert.doesNotMatch(code, /\b(Bun|Deno|process|self)\.|"node:/, file);
    }
  });

  it("whose results depend on the engine (Math.exp and the like) are not used", () => {
    for (const file of files("src")) {
      if (file.endsWith(".gen.ts")) continue;
      assert.doesNotMatch(
        readFileSync(root + file, "utf8"),
        /\bMath\.(exp|expm1|log|log2|log10|log1p|pow|sin|cos|tan|tanh|sinh|cosh|cbrt|random)\(/,
        file,
      );
    }
  });

  it("whose results depend on the engine's Unicode are not used by tokenizers", () => {
    const forbidden = [
      // Normalization, case and order of texts.
      /\.normalize\("|\.(toLocale\w+|localeCompare|toLowerCase|toUpperCase)\(|\bIntl\./,
      // Sets of characters in patterns, and case that is ignored beyond ASCII.
      /(?<!\\)\\[pP]\{|\bnew RegExp\(/,
      /\/[dgmsy]*(i[dgmsy]*[uv]|[uv][dgmsy]*i)[dgmsy]*[.,;)\s]/,
    ];
    for (const file of files("src/tokenizer")) {
      if (file.endsWith(".gen.ts")) continue;
      const code = readFileSync(root + file, "utf8")
        .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
        // Hexadecimal digits.
        .replaceAll(".toString(16).toUpperCase()", "");
      for (const pattern of forbidden) assert.doesNotMatch(code, pattern, file);
    }
  });

  it("relaxed SIMD and threads have one file each in assembly/", () => {
    const using = (word: string) =>
      files("assembly").filter((file) => readFileSync(root + file, "utf8").includes(word));
    assert.deepEqual(using("ASC_FEATURE_RELAXED_SIMD"), ["assembly/simd/dot.ts"]);
    assert.deepEqual(using("ASC_FEATURE_THREADS"), ["assembly/sync.ts"]);
    for (const file of using("relaxed_"))
      assert.equal(file, "assembly/simd/dot.ts", `${file} uses relaxed SIMD`);
  });

  it("switches over formats, and over what a type of files consists of, have one file each in assembly/", () => {
    const using = (pattern: RegExp) =>
      files("assembly").filter(
        (file) =>
          !file.startsWith("assembly/layout/") &&
          pattern.test(readFileSync(root + file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")),
      );
    assert.deepEqual(using(/\bWEIGHT_(F32|Q8|Q4)\b/), ["assembly/formats/formats.ts"]);
    assert.deepEqual(using(/\bKV_(F32|F16|Q8)\b/), ["assembly/attention/kv_types.ts"]);
    // Decoders are in the generated one; integer scales of the types that become formats with a book in the other.
    assert.deepEqual(using(/case FILE_/), [
      "assembly/types/integer_scales.ts",
      "assembly/types/types.gen.ts",
    ]);
  });
});
