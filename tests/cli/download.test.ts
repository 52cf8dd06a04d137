// Models by URL on the command line: kept, checked, and refused in one line.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { runCli, startCli, testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { fileReply, hostile } from "../support/server.ts";

const folder = testFolder();
const home = folder.path("home");
const cache = `${home}/.cache/cria`;
const { HOME, XDG_CACHE_HOME } = process.env;

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

// Of the processes that are started from here.
before(() => {
  setVariable("HOME", home);
  setVariable("XDG_CACHE_HOME", undefined);
});
after(() => {
  setVariable("HOME", HOME);
  setVariable("XDG_CACHE_HOME", XDG_CACHE_HOME);
});

const { bytes } = tinyLlamaGguf();
const digest = createHash("sha256").update(bytes).digest("hex");
const generate = (url: string, ...flags: string[]) =>
  runCli([
    "generate",
    "a",
    "--model",
    url,
    "--max-tokens",
    "4",
    "--temperature",
    "0",
    "--ignore-eos",
    ...flags,
  ]);

describe("cria generate --model URL", () => {
  it("keeps nothing with --no-cache, and the model without", () =>
    hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const { status, stdout, stderr } = await generate(url, "--no-cache");
        assert.deepEqual([status, stderr], [0, ""]);
        assert.ok(!existsSync(cache));
        const kept = await generate(url);
        assert.deepEqual([kept.status, kept.stdout, kept.stderr], [0, stdout, ""]);
        assert.equal(readdirSync(cache).filter((name) => name.endsWith("-m.gguf")).length, 1);
        assert.equal((await generate(url, "--sha256", digest)).stdout, stdout);
      },
    ));

  it("refuses another SHA-256 with status 1, and what is none with 2", () =>
    hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const wrong = await generate(url, "--no-cache", "--sha256", "0".repeat(64));
        assert.deepEqual([wrong.status, wrong.stdout], [1, ""]);
        assert.equal(
          wrong.stderr,
          `error: Cannot load ${url}: Expected SHA-256 ${"0".repeat(64)}, got ${digest}\n`,
        );
        const none = await generate(url, "--sha256", "12");
        assert.deepEqual([none.status, none.stdout], [2, ""]);
        assert.match(
          none.stderr,
          /^error: Cannot load with --sha256 "12": Expected 64 hexadecimal digits\n$/,
        );
      },
    ));

  it("refuses what is no name on the hub with status 2", async () => {
    const { status, stderr } = await generate("hf:owner:Q4_0");
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^error: Cannot open "hf:owner:Q4_0": Expected hf:owner\/repo, hf:owner\/repo:TYPE, hf:owner\/repo\/file or /,
    );
  });

  it("loads without a cache, unasked, where Deno may neither write nor read the environment", () =>
    hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const args = ["generate", "a", "--model", url, "--max-tokens", "1", "--temperature", "0"];
        const { child, result } = startCli(args, {
          denoFlags: ["--allow-net", "--allow-read", "--allow-sys"],
        });
        child.stdin?.end();
        const { status, stdout, stderr } = await result;
        assert.deepEqual([status, stderr], [0, ""]);
        assert.match(stdout, /^a/);
        const names = existsSync(cache) ? readdirSync(cache).filter((name) => name.endsWith(".part")) : [];
        assert.deepEqual(names, []);
      },
    ));
});
