// examples/wrangler as wrangler bundles it, in a project that has installed the package.
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { read } from "../support/edge.ts";
import { embeddedName } from "../support/models.ts";
import { installPackage, modelPath, output, root, temporaryFolder, tool } from "../support/package.ts";
import { serveModules } from "../support/workerd.ts";
import { runWrangler } from "../support/wrangler.ts";

const project = temporaryFolder();

before(async () => {
  await installPackage(project);
  cpSync(join(root, "examples/wrangler"), project, { recursive: true });
});

describe("examples/wrangler", () => {
  it("is bundled by wrangler, and its bundle generates the text of the sources", async () => {
    const { status, stdout, stderr } = await runWrangler(project, ["deploy", "--dry-run", "--outdir", "out"]);
    assert.equal(status, 0, stdout + stderr);
    const names = readdirSync(join(project, "out")).filter((name) => /\.(js|wasm|gguf)$/.test(name));
    const kinds = names.map((name) => name.split("-").at(-1)).sort();
    assert.deepEqual(kinds, ["q4_k_s.gguf", "relaxed.wasm", "simd.wasm", "worker.js"]);
    // The limit that docs/edge.md names.
    const [, kib] = /Total Upload: ([\d.]+) KiB/.exec(stdout) ?? [];
    assert.ok(Number(kib) < 64 * 1024, stdout);

    const { urls } = await serveModules(join(project, "out"));
    const body = { prompt: "Once upon a time", temperature: 0, max_tokens: 40 };
    // As `curl -d` sends it.
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const { text } = await read(await fetch(`${urls.http}/generate`, init));
    await using llama = await Llama.load(modelPath, { threads: 1 });
    const expected = await llama.complete(body.prompt, { temperature: 0, maxTokens: 40 });
    assert.equal(text, expected.text);
  });

  it("is not bundled without the rule for models", async () => {
    const config = readFileSync(join(project, "wrangler.toml"), "utf8");
    writeFileSync(join(project, "without.toml"), config.slice(0, config.indexOf("[[rules]]")));
    const args = ["deploy", "--dry-run", "--outdir", "without", "--config", "without.toml"];
    const { status, stdout, stderr } = await runWrangler(project, args);
    assert.equal(status, 1);
    assert.match(stdout + stderr, /No loader is configured for "\.gguf" files/);
  });

  it("has its types", async () => {
    const tsconfig = {
      compilerOptions: {
        ...{ target: "es2022", module: "nodenext", moduleResolution: "nodenext", strict: true, noEmit: true },
        ...{ skipLibCheck: false, lib: ["es2022", "dom"], types: [] },
      },
      files: ["worker.ts", "file.ts"],
    };
    const check = async (files: readonly string[]) => {
      writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ ...tsconfig, files }));
      await output(tool("tsc"), ["-p", "tsconfig.json"], { cwd: project });
    };
    await check(["worker.ts"]);
    writeFileSync(
      join(project, "file.ts"),
      `/// <reference types="cria/gguf/file" />
import model from "cria/${embeddedName}";
export const path: string = model;
`,
    );
    await check(["file.ts"]);
  });
});
