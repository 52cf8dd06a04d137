import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tokenizer } from "../../src/tokenizer.ts";
import { trainTokenizer } from "../../src/tokenizer_train.ts";
import { type CliResult, runCli, startCli, testFolder } from "../support/cli.ts";
import { fixtureIds, fixturePath } from "../support/fixtures.ts";
import { itOn, sharedPath } from "../support/shared.ts";

const folder = testFolder();

const corpus = ["the quick brown fox\rjumps over the lazy dog\n", "the fox, the dog: the fox\\\n"];
const spm = await trainTokenizer({
  corpus,
  modelType: "bpe",
  vocabSize: 300,
  characterCoverage: 1,
  normalization: "identity",
  requiredChars: "\u2028",
  byteFallback: true,
  removeExtraWhitespaces: false,
});
const bytes = await trainTokenizer({ corpus, modelType: "byte-bpe", vocabSize: 280 });
const spmFile = folder.write("tokenizer.model", spm.bytes);
const rankFile = folder.write("ranks.tiktoken", bytes.bytes);
const tokenizer = await Tokenizer.load(spm.bytes);
const byteTokenizer = await Tokenizer.load(bytes.bytes);

function tokenize(args: string[], stdin: string | Uint8Array = ""): Promise<CliResult> {
  return runCli(["tokenize", ...args], stdin);
}

async function assertPrints(
  expected: string,
  args: string[],
  stdin: string | Uint8Array = "",
): Promise<void> {
  assert.deepEqual(await tokenize(args, stdin), { status: 0, stdout: expected, stderr: "" });
}

async function assertUsage(args: string[], message: string): Promise<void> {
  const stderr = `error: ${message}\nThe flag --help lists what there is.\n`;
  assert.deepEqual(await tokenize(args), { status: 2, stdout: "", stderr });
}

