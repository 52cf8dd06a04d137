// The examples of Bun, Deno and Node, in the repository and as a user of the package runs them.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import {
  installPackage,
  modelPath,
  output,
  packageFolder,
  root,
  temporaryFolder,
  tool,
} from "../support/package.ts";

const project = temporaryFolder();
let expected: string;

before(async () => {
  await installPackage(project);
  await using llama = await Llama.load(modelPath, { threads: 1 });
  expected = (await llama.complete("Once upon a time", { maxTokens: 60, seed: 7 })).text;
  assert.ok(expected.length > 100);
});

/** Copies an example into the project that has the package installed. */
function copied(example: string): string {
  const name = example.replaceAll("/", "_");
  copyFileSync(join(root, "examples", example), join(project, name));
  return name;
}

describe("examples/bun", () => {
  it("runs in the repository", async () => {
    const text = await output(tool("bun"), ["examples/bun/generate.ts"], { cwd: root });
    assert.equal(text, expected);
  });

  it("runs with the package installed", async () => {
    assert.equal(await output(tool("bun"), [copied("bun/generate.ts")], { cwd: project }), expected);
  });
});

describe("examples/deno", () => {
  it("runs in the repository", async () => {
    // With the packages that are installed; tests/cli/clone.test.ts runs it without.
    const args = ["run", "--config", "deno.json", "--allow-read", "examples/deno/generate.ts"];
    assert.equal(await output(tool("deno"), args, { cwd: root }), expected);
  });

  it("runs with the package installed, and has its types", async () => {
    const name = copied("deno/generate.ts");
    const env = { DENO_DIR: join(project, "deno_dir") };
    const text = await output(tool("deno"), ["run", "--allow-read", "--check", name], { cwd: project, env });
    assert.equal(text, expected);
  });

  it("runs from a URL", async () => {
    const folder = temporaryFolder();
    const served = await packageFolder();
    const server = createServer((request, response) => {
      const path = request.url as string;
      response.setHeader("Content-Type", path.endsWith(".js") ? "text/javascript" : "application/typescript");
      response.end(readFileSync(join(served, path)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const text = readFileSync(join(root, "examples/deno/url.ts"), "utf8");
      writeFileSync(join(folder, "url.ts"), text.replace("127.0.0.1:8000", host));
      const args = ["run", `--allow-import=${host}`, "--allow-net", "url.ts"];
      const env = { DENO_DIR: join(folder, "deno_dir") };
      assert.equal(await output(tool("deno"), args, { cwd: folder, env }), expected);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("examples/node", () => {
  it("runs with the package installed", async () => {
    assert.equal(await output("node", [copied("node/generate.mjs")], { cwd: project }), expected);
  });
});
