// What the command line says without a model.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { samplingParams } from "../../src/sample/registry.ts";
import { VERSION } from "../../src/util/version.ts";
import { runCli, startCli, testFolder } from "../support/cli.ts";
import { itUnless } from "../support/skip.ts";

const folder = testFolder();

async function assertUsage(args: string[], message: string): Promise<void> {
  assert.deepEqual(await runCli(args), {
    status: 2,
    stdout: "",
    stderr: `error: ${message}\nThe flag --help lists what there is.\n`,
  });
}

async function assertFailure(args: string[], message: string): Promise<void> {
  assert.deepEqual(await runCli(args), { status: 1, stdout: "", stderr: `error: ${message}\n` });
}

describe("cria", () => {
  it("without a command prints its usage and fails", async () => {
    const { status, stdout, stderr } = await runCli([]);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^Usage: cria COMMAND/);
    assert.match(stderr, /\n {2}generate {2}/);
  });

  it("refuses an unknown command", async () => {
    const { status, stdout, stderr } = await runCli(["genrate", "Once"]);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^error: Unknown command genrate: did you mean generate\?\n\nUsage: cria COMMAND/);
  });

  it("--help prints its usage on standard output", async () => {
    for (const flag of ["--help", "-h"]) {
      const { status, stdout, stderr } = await runCli([flag]);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: cria COMMAND/);
      assert.equal(stderr, "");
    }
  });

  it("says what there is instead of what other programs have", async () => {
    for (const [args, message] of [
      [["run", "x"], "Unknown command run: cria chat --model FILE talks with a model"],
      [["download", "x"], "Unknown command download: cria pull NAME downloads a model"],
      [["toString"], "Unknown command toString"],
      [["gen"], "Unknown command gen: did you mean generate?"],
      [["train_tokenizer"], "Unknown command train_tokenizer: did you mean train-tokenizer?"],
      [["Once upon"], 'Unknown command Once upon: cria generate "TEXT" continues a text'],
      [["help", "tokenise"], "Unknown command tokenise: did you mean tokenize?"],
    ] as const) {
      const { status, stdout, stderr } = await runCli(args);
      assert.deepEqual([status, stdout], [2, ""]);
      assert.ok(stderr.startsWith(`error: ${message}`), stderr);
      assert.match(stderr, /\n\nUsage: cria COMMAND/);
    }
  });

  it("help says what --help says", async () => {
    assert.deepEqual(await runCli(["help"]), await runCli(["--help"]));
    for (const command of [
      "generate",
      "chat",
      "pull",
      "list",
      "remove",
      "tokenize",
      "perplexity",
      "show",
      "train-tokenizer",
      "quantize",
      "convert",
      "completions",
    ]) {
      const help = await runCli(["help", command]);
      assert.equal(help.status, 0);
      assert.match(help.stdout, new RegExp(`^Usage: cria ${command} `));
      assert.deepEqual(await runCli([command, "--help"]), help);
      assert.deepEqual(await runCli([command, "-h"]), help);
    }
  });

  it("--version prints the version of package.json", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    assert.equal(VERSION, version);
    for (const word of ["--version", "-v", "version"]) {
      assert.deepEqual(await runCli([word]), { status: 0, stdout: `cria ${version}\n`, stderr: "" });
    }
  });
});

