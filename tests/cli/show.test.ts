// `cria show`: what a model file is, for people and as JSON.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { inspectModel } from "../../src/api/inspect.ts";
import { type CliResult, runCli, testFolder } from "../support/cli.ts";
import { meta, metaArray, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel as embeddedUrl } from "../support/models.ts";
import { fileReply, hostile } from "../support/server.ts";
import { tinyGptOss } from "../support/tiny_gpt_oss.ts";

const folder = testFolder();
const embeddedModel = fileURLToPath(embeddedUrl);

const show = (...args: string[]): Promise<CliResult> => runCli(["show", ...args]);

async function shown(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await show(...args);
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

// Escape sequences, a bell, a title of a window, C1 controls, an override of direction.
const hostileText = "a\x1b[2Jb\x07\x1b]0;t\x07\x9b31m\x7f\u202etxt";
const escapedText = "a\\x1b[2Jb\\x07\\x1b]0;t\\x07\\x9b31m\\x7f\\u{202e}txt";
/** What no output has: control characters but line ends and tabs, and those of direction. */
const unsafe = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

describe("cria show", () => {
  it("prints what a file is", async () => {
    const text = await shown(embeddedModel);
    for (const line of [
      /^ {2}format {9}gguf$/m,
      /^ {2}architecture {3}llama$/m,
      /^ {2}name {11}tales$/m,
      /^ {2}parameters {5}3221952 \(3\.2 M\)$/m,
      /^ {2}size {11}2\.5 MB, 6\.08 bits a weight$/m,
      /^ {2}chat template {2}none$/m,
      /^ {2}Q5_0 {2}32 tensors {2}1\.2 MB {2}49\.7 %$/m,
      /^ {2}Q4_K {2}6 tensors {3}0\.3 MB {2}13\.5 %$/m,
      /^ {2}dim {12}192$/m,
      /^ {2}normEps {8}0\.00001$/m,
      /^ {2}bos {9}1 "<s>" \(added to texts\)$/m,
      /^ {2}context 512 {2}\d\.\d MB {2}weights 2\.6 MB, KV cache 1\.2 MB, the rest \d\.\d MB$/m,
    ]) {
      assert.match(text, line);
    }
    assert.doesNotMatch(text, /^(tensors|metadata|chat template)$/m);
    assert.equal(await shown("--model", embeddedModel), text);
  });

  it("says how much memory windows take", async () => {
    const file = folder.write("gpt-oss.gguf", tinyGptOss({ contextLength: 4096 }).file.bytes);
    assert.match(
      await shown(file),
      /, KV cache 0\.5 MB \(20 kB of it for 1 layer with a window of 7\), the rest /,
    );
  });

  it("--json prints the facts, and lists that are asked for", async () => {
    const { facts, tensors } = await inspectModel(embeddedModel);
    assert.deepEqual(JSON.parse(await shown(embeddedModel, "--json")), facts);
    const all = JSON.parse(await shown(embeddedModel, "--json", "--tensors", "--metadata"));
    assert.equal(all.tensors.length, tensors.length);
    assert.deepEqual(all.tensors[1], {
      name: "token_embd.weight",
      shape: [4096, 192],
      type: "Q8_0",
      bytes: 835584,
      file: embeddedModel,
    });
    assert.deepEqual(all.metadata["llama.block_count"], { type: "u32", value: 6 });
    const pieces = all.metadata["tokenizer.ggml.tokens"];
    assert.deepEqual(
      [pieces.type, pieces.elementType, pieces.length, pieces.value.length],
      ["array", "string", 4096, 16],
    );
  });

  it("writes numbers that JSON does not have as texts", async () => {
    const metadata = {
      "a.big": meta("u64", 2n ** 63n),
      "a.nan": meta("f32", Number.NaN),
      "a.list": metaArray("f32", [1, Number.POSITIVE_INFINITY]),
      __proto__: meta("bool", true),
      "a.long": meta("string", "x".repeat(5000)),
    };
    const path = folder.write("numbers.gguf", tinyLlamaGguf({ metadata }).bytes);
    const { metadata: found } = JSON.parse(await shown(path, "--json", "--metadata"));
    assert.deepEqual(found["a.big"], { type: "u64", value: "9223372036854775808" });
    assert.deepEqual(found["a.nan"], { type: "f32", value: "NaN" });
    assert.deepEqual(found["a.list"].value, [1, "Infinity"]);
    assert.deepEqual([found["a.long"].length, found["a.long"].value.length], [5000, 4096]);
    assert.match(await shown(path, "--metadata"), /^ {2}a\.big +9223372036854775808$/m);
  });

  it("--tensors and --metadata list everything, arrays in part", async () => {
    const text = await shown(embeddedModel, "--tensors", "--metadata");
    assert.equal(
      text.match(/^ {2}\S+\.weight +\[\d+(, \d+)?\] +(Q8_0|Q5_[01]|Q4_K|F32) +\d+ bytes$/gm)?.length,
      56,
    );
    assert.match(text, /^ {2}tokenizer\.ggml\.tokens +4096 string: \["<unk>", "<s>", .*, …\]$/m);
    assert.match(text, /^ {2}llama\.block_count +6$/m);
  });

  it("says why a model is not loaded, and ends with 0", async () => {
    const path = folder.write("other.gguf", tinyLlamaGguf({ architecture: "other" }).bytes);
    const text = await shown(path);
    assert.match(text, /^ {2}not loaded {2}Cannot load .*other\.gguf: Unsupported architecture "other"; /m);
    assert.match(text, /^ {2}other\.embedding_length +64$/m);
    const budget = await shown(embeddedModel, "--memory", "1M", "--context", "64");
    assert.match(budget, /^ {2}not loaded {2}Cannot load .*: Expected at most 1048576 bytes/m);
    const long = await shown(embeddedModel, "-c", "1000");
    assert.match(long, /^ {2}not loaded {2}Cannot load with --context 1000: Expected at most 512/m);
  });

  it("shows the memory of both contexts, and what the budget says of the full one", async () => {
    const path = folder.write("long.gguf", tinyLlamaGguf({ contextLength: 100_000 }).bytes);
    assert.match(await shown(path), /^ {2}context 4096 .*\n {2}context 100000 /m);
    const text = await shown(path, "--memory", "16M", "--kv", "f32");
    assert.match(text, /^ {2}context 4096 .*\n {2}full context +Cannot load .*: Expected at most 16777216/m);
  });

  it("spells out what a terminal would obey", async () => {
    const metadata = {
      "general.name": meta("string", hostileText),
      [`x.${hostileText}`]: metaArray("string", [hostileText]),
      "tokenizer.chat_template": meta("string", `{{ a }}\r\n${hostileText}`),
    };
    const tensors = { [`t${hostileText}`]: { shape: [64] } };
    const path = folder.write("hostile.gguf", tinyLlamaGguf({ metadata, tensors }).bytes);
    const all = await shown(path, "--template", "--metadata", "--tensors");
    assert.doesNotMatch(all, unsafe);
    assert.ok(all.includes(`name           ${escapedText}\n`));
    assert.ok(all.includes(`chat template\n{{ a }}\\x0d\n${escapedText}\n`));
    assert.ok(all.includes(`  t${escapedText}  [64]`));
    const json = await shown(path, "--json", "--metadata", "--tensors");
    assert.doesNotMatch(json, unsafe);
    const { name, chatTemplate, tensors: listed } = JSON.parse(json);
    assert.deepEqual([name, chatTemplate], [hostileText, `{{ a }}\r\n${hostileText}`]);
    assert.ok(listed.some(({ name }: { name: string }) => name === `t${hostileText}`));
  });

  it("refuses files that cannot be read, and wrong usage", async () => {
    const text = folder.write("text.gguf", new TextEncoder().encode("no model at all, a text\n".repeat(9)));
    for (const [args, status, message] of [
      [["absent.gguf"], 1, /^error: Cannot open absent\.gguf: no such file\n$/],
      [[text], 1, /^error: Cannot read .*text\.gguf: .*\n$/],
      [[], 2, /^error: Cannot show a model: Expected one FILE, got none\n/],
      [["a", "b"], 2, /^error: Cannot show a model: Expected one FILE, got 2\n/],
      [["a", "-m", "b"], 2, /^error: Cannot show a model: Expected one FILE, got 2\n/],
      [
        ["hf:a"],
        2,
        /^error: Cannot open "hf:a": Expected hf:owner\/repo, hf:owner\/repo:TYPE, hf:owner\/repo\/file/,
      ],
    ] as const) {
      const result = await show(...args);
      assert.deepEqual([result.status, result.stdout], [status, ""]);
      assert.match(result.stderr, message);
    }
  });

  it("fetches the header of a URL and no more, and caches nothing", async () => {
    const { XDG_CACHE_HOME } = process.env;
    const cache = folder.path("cache");
    process.env.XDG_CACHE_HOME = cache;
    const { bytes, dataBegin } = tinyLlamaGguf({ vocabSize: 20_000 });
    // What is behind the header never comes: a command that waits for it is ended by the limit of the test.
    // Headers are read in pieces of 64 KiB.
    const before = dataBegin + 65536;
    assert.ok(bytes.length > 8 * before);
    try {
      await hostile(
        (request) => ({ ...fileReply(bytes, request), stall: before }),
        async (url, requests) => {
          const text = await shown(url);
          assert.ok(text.startsWith(`${url}\n`));
          assert.match(text, /^ {2}vocabSize +20000$/m);
          assert.equal(requests.length, 1);
        },
      );
      assert.ok(!existsSync(`${cache}/cria`));
    } finally {
      if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
    }
  });
});
