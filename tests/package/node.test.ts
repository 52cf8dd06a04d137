// The installed package in Node: the one of this machine (20 has no relaxed SIMD) and a current one.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { MIXED_VOCAB, mixedModel, mixNames } from "../support/mixed_models.ts";
import { someIds } from "../support/models.ts";
import {
  assertBits,
  bitsFunction,
  installPackage,
  modelPath,
  output,
  root,
  runProcess,
  temporaryFolder,
} from "../support/package.ts";

describe("the package in Node", () => {
  const folder = temporaryFolder();
  let current: string;

  before(async () => {
    current = (await output("node", [join(root, "scripts/current_node.mjs")])).trim();
    await installPackage(folder);
    writeFileSync(
      join(folder, "bits.mjs"),
      `import { Llama } from "cria";
${bitsFunction}
console.log(JSON.stringify(await bits(Llama, undefined, { tune: { threads: Number(process.argv[2]) } })));`,
    );
  });

  it("is tested in Node 20 or later and in a much later one", async () => {
    const major = async (node: string) =>
      Number((await output(node, ["-p", "process.versions.node"])).split(".")[0]);
    const own = await major("node");
    assert.ok(own >= 20, `${own}`);
    assert.ok((await major(current)) >= 26);
  });

  for (const threads of [1, 2, 3]) {
    it(`generates the same bits as the sources with ${threads} threads`, async () => {
      for (const node of ["node", current]) {
        await assertBits(await output(node, ["bits.mjs", String(threads)], { cwd: folder }), threads);
      }
    });
  }

  it("gives up threads that the permission model refuses, and says what allows those asked for", async () => {
    writeFileSync(
      join(folder, "permission.mjs"),
      `import { Llama } from "cria";
const llama = await Llama.load();
const { ids } = await llama.complete("Once", { maxTokens: 3, temperature: 0 });
const report = { threads: llama.threads, tokens: ids.length };
const asked = await Llama.load(undefined, { tune: { threads: 2 } }).catch((error) => error);
console.log(JSON.stringify({ ...report, name: asked.name, code: asked.code, message: asked.message }));`,
    );
    for (const [node, flag] of [
      ["node", await permissionFlag("node")],
      [current, "--permission"],
    ] as const) {
      const args = [flag, "--allow-fs-read=*", "permission.mjs"];
      const { message, ...rest } = JSON.parse(await output(node, args, { cwd: folder }));
      assert.deepEqual(rest, { threads: 1, tokens: 3, name: "EngineError", code: "ENGINE" });
      assert.match(message, /^Cannot start a compute thread: .*--allow-worker.*threads: 1/);
    }
  });

  // Its name lost a word in Node 22.13 and 23.5.
  async function permissionFlag(node: string): Promise<string> {
    const { status } = await runProcess(node, ["--permission", "-e", "0"]);
    return status === 0 ? "--permission" : "--experimental-permission";
  }

  it("uses the kernels that each Node accepts", async () => {
    writeFileSync(
      join(folder, "kernel.mjs"),
      `import { Llama } from "cria";
const llama = await Llama.load();
console.log(llama.kernel.variant.split("-")[0]);
llama.dispose();`,
    );
    // The opcode of i8x16.relaxed_swizzle, in the smallest module that has it.
    const relaxed = `WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
      10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11]))`;
    for (const node of ["node", current]) {
      const expected = (await output(node, ["-p", relaxed])).trim() === "true" ? "relaxed" : "simd";
      assert.equal((await output(node, ["kernel.mjs"], { cwd: folder })).trim(), expected);
    }
    assert.equal((await output(current, ["-p", relaxed])).trim(), "true");
  });

  it("computes the golden bits of mixed types", async () => {
    const text = `import { createHash } from "node:crypto";
import { Llama } from "cria";
const { ids, models } = JSON.parse(process.argv[2]);
const hashes = {};
for (const [mix, path] of Object.entries(models)) {
  const llama = await Llama.load(path);
  const hash = createHash("sha256");
  for (let n = 1; n <= ids.length; n++) hash.update(new Uint8Array((await llama.logits(ids.slice(0, n))).buffer));
  hashes[mix + "/file"] = hash.digest("hex");
  llama.dispose();
}
console.log(JSON.stringify(hashes));`;
    writeFileSync(join(folder, "mixes.mjs"), text);
    const models = Object.fromEntries(mixNames.map((mix) => [mix, join(folder, `${mix}.gguf`)]));
    for (const mix of mixNames) writeFileSync(models[mix] as string, mixedModel(mix));
    const mixed = JSON.parse(readFileSync(new URL("../golden/mixes.json", import.meta.url), "utf8"));
    const expected = Object.fromEntries(Object.entries(mixed).filter(([name]) => name.endsWith("/file")));
    const input = JSON.stringify({ ids: someIds(80, MIXED_VOCAB), models });
    for (const node of ["node", current]) {
      assert.deepEqual(JSON.parse(await output(node, ["mixes.mjs", input], { cwd: folder })), expected);
    }
  });

  it("can be required", async () => {
    const text = `const { Tokenizer } = require("cria/tokenizer");
Tokenizer.load(process.argv[1]).then((tokenizer) => console.log(tokenizer.vocabSize > 1000));`;
    // Node 20.16 to 20.18 load no ECMAScript modules by require(); then import() is the way.
    const { status, stdout, stderr } = await runProcess(current, ["-e", text, modelPath], { cwd: folder });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "true\n");
  });

  it("brings the command line", async () => {
    const cria = join(folder, "node_modules/.bin/cria");
    const args = ["generate", "Once upon a time", "--max-tokens", "8", "--temperature", "0"];
    const fromBin = await output(cria, args, { cwd: folder });
    assert.match(fromBin, /^Once upon a time.{8}/s);
    assert.equal(await output(current, [cria, ...args], { cwd: folder }), fromBin);
    const { status, stderr } = await runProcess(cria, ["generate", "--top-k", "many"], { cwd: folder });
    assert.equal(status, 2);
    assert.match(stderr, /^error: Cannot read --top-k: Expected an integer/);
  });

  it("names its errors as they are documented", async () => {
    const text = `import { Llama, SourceError } from "cria";
const error = await Llama.load("absent.gguf").catch((error) => error);
console.log(error instanceof SourceError, error.name, error.code);`;
    writeFileSync(join(folder, "error.mjs"), text);
    assert.equal(await output("node", ["error.mjs"], { cwd: folder }), "true SourceError SOURCE\n");
  });

  it("prints models, sessions, tokenizers and pieces on one line, by their own names", async () => {
    const text = `import { Llama } from "cria";
const llama = await Llama.load(undefined, { threads: 1 });
console.log(llama);
console.log(llama.session());
console.log(llama.tokenizer);
let text = "";
for await (const piece of llama.generate("Once", { temperature: 0, maxTokens: 5 })) text += piece;
console.log(text === (await llama.complete("Once", { temperature: 0, maxTokens: 5 })).text);
llama.dispose();`;
    writeFileSync(join(folder, "print.mjs"), text);
    for (const node of ["node", current]) {
      const lines = (await output(node, ["print.mjs"], { cwd: folder })).trimEnd().split("\n");
      assert.equal(lines.length, 4, lines.join("\n"));
      assert.match(lines[0] as string, /^Llama \{ architecture: "llama", dim: \d+, .*, threads: 1 \}$/);
      assert.match(lines[1] as string, /^Session \{ pos: 0, contextLength: \d+ \}$/);
      assert.match(lines[2] as string, /^Tokenizer \{ kind: "spm-bpe", vocabSize: \d+ \}$/);
      assert.equal(lines[3], "true");
    }
  });

  describe("an error that nobody catches", () => {
    const uncaught = async (name: string, text: string, ...flags: string[]) => {
      writeFileSync(join(folder, name), text);
      const { status, stderr } = await runProcess("node", [...flags, name], { cwd: folder });
      assert.equal(status, 1, stderr);
      return stderr;
    };
    const programs = {
      "missing.mjs": [
        `await Llama.load("missing.gguf");`,
        /^SourceError: Cannot open missing\.gguf: no such file$/m,
      ],
      "option.mjs": [`await Llama.load(undefined, { threads: -1 });`, /^UsageError: .*threads/m],
      "prompt.mjs": [`await (await Llama.load()).complete("x ".repeat(2000));`, /^ContextError: .*at most/m],
    } as const;

    it("prints its message and names, not the bundle", async () => {
      for (const [name, [body, message]] of Object.entries(programs)) {
        const stderr = await uncaught(name, `import { Llama } from "cria";\n${body}\n`);
        assert.match(stderr, message);
        assert.match(stderr, /at (async )?(Function|Llama)\.(load|complete|generate)|at Llama\./, stderr);
        assert.ok(stderr.length < 3000, `${stderr.length} characters`);
        const names = [...stderr.matchAll(/^ +at (?:async )?(?:new )?([\w.#]+) \(file:.*cria\.js/gm)];
        assert.ok(names.length > 0, stderr);
        for (const [, called = ""] of names) assert.ok(called.length > 3, `the name ${called} in ${stderr}`);
      }
    });

    it("names lines of the sources with --enable-source-maps", async () => {
      const text = `import { Llama } from "cria";\nawait Llama.load("missing.gguf");\n`;
      const stderr = await uncaught("mapped.mjs", text, "--enable-source-maps");
      const places = [...stderr.matchAll(/\((?:file:\/\/)?(\/\S+\/src\/\S+\.ts):(\d+):\d+\)/g)];
      assert.ok(places.length >= 3, stderr);
      const at = places.map(
        ([, path = "", line]) => readFileSync(path, "utf8").split("\n")[Number(line) - 1],
      );
      // The innermost place makes the error; an outer one is in load().
      assert.match(at[0] ?? "", /new SourceError\(/);
      assert.ok(
        places.some(([, path = ""]) => path.endsWith("/api/llama.ts")),
        stderr,
      );
    });
  });

  // Its threads keep no process alive: Node would end before they are done.
  it("quantizes with threads", async () => {
    const text = `import { quantize } from "cria/convert";
const options = { type: "Q4_0", threads: 2, allowRequantize: true };
const { types } = await quantize(${JSON.stringify(modelPath)}, "smaller.gguf", options);
console.log(types.Q4_0);`;
    writeFileSync(join(folder, "quantize.mjs"), text);
    assert.equal(await output("node", ["quantize.mjs"], { cwd: folder }), "42\n");
  });

  it("calls classes as it exports them", async () => {
    const text = `const names = [];
for (const module of ["cria", "cria/tokenizer", "cria/tokenizer/train", "cria/convert", "cria/models", "cria/server"]) {
  for (const [name, value] of Object.entries(await import(module))) {
    if (typeof value === "function") names.push([name, value.name]);
  }
}
console.log(JSON.stringify(names));`;
    writeFileSync(join(folder, "names.mjs"), text);
    const names: string[][] = JSON.parse(await output("node", ["names.mjs"], { cwd: folder }));
    for (const [exported, own] of names) assert.equal(own, exported);
    for (const name of ["Llama", "Session", "SourceError", "trainTokenizer"]) {
      assert.ok(
        names.some(([exported]) => exported === name),
        name,
      );
    }
  });
});