describe("cria generate", () => {
  it("--help lists every flag on standard output", async () => {
    const { status, stdout, stderr } = await runCli(["generate", "--help"]);
    assert.equal(status, 0);
    assert.equal(stderr, "");
    const listed = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z0-9-]+)/gm)].map(([, flag]) => flag).sort();
    const expected = [
      ...["--model", "--tokenizer", "--max-tokens", "--stop", "--ignore-eos", "--threads", "--context"],
      ...["--rope-scaling", "--rope-scale", "--gelu"],
      ...["--precision", "--kv", "--memory", "--sha256", "--no-cache", "--stats", "--help"],
      ...["--prompt", "--file", "--special", "--stats-file"],
      ...samplingParams.map(({ flag }) => flag),
    ];
    assert.deepEqual(listed, expected.sort());
  });

  it("refuses unknown flags", async () => {
    await assertUsage(
      ["generate", "--temprature", "1"],
      "Unknown flag --temprature: did you mean --temperature?",
    );
  });

  it("refuses ill-typed values", async () => {
    await assertUsage(
      ["generate", "--top-k", "abc"],
      "Cannot read --top-k: Expected an integer ≥ 0, got abc",
    );
    await assertUsage(
      ["generate", "--max-tokens=-1"],
      "Cannot read --max-tokens: Expected an integer ≥ 0, got -1",
    );
    await assertUsage(
      ["generate", "--threads", "0"],
      "Cannot read --threads: Expected an integer ≥ 1, got 0",
    );
    await assertUsage(
      ["generate", "--precision=q5"],
      "Cannot read --precision: Expected one of f32, q8, q4, got q5",
    );
    await assertUsage(["generate", "--memory"], "Cannot read --memory: Expected a value after it");
  });

  it("checks the interval of every sampling parameter", async () => {
    for (const param of samplingParams) {
      if (param.kind !== "number") {
        const message = `Cannot read ${param.flag}: Expected ${param.expected}, got wrong`;
        await assertUsage(["generate", param.flag, "wrong"], message);
        continue;
      }
      const { flag, min } = param;
      const { status, stderr } = await runCli(["generate", flag, String(min - 1)]);
      assert.equal(status, 2, flag);
      assert.match(
        stderr,
        new RegExp(`^error: Cannot read ${flag}: Expected an? (number|integer) .*, got -?\\d+\n`),
      );
    }
  });

  it("refuses more than one prompt", async () => {
    await assertUsage(["generate", "Once", "upon", "a"], "Expected one prompt, got 3; quote it");
  });

  it("refuses a model that is not there", async () => {
    await assertFailure(["generate", "--model", "absent.gguf"], "Cannot open absent.gguf: no such file");
    await assertFailure(["generate", "--model", "a\nb"], "Cannot open a\\x0ab: no such file");
  });

  it("says what a name that is no file may mean", async () => {
    const names = "cria knows no models by name: give a file, a URL or hf:owner/repo:TYPE";
    for (const [name, hint] of [
      ["llama3.2", names],
      ["llama3.2:1b", names],
      ["tales-chat", "did you mean cria:tales-chat?"],
      ["owner/repo-GGUF", "a repository of the Hugging Face hub is hf:owner/repo-GGUF"],
      ["owner/repo:Q8_0", "a repository of the Hugging Face hub is hf:owner/repo:Q8_0"],
      ["owner/repo/model.Q8_0.gguf", "did you mean hf:owner/repo/model.Q8_0.gguf?"],
    ] as const) {
      await assertFailure(["generate", "-m", name], `Cannot open ${name}: no such file; ${hint}`);
    }
    await assertFailure(["tokenize", "-m", "llama3.2", "x"], `Cannot open llama3.2: no such file; ${names}`);
    const file = folder.write("stories15M.gguf", new Uint8Array(1));
    const mistyped = file.replace("stories15M", "storys15m");
    await assertFailure(
      ["generate", "-m", mistyped],
      `Cannot open ${mistyped}: no such file; did you mean ${file}?`,
    );
    await assertFailure(["generate", "-m", "./absent/x"], "Cannot open ./absent/x: no such file");
  });

  it("names flags in what the library refuses", async () => {
    const { status, stderr } = await runCli(["generate", "Once", "-c", "2048"]);
    assert.equal(status, 2);
    assert.equal(
      stderr,
      "error: Cannot load with --context 2048: Expected at most 512 (the model's context); --rope-scaling reaches beyond it\n",
    );
  });

  it("refuses a directory without a model", async () => {
    const path = folder.path("");
    await assertFailure(
      ["generate", "--model", path],
      `Cannot load ${path.replace(/\/?$/, "/")}: Expected config.json in it (a folder of safetensors; name a GGUF file itself), got none`,
    );
  });

  it("refuses files that are no models, each with one line", async () => {
    for (const [name, bytes] of [
      ["empty.gguf", new Uint8Array(0)],
      ["zeros.gguf", new Uint8Array(1000)],
      [
        "text.gguf",
        new TextEncoder().encode("Once upon a time there was a text, and it was no model.\n".repeat(9)),
      ],
      ["cut.gguf", new TextEncoder().encode("GGUF\x03\0\0\0")],
    ] as const) {
      const { status, stdout, stderr } = await runCli(["generate", "--model", folder.write(name, bytes)]);
      assert.equal(status, 1, name);
      assert.equal(stdout, "", name);
      assert.match(stderr, /^error: Cannot .*\n$/, name);
      assert.ok(stderr.includes(name), stderr);
    }
  });

  it("refuses a tokenizer that is not there", async () => {
    await assertFailure(["generate", "--tokenizer", "absent.bin"], "Cannot open absent.bin: no such file");
  });

  it("refuses standard input that is no text", async () => {
    const { status, stdout, stderr } = await runCli(["generate", "-"], new Uint8Array([0x61, 0xff]));
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.equal(stderr, "error: Cannot read the prompt from standard input: Expected UTF-8 text\n");
  });

  it("refuses standard input without end", async () => {
    const { status, stderr } = await runCli(["generate", "-"], new Uint8Array((16 << 20) + 1).fill(0x61));
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: Cannot read the prompt from standard input: Expected at most 16777216 bytes/,
    );
  });

  const isDeno = "deno" in process.versions;

  itUnless(!isDeno && "needs Deno", "names the permission that Deno lacks", async () => {
    const denoFlags = ["--no-prompt", "--deny-read"];
    const { result } = startCli(["generate", "Once", "--model", "model.gguf"], { denoFlags });
    assert.deepEqual(await result, {
      status: 1,
      stdout: "",
      stderr: "error: Cannot open model.gguf: Deno may not read it; run with --allow-read\n",
    });
  });
});
