import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { Tokenizer } from "../../src/tokenizer.ts";
import { type TrainOptions, trainTokenizer } from "../../src/tokenizer_train.ts";
import { type CliResult, runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { itUnless } from "../support/skip.ts";

const folder = testFolder();
const utf8 = new TextEncoder();

const lines = Array.from(
  { length: 120 },
  (_, i) => `the fox ${i} saw the ${"dog ".repeat(i % 5)}in the house ${i * 7}`,
);
const text = `${lines.join("\n")}\n`;
const corpus = folder.write("corpus.txt", utf8.encode(text));

function train(args: string[], stdin: string | Uint8Array = ""): Promise<CliResult> {
  return runCli(["train-tokenizer", ...args], stdin);
}

async function expectedBytes(options: Record<string, unknown>): Promise<Uint8Array> {
  return (await trainTokenizer({ corpus: [text], ...options } as unknown as TrainOptions)).bytes;
}

async function assertUsage(args: string[], message: string): Promise<void> {
  const stderr = `error: ${message}\nThe flag --help lists what there is.\n`;
  assert.deepEqual(await train(args), { status: 2, stdout: "", stderr });
}

/** Checks a failure of one line, after which there is no file of this name and no part of one. */
async function assertFailure(args: string[], message: RegExp, status = 1): Promise<void> {
  const result = await train(args);
  assert.equal(result.status, status, result.stderr);
  assert.equal(result.stdout, "");
  assert.match(result.stderr, message);
  assert.equal(result.stderr.split("\n").length, 2, result.stderr);
  assert.deepEqual(parts(), []);
}

/** What writing a file leaves behind if it is not cleaned up. */
function parts(): string[] {
  return readdirSync(folder.path("")).filter((name) => name.includes(".part"));
}

const bpe = ["--model-type", "bpe", "--normalization", "identity"];

describe("cria train-tokenizer", () => {
  it("writes the file that the library makes", async () => {
    const output = folder.path("bpe.model");
    const result = await train(["--input", corpus, ...bpe, "--vocab-size", "90", "--output", output]);
    assert.deepEqual(result, { status: 0, stdout: "", stderr: `${output}: 90 tokens\n` });
    const expected = await expectedBytes({ modelType: "bpe", normalization: "identity", vocabSize: 90 });
    assert.deepEqual(new Uint8Array(readFileSync(output)), expected);
    assert.deepEqual(parts(), []);
  });

  it("trains unigram with SentencePiece's defaults if nothing is said", async () => {
    const output = folder.path("unigram.model");
    const { status } = await train(["--input", corpus, "--output", output, "--soft-vocab-limit"]);
    assert.equal(status, 0);
    const options = { modelType: "unigram", vocabSize: 8000, hardVocabLimit: false };
    assert.deepEqual(new Uint8Array(readFileSync(output)), await expectedBytes(options));
  });

  it("writes a rank file, which tokenize reads", async () => {
    const output = folder.path("ranks.tiktoken");
    const args = [
      "--model-type",
      "byte-bpe",
      "--vocab-size",
      "270",
      "--pattern",
      "gpt-2",
      "--max-piece-length",
      "3",
    ];
    const { status } = await train(["--input", corpus, ...args, "--output", output]);
    assert.equal(status, 0);
    const options = { modelType: "byte-bpe", vocabSize: 270, pattern: "gpt-2", maxPieceLength: 3 };
    assert.deepEqual(new Uint8Array(readFileSync(output)), await expectedBytes(options));
    const { stdout } = await runCli(["tokenize", "--model", output, "--count", "the the"]);
    assert.ok(Number(stdout) < 7, stdout);
  });

  it("passes every setting on", async () => {
    const output = folder.path("settings.model");
    const { status, stderr } = await train([
      ...["--input", corpus, "--output", output, "--model-type", "bpe", "--vocab-size", "400"],
      ...["--character-coverage", "0.99", "--byte-fallback", "--normalization", "nfkc", "--split-digits"],
      ...["--no-split-by-number", "--no-split-by-script", "--no-split-by-whitespace", "--whitespace-pieces"],
      ...["--no-dummy-prefix", "--keep-whitespace", "--max-piece-length", "6", "--max-sentence-length", "50"],
      ...["--user-defined-symbols", "fox,a\\,b", "--user-defined-symbols=<x>", "--control-symbols", "<c>"],
      ...["--required-chars", "Ж", "--bos-id", "-1", "--eos-id", "1", "--pad-id", "2", "--soft-vocab-limit"],
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /left out \d+ lines longer than --max-sentence-length\n$/);
    const expected = await expectedBytes({
      ...{
        modelType: "bpe",
        vocabSize: 400,
        characterCoverage: 0.99,
        byteFallback: true,
        normalization: "nfkc",
      },
      ...{ splitDigits: true, splitByNumber: false, splitByUnicodeScript: false, splitByWhitespace: false },
      ...{ allowWhitespaceOnlyPieces: true, addDummyPrefix: false, removeExtraWhitespaces: false },
      ...{ maxPieceLength: 6, maxSentenceLength: 50, userDefinedSymbols: ["fox", "a,b", "<x>"] },
      ...{
        controlSymbols: ["<c>"],
        requiredChars: "Ж",
        bosId: -1,
        eosId: 1,
        padId: 2,
        hardVocabLimit: false,
      },
    });
    assert.deepEqual(new Uint8Array(readFileSync(output)), expected);
  });

  it("passes the settings of unigram on", async () => {
    const output = folder.path("unigram_settings.model");
    const settings = ["--seed-size", "100", "--shrinking-factor", "0.6", "--sub-iterations", "3"];
    const args = ["--normalization", "identity", "--vocab-size", "60", "--soft-vocab-limit"];
    const { status, stderr } = await train(["--input", corpus, "--output", output, ...args, ...settings]);
    assert.equal(status, 0, stderr);
    const options = { modelType: "unigram", normalization: "identity", vocabSize: 60, hardVocabLimit: false };
    const expected = await expectedBytes({
      ...options,
      seedSize: 100,
      shrinkingFactor: 0.6,
      subIterations: 3,
    });
    assert.deepEqual(new Uint8Array(readFileSync(output)), expected);
  });

  it("reads several files, each ending a line, and standard input", async () => {
    const one = folder.write("one.txt", utf8.encode(lines.slice(0, 50).join("\n")));
    const two = folder.write("two.txt", utf8.encode(`${lines.slice(50, 90).join("\n")}\n`));
    const rest = lines.slice(90).join("\n");
    const output = folder.path("several.model");
    const args = [...bpe, "--vocab-size", "90", "--output", output];
    const { status } = await train(["--input", one, "--input", two, ...args, "-"], rest);
    assert.equal(status, 0);
    const expected = await expectedBytes({ modelType: "bpe", normalization: "identity", vocabSize: 90 });
    assert.deepEqual(new Uint8Array(readFileSync(output)), expected);
  });

  it("replaces a file, the one that a link names, and none that it cannot", async () => {
    const output = folder.write("old.model", utf8.encode("old"));
    const link = folder.path("link.model");
    symlinkSync(output, link);
    const args = ["--input", corpus, ...bpe];
    await assertFailure(
      [...args, "--vocab-size", "100000", "--output", link],
      /at most \d+, .*got 100000\n$/,
    );
    assert.equal(readFileSync(output, "utf8"), "old");
    assert.equal((await train([...args, "--vocab-size", "90", "--output", link])).status, 0);
    assert.equal((await Tokenizer.load(new Uint8Array(readFileSync(output)))).vocabSize, 90);
    assert.equal((await Tokenizer.load(new Uint8Array(readFileSync(link)))).vocabSize, 90);
  });

  it("refuses an output that cannot be written before it reads anything", async () => {
    mkdirSync(folder.path("directory"));
    const refused: [string, RegExp][] = [
      [folder.path("directory"), /^error: Cannot write .*: is a directory, expected a file\n$/],
      [folder.path("no/such/directory"), /^error: Cannot write .*: no such directory\n$/],
      [join(corpus, "x"), /^error: Cannot write .*: a part of the path is not a directory\n$/],
      ["/dev/null", /^error: Cannot write \/dev\/null: is a pipe or device, expected a file\n$/],
    ];
    for (const [output, message] of refused) {
      // Standard input stays open: a command that read it first would never end.
      const { child, result } = startCli(["train-tokenizer", "--input", "-", "--output", output]);
      const { status, stderr } = await result;
      assert.equal(status, 1);
      assert.match(stderr, message);
      child.stdin?.destroy();
    }
  });

  it("refuses inputs that cannot be read or hold nothing", async () => {
    const output = folder.path("never.model");
    const absent = /^error: Cannot open absent.txt: no such file\n$/;
    await assertFailure(["--input", corpus, "--input", "absent.txt", "--output", output], absent);
    await assertFailure(
      ["--input", folder.path(""), "--output", output],
      /is a directory, expected a file\n$/,
    );
    const empty = folder.write("empty.txt", new Uint8Array(0));
    await assertFailure(
      ["--input", empty, "--output", output],
      /Expected text to learn from, the corpus has none\n$/,
    );
    const long = folder.write("long.txt", new Uint8Array(10_000_000).fill(0x61));
    await assertFailure(["--input", long, ...bpe, "--output", output], /got 1 lines of more than 4192 bytes/);
    assert.equal(existsSync(output), false);
  });

  it("refuses a vocabulary that does not fit the text", async () => {
    const output = folder.path("never.model");
    const args = ["--input", corpus, ...bpe, "--output", output];
    await assertFailure([...args, "--vocab-size", "10"], /--vocab-size to be at least \d+ \(\d+ characters/);
    await assertFailure([...args, "--vocab-size", "90000"], /--vocab-size to be at most \d+,/);
    assert.equal(existsSync(output), false);
  });

  it("refuses wrong usage", async () => {
    const output = folder.path("never.model");
    await assertUsage(["--output", output], "Cannot train: Expected --input FILE, got none");
    await assertUsage(["--input", corpus], "Cannot train: Expected --output FILE, got none");
    await assertUsage(
      ["--input", corpus, "--output", corpus],
      `Cannot write ${corpus}: Expected another file than the input`,
    );
    await assertUsage(
      ["--input", "-", "--input=-", "--output", output],
      'Cannot train: Expected standard input ("-") once, got it several times',
    );
    const args = ["--input", corpus, "--output", output];
    await assertUsage(
      [...args, "--vocab-size", "many"],
      "Cannot read --vocab-size: Expected an integer in [1, 1048576], got many",
    );
    await assertUsage(
      [...args, "--model-type", "word"],
      "Cannot read --model-type: Expected one of unigram, bpe, byte-bpe, got word",
    );
    await assertUsage(
      [...args, "--character-coverage", "2"],
      "Cannot read --character-coverage: Expected a number in [0.98, 1], got 2",
    );
    await assertUsage([...args, "--pattern", "gpt-2"], "Cannot use --pattern with --model-type unigram");
    await assertUsage(
      [...args, "--model-type=byte-bpe", "--byte-fallback"],
      "Cannot use --byte-fallback with --model-type byte-bpe",
    );
    await assertFailure(
      [...args, "--model-type=byte-bpe", "--pattern", "gpt-9"],
      /Unknown pre-tokenizer "gpt-9"/,
    );
    await assertFailure(
      [...args, "--max-piece-length", "1000"],
      /--max-piece-length to be an integer from 1 to 512/,
      2,
    );
  });

  it("--help lists every flag", async () => {
    const { status, stdout, stderr } = await train(["--help"]);
    assert.equal(status, 0);
    assert.equal(stderr, "");
    assert.match(stdout, /^Usage: cria train-tokenizer/);
    assert.ok([...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].length >= 29, stdout);
  });

  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`ends by ${signal} and leaves no file`, async () => {
      const output = folder.path("interrupted.model");
      const { child, result } = startCli(["train-tokenizer", "--input", "-", ...bpe, "--output", output]);
      child.stdin?.on("error", () => {});
      const lines = Array.from({ length: 1000 }, (_, i) => `${i} a line ${i * 7919} of many\n`).join("");
      // More than a pipe holds: once all of it is gone the command has begun to read.
      await new Promise((resolve) => child.stdin?.write(lines.repeat(40), resolve));
      sendSignal(child, signal);
      const ended = await result;
      assert.equal(ended.status, status, ended.stderr);
      assert.equal(existsSync(output), false);
      assert.deepEqual(parts(), []);
    });
  }

  const isDeno = "deno" in process.versions;

  itUnless(!isDeno && "needs Deno", "needs no permission of Deno but to read and to write", async () => {
    const output = folder.path("deno.model");
    const args = ["train-tokenizer", "--input", corpus, ...bpe, "--vocab-size", "90", "--output", output];
    const allowed = ["--no-prompt", "--allow-read", `--allow-write=${dirname(output)}`];
    const { status, stderr } = await startCli(args, { denoFlags: allowed }).result;
    assert.equal(status, 0, stderr);
    const denied = await startCli(args, { denoFlags: ["--no-prompt", "--allow-read"] }).result;
    assert.equal(denied.status, 1);
    assert.match(denied.stderr, /^error: Cannot write .*Deno may not/);
  });
});