describe("cria tokenize", () => {
  it("prints ids on one line", async () => {
    const ids = tokenizer.encode("the fox", { bos: false });
    assert.ok(ids.length > 0);
    await assertPrints(`${ids.join(" ")}\n`, ["--model", spmFile, "the fox"]);
    await assertPrints(`${ids.join(" ")}\n`, ["the fox", `--model=${spmFile}`, "--ids"]);
    await assertPrints(`${byteTokenizer.encode("the fox").join(" ")}\n`, ["--model", rankFile, "the fox"]);
  });

  it("reads standard input to its end and as it is", async () => {
    for (const text of ["the fox", "the fox\n", "\n\nthe\r\n", " ", "é😀\0x"]) {
      const expected = `${tokenizer.encode(text, { bos: false }).join(" ")}\n`;
      await assertPrints(expected, ["--model", spmFile], text);
      await assertPrints(expected, ["--model", spmFile, "-"], text);
    }
    await assertPrints("\n", ["--model", spmFile], "");
    await assertPrints("0\n", ["--model", rankFile, "--count"], "");
  });

  it("takes invalid UTF-8 for U+FFFD", async () => {
    const expected = byteTokenizer.encode("a\ufffdb").join(" ");
    await assertPrints(`${expected}\n`, ["--model", rankFile], Uint8Array.of(0x61, 0xff, 0x62));
  });

  it("prints as many pieces as ids, escaped so that spaces separate them", async () => {
    const text = "the fox\rfox\\ é\u2028x";
    const { stdout } = await tokenize(["--model", spmFile, "--pieces", text]);
    const ids = tokenizer.encode(text, { bos: false });
    const pieces = stdout.trimEnd().split(" ");
    assert.equal(pieces.length, ids.length);
    for (const piece of ["<0xC3>", "<0xA9>", "\\r", "\\u{2028}"]) assert.ok(pieces.includes(piece), stdout);
    const unescaped = (piece: string) =>
      piece.replaceAll("\\r", "\r").replaceAll("\\u{2028}", "\u2028").replaceAll("\\\\", "\\");
    assert.deepEqual(
      pieces.map(unescaped),
      ids.map((id) => tokenizer.piece(id)),
    );
  });

  it("prints the number of tokens", async () => {
    const text = "the quick brown fox ".repeat(5000);
    await assertPrints(
      `${tokenizer.encode(text, { bos: false }).length}\n`,
      ["--model", spmFile, "--count"],
      text,
    );
  });

  it("adds BOS and EOS on request alone", async () => {
    const ids = tokenizer.encode("fox", { bos: false }).join(" ");
    await assertPrints(`${ids}\n`, ["--model", spmFile, "fox"]);
    await assertPrints(`1 ${ids}\n`, ["--model", spmFile, "--bos", "fox"]);
    await assertPrints(`1 ${ids} 2\n`, ["--model", spmFile, "--bos", "--eos", "fox"]);
    await assertPrints("1\n", ["--model", spmFile, "--bos"]);
    const { status, stdout, stderr } = await tokenize(["--model", rankFile, "--bos", "fox"]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^error: Cannot add BOS/);
  });

  it("reads special tokens with --special alone", async () => {
    const { stdout: plain } = await tokenize(["--model", spmFile, "<s>"]);
    assert.ok(!plain.trimEnd().split(" ").includes("1"), plain);
    await assertPrints("1\n", ["--model", spmFile, "--special", "<s>"]);
  });

  it("takes a text that begins with dashes after --", async () => {
    const ids = tokenizer.encode("--bos", { bos: false }).join(" ");
    await assertPrints(`${ids}\n`, ["--model", spmFile, "--", "--bos"]);
  });

  it("refuses wrong usage", async () => {
    await assertUsage(["fox"], "Cannot tokenize: Expected --model FILE, got none");
    await assertUsage(["--model", spmFile, "a", "b"], "Expected one text, got 2; quote it");
    await assertUsage(["--model", spmFile, "--idz"], "Unknown flag --idz: did you mean --ids?");
    await assertUsage(
      ["--model", spmFile, "--ids", "--count", "x"],
      "Expected one of --ids, --pieces and --count, got --ids and --count",
    );
    await assertUsage(["--model"], "Cannot read --model: Expected a value after it");
  });

  it("refuses a tokenizer that is not there, or none", async () => {
    const failures: [string, RegExp][] = [
      ["absent.model", /^error: Cannot open absent.model: no such file\n$/],
      [folder.path(""), /^error: Cannot open .*: is a directory, expected a file\n$/],
      [folder.write("empty", new Uint8Array(0)), /^error: Cannot .*empty.*\n$/],
      [folder.write("text", new TextEncoder().encode("just a text\n")), /^error: Cannot read .*\n$/],
    ];
    for (const [model, message] of failures) {
      const { status, stdout, stderr } = await tokenize(["--model", model, "x"]);
      assert.equal(status, 1);
      assert.equal(stdout, "");
      assert.match(stderr, message);
    }
  });

  it("ends with 0 when nobody reads on", async () => {
    const { child, result } = startCli(["tokenize", "--model", rankFile]);
    child.stdin?.on("error", () => {});
    child.stdin?.end("the quick brown fox ".repeat(200_000));
    child.stdout?.once("data", () => child.stdout?.destroy());
    const { status, stderr } = await result;
    assert.equal(status, 0);
    assert.equal(stderr, "");
  });

  it("--help says what it prints", async () => {
    const { status, stdout, stderr } = await tokenize(["--help"]);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: cria tokenize/);
    assert.equal(stderr, "");
  });

  const llama2 = "vocabs/llama2-tokenizer.model";
  const { texts, vocabularies } = fixtureIds();
  const models = [
    {
      name: "bpe.model",
      value: {
        model: fixturePath("bpe.model"),
        ids: vocabularies.bpe[texts.indexOf("Hello world")],
        pieces: "▁Hello ▁w or ld",
      },
    },
    {
      name: llama2,
      needs: [llama2],
      value: { model: sharedPath(llama2), ids: [15043, 3186], pieces: "▁Hello ▁world" },
    },
  ];
  itOn(models, "prints the ids of a SentencePiece model", async ({ model, ids, pieces }) => {
    await assertPrints(`${ids?.join(" ")}\n`, ["--model", model, "Hello world"]);
    await assertPrints(`${pieces}\n`, ["--model", model, "--pieces", "Hello world"]);
  });
});
