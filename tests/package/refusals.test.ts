// The bundle in runtimes that were told to refuse things: it does without, or says what refused.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { type GenerateOptions, Llama, type LoadOptions } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { modelPath, output, packageFolder, runProcess, temporaryFolder, tool } from "../support/package.ts";
import { fileReply, hostile } from "../support/server.ts";
import { itUnless } from "../support/skip.ts";

describe("the bundle", () => {
  const folder = temporaryFolder();
  const program = join(folder, "program.mjs");
  const { bytes } = tinyLlamaGguf();
  const greedy = { maxTokens: 8, ignoreEos: true, temperature: 0 };
  /** Arguments of the program. */
  const args = (source: string, load: LoadOptions = {}, generate: GenerateOptions = greedy) => [
    program,
    source,
    JSON.stringify({ threads: 1, ...load }),
    JSON.stringify(generate),
  ];
  let expected: string;
  // Node 20 has another name for it.
  let permission = "--permission";

  before(async () => {
    const dist = pathToFileURL(join(await packageFolder(), "dist/cria.js"));
    const text = `import { CriaError, Llama } from ${JSON.stringify(dist)};
const [source, load, generate] = process.argv.slice(2);
try {
  const llama = await Llama.load(source, JSON.parse(load));
  console.log(JSON.stringify((await llama.complete("Once upon a time", JSON.parse(generate))).text));
  llama.dispose();
} catch (error) {
  console.log(error instanceof CriaError, error.name, error.message);
}`;
    writeFileSync(program, text);
    await using llama = await Llama.load(modelPath, { threads: 1 });
    expected = JSON.stringify((await llama.complete("Once upon a time", greedy)).text);
    const { status } = await runProcess("node", ["--permission", "-e", "0"]);
    if (status !== 0) permission = "--experimental-permission";
  });

  it("says that Node was started without WebAssembly", async () => {
    const text = await output("node", ["--jitless", ...args(modelPath)]);
    assert.match(text, /^true EngineError Cannot compile the kernels: Expected a runtime with WebAssembly/);
  });

  it("reads a model with Node's permission to read alone, and keeps no download then", async () => {
    const flags = [permission, "--allow-fs-read=*"];
    assert.equal((await output("node", [...flags, ...args(modelPath)])).trim(), expected);
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const env = { XDG_CACHE_HOME: join(folder, "cache") };
        const text = await output("node", [...flags, ...args(url, { cache: true })], { env });
        assert.match(text, /^"/, text);
        const named = args(url, { cache: join(folder, "named") });
        assert.match(
          await output("node", [...flags, ...named]),
          /^true SourceError Cannot keep files in .*: Node may not write it; run with --allow-fs-write/,
        );
      },
    );
  });

  it("says that Node may not read a model", async () => {
    const text = await output("node", [
      permission,
      `--allow-fs-read=${folder}/*`,
      `--allow-fs-read=${await packageFolder()}/*`,
      ...args(modelPath),
    ]);
    assert.match(text, /^true SourceError Cannot open .*: Node may not read it; run with --allow-fs-read/);
  });

  it("says how Node lets the command line write a file", async () => {
    const { stderr } = await runProcess("node", [
      permission,
      "--allow-fs-read=*",
      join(await packageFolder(), "dist/cli.js"),
      ...["generate", "Once", "--max-tokens", "1", "--stats-file", join(folder, "stats.json")],
    ]);
    assert.match(stderr, /Cannot write .*stats\.json: Node may not; run with .*--allow-fs-write/);
  });

  it("draws tokens in a Node without crypto", async () => {
    const { status } = await runProcess("node", ["--no-experimental-global-webcrypto", "-e", "0"]);
    const flags = status === 0 ? ["--no-experimental-global-webcrypto"] : [];
    const text = await output("node", [...flags, ...args(modelPath, {}, { maxTokens: 8 })]);
    assert.match(text, /^"/, text);
  });

  it("runs in Deno with the permission to read the model, and without any says so", async () => {
    const deno = (flags: string[], args: string[]) =>
      output(tool("deno"), ["run", "--no-prompt", "--no-config", ...flags, ...args]);
    const read = `--allow-read=${modelPath}`;
    assert.equal((await deno([read], args(modelPath))).trim(), expected);
    assert.match(await deno([], args(modelPath)), /^true SourceError .*--allow-read/);
    assert.match(
      await deno([read, "--v8-flags=--jitless"], args(modelPath)),
      /^true EngineError Cannot compile the kernels/,
    );
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        assert.match(await deno(["--allow-net"], args(url, { cache: true })), /^"/);
      },
    );
  });

  // V8 takes 10 GiB of addresses for any memory, and cria needs one.
  itUnless(
    process.platform === "linux" ? false : "ulimit -v is Linux's",
    "loads in a Node with few addresses, or says how",
    async () => {
      const limited = (kilobytes: number, ...flags: string[]) =>
        output("sh", ["-c", `ulimit -v ${kilobytes}; exec node "$@"`, "sh", ...flags, ...args(modelPath)]);
      assert.equal((await limited(16_000_000)).trim(), expected);
      assert.match(
        await limited(8_000_000),
        /^true MemoryError Cannot allocate .*--disable-wasm-trap-handler/,
      );
      assert.equal((await limited(8_000_000, "--disable-wasm-trap-handler")).trim(), expected);
    },
  );
});
