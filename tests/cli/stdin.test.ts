// Where the text comes from: operands, flags, files and standard input, in whatever encoding.
import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { generateCommand, generateOptions } from "../../src/cli/generate.ts";
import { Tokenizer } from "../../src/tokenizer.ts";
import { trainTokenizer } from "../../src/tokenizer_train.ts";
import { runCli, startCli, testFolder } from "../support/cli.ts";

const folder = testFolder();
const settings = ["-n", "6", "--temp", "0"];
const text = "One day, Lily";
const BOM = "\ufeff";
const encoder = new TextEncoder();

function generate(args: string[], stdin: string | Uint8Array = ""): ReturnType<typeof runCli> {
  return runCli(["generate", ...args, ...settings], stdin);
}

function utf16(content: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * content.length));
  for (let i = 0; i < content.length; i++) view.setUint16(2 * i, content.charCodeAt(i), littleEndian);
  return new Uint8Array(view.buffer);
}

const expected = await generate([text]);
const fromNothing = await generate([""]);

describe("the prompt", () => {
  it("is what a pipe gives when none is named", async () => {
    assert.ok(expected.stdout.startsWith(text), expected.stderr);
    assert.deepEqual(await generate([], text), expected);
    assert.deepEqual(await generate([], `${text}\n`), expected);
    assert.deepEqual(await generate(["-"], text), expected);
  });

  it("is what a file on standard input holds", async () => {
    const file = openSync(folder.write("prompt.txt", encoder.encode(`${text}\n`)), "r");
    try {
      assert.deepEqual(await startCli(["generate", ...settings], { stdin: file }).result, expected);
    } finally {
      closeSync(file);
    }
  });

  it("is nothing when standard input is /dev/null, closed or empty", async () => {
    assert.ok(fromNothing.status === 0 && fromNothing.stdout !== "", fromNothing.stderr);
    assert.deepEqual(await startCli(["generate", ...settings], { stdin: "ignore" }).result, fromNothing);
    assert.deepEqual(await generate([], ""), fromNothing);
  });

  it("is the operand when both are there, and nobody waits for the pipe to end", async () => {
    assert.deepEqual(await generate([text], "Once upon a time"), expected);
    // Nothing is written to this pipe, and it stays open.
    const { child, result } = startCli(["generate", text, ...settings]);
    assert.deepEqual(await result, expected);
    child.stdin?.destroy();
  });

  it("may be named by flags, also from a file", async () => {
    const file = folder.write("p.txt", encoder.encode(`${BOM}${text}\r\n`));
    for (const args of [["-p", text], [`--prompt=${text}`], ["-f", file], [`--file=${file}`]]) {
      assert.deepEqual(await generate(args, "not read"), expected, args.join(" "));
    }
    assert.deepEqual(await generate(["-f", "-"], text), expected);
    assert.deepEqual(await generate(["-p", ""], "not read"), fromNothing);
    const { stdout } = await runCli(["generate", "-p", "-", "-n", "0"], "not read");
    assert.equal(stdout, "-");
  });

  it("is given once", async () => {
    for (const [args, got] of [
      [["-p", "a", "b"], "an operand and --prompt"],
      [["-f", "a", "-p", "b"], "--prompt and --file"],
      [["-f", "a", "-"], "an operand and --file"],
    ] as const) {
      const { status, stderr } = await generate([...args]);
      assert.equal(status, 2);
      assert.ok(stderr.startsWith(`error: Expected one prompt, got ${got}\n`), stderr);
    }
  });

  it("has no byte order mark of UTF-8, but keeps a second one", async () => {
    for (const args of [[], ["-"]]) {
      assert.deepEqual(await generate(args, BOM + text), expected);
      assert.deepEqual(await generate(args, BOM), fromNothing);
      const { stdout } = await runCli(["generate", ...args, "-n", "0"], BOM + BOM + text);
      assert.equal(stdout, BOM + text);
    }
  });

  it("is no UTF-16 and no UTF-32: the message says how to convert it", async () => {
    const utf32 = Uint8Array.of(0xff, 0xfe, 0, 0, 0x4f, 0, 0, 0);
    for (const [bytes, encoding] of [
      [utf16(BOM + text, true), "UTF-16"],
      [utf16(BOM + text, false), "UTF-16"],
      [utf32, "UTF-32"],
    ] as const) {
      const result = await generate([], bytes);
      assert.deepEqual(result, {
        status: 1,
        stdout: "",
        stderr:
          `error: Cannot read the prompt from standard input: Expected UTF-8 text, got ${encoding}; ` +
          `convert it, for example with: iconv -f ${encoding} -t UTF-8\n`,
      });
      const file = folder.write("wide.txt", bytes);
      const { status, stderr } = await generate(["-f", file]);
      assert.equal(status, 1);
      assert.ok(
        stderr.startsWith(`error: Cannot read ${file}: Expected UTF-8 text, got ${encoding}`),
        stderr,
      );
    }
  });

  it("says what it waits for when a pipe stays silent, and takes what comes then", async () => {
    const { child, result } = startCli(["generate", ...settings]);
    const [said] = await once(child.stderr as NonNullable<typeof child.stderr>, "data");
    assert.equal(
      String(said),
      'reading the prompt from standard input; give it as an argument, or "" for none\n',
    );
    child.stdin?.end(text);
    const { status, stdout } = await result;
    assert.deepEqual([status, stdout], [0, expected.stdout]);
  });

  it("is not waited for when the command line is wrong", async () => {
    const { child, result } = startCli(["generate", "--top-k", "x"]);
    assert.equal((await result).status, 2);
    child.stdin?.destroy();
  });

  it("is refused when its file is not there, or too long", async () => {
    const { status, stderr } = await generate(["-f", "absent.txt"]);
    assert.deepEqual([status, stderr], [1, "error: Cannot open absent.txt: no such file\n"]);
    const long = folder.write("long.txt", new Uint8Array((16 << 20) + 1));
    assert.match(
      (await generate(["-f", long])).stderr,
      /^error: Cannot read .*: Expected at most 16777216 bytes/,
    );
  });
});

describe("--special", () => {
  it("becomes an option of the library when it is given, and then only", () => {
    const { signal } = new AbortController();
    assert.equal(generateOptions({ special: true }, signal).special, true);
    assert.ok(!("special" in generateOptions({}, signal)));
    assert.ok("special" in generateCommand.flags);
  });
});

describe("the text of tokenize and train-tokenizer", () => {
  const corpus = "the quick brown fox jumps over the lazy dog\n".repeat(3);
  const ranks = trainTokenizer({ corpus: [corpus], modelType: "byte-bpe", vocabSize: 280 });

  it("has no byte order mark either", async () => {
    const { bytes } = await ranks;
    const model = folder.write("ranks.tiktoken", bytes);
    const tokenizer = await Tokenizer.load(bytes);
    const ids = `${tokenizer.encode("the fox\n").join(" ")}\n`;
    const file = folder.write("marked.txt", encoder.encode(`${BOM}the fox\n`));
    for (const [args, stdin] of [
      [[], `${BOM}the fox\n`],
      [["-"], `${BOM}the fox\n`],
      [["-f", file], ""],
    ] as const) {
      const result = await runCli(["tokenize", "-m", model, ...args], stdin);
      assert.deepEqual(result, { status: 0, stdout: ids, stderr: "" });
    }
    const { status, stderr } = await runCli(["tokenize", "-m", model], utf16(BOM + text, true));
    assert.equal(status, 1);
    assert.match(stderr, /^error: Cannot read the text from standard input: .* got UTF-16; convert it/);
    // In an operand every character was meant.
    const operand = await runCli(["tokenize", "-m", model, `${BOM}fox`]);
    assert.equal(operand.stdout, `${tokenizer.encode(`${BOM}fox`).join(" ")}\n`);
  });

  it("is learned from without the byte order mark of each file", async () => {
    const train = async (name: string, files: string[], stdin = "") => {
      const output = folder.path(name);
      const inputs = files.flatMap((file) => ["-i", file]);
      const flags = ["--model-type", "byte-bpe", "--vocab-size", "270", "-o", output];
      const { status, stderr } = await runCli(["train-tokenizer", ...inputs, ...flags], stdin);
      assert.equal(status, 0, stderr);
      return readFileSync(output);
    };
    const plain = folder.write("plain.txt", encoder.encode(corpus));
    const marked = folder.write("bom.txt", encoder.encode(BOM + corpus));
    const expected = await train("a.tiktoken", [plain, plain]);
    assert.deepEqual(await train("b.tiktoken", [marked, marked]), expected);
    assert.deepEqual(await train("c.tiktoken", [marked, "-"], BOM + corpus), expected);
  });

  it("is no UTF-16: the file is named", async () => {
    const file = folder.write("wide_corpus.txt", utf16(BOM + corpus, true));
    const output = folder.path("none.tiktoken");
    const { status, stderr } = await runCli(["train-tokenizer", file, "-o", output]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: Cannot read .*wide_corpus\.txt: Expected UTF-8 text, got UTF-16; convert it/,
    );
  });
});
