// `cria quantize` as a process: what it writes, says and leaves behind.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";

const folder = testFolder();
const wide = { dim: 256, nLayers: 1, hiddenDim: 256 };
const input = folder.write("in.gguf", tinyLlamaGguf(wide).bytes);

const leftovers = () => readdirSync(dirname(input)).filter((name) => name.endsWith(".part"));

/** Without what a slow machine shows of progress. */
const said = (stderr: string) => stderr.replace(/^quantizing .*\n/gm, "");

describe("cria quantize", () => {
  it("writes a file and says what it is, on standard error", async () => {
    const output = folder.path("out.gguf");
    const { status, stdout, stderr } = await runCli(["quantize", input, output, "q4_k_m"]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "");
    assert.match(said(stderr), /^\S+out\.gguf: 0\.4 MB, \d\.\d\d bits a weight \(6 Q4_K, 3 Q6_K, 3 F32\)\n$/);
    assert.equal(readFileSync(output).subarray(0, 4).toString(), "GGUF");
  });

  it("refuses wrong usage with status 2", async () => {
    for (const [args, message] of [
      [[], /Expected IN OUT TYPE, got 0 arguments/],
      [[input, "out.gguf"], /Expected IN OUT TYPE, got 2 arguments/],
      [[input, "out.gguf", "Q4_K_M", "more"], /Expected IN OUT TYPE, got 4 arguments/],
      [[input, "out.gguf", "Q4_K"], /Expected a type among F32, F16.*, got Q4_K/],
      [[input, input, "Q8_0"], /Cannot write .*: Expected another file than the input/],
      [[input, "out.gguf", "Q8_0", "--threads", "0"], /--threads/],
    ] as const) {
      const { status, stderr } = await runCli(["quantize", ...args]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
  });

  it("names the flag that allows to quantize twice", async () => {
    const tensors = { "blk.0.attn_k.weight": { type: "Q4_0" } };
    const once = folder.write("once.gguf", tinyLlamaGguf({ ...wide, tensors }).bytes);
    const { status, stderr } = await runCli(["quantize", once, folder.path("twice.gguf"), "f16"]);
    assert.equal(status, 2);
    assert.match(stderr, /got Q4_0, which has lost bits already.*--allow-requantize/);
  });

  it("fails with status 1 if the file cannot be read", async () => {
    const { status, stderr } = await runCli([
      "quantize",
      folder.path("none.gguf"),
      folder.path("x.gguf"),
      "f16",
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: Cannot open .*none\.gguf: no such file/);
  });

  it("leaves nothing behind after Ctrl-C and SIGTERM", async () => {
    // Searching the roundings of so many values takes seconds.
    const large = folder.write("large.gguf", tinyLlamaGguf({ ...wide, vocabSize: 30_000 }).bytes);
    for (const [signal, expected] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const output = folder.path(`${signal}.gguf`);
      const { child, result } = startCli(["quantize", large, output, "IQ4_NL", "-t", "1"], {
        progress: true,
      });
      const isBegun = setInterval(() => {
        if (leftovers().length === 0) return;
        clearInterval(isBegun);
        sendSignal(child, signal);
      }, 5);
      const { status, stderr } = await result;
      clearInterval(isBegun);
      assert.equal(status, expected, stderr);
      assert.equal(existsSync(output), false);
      assert.deepEqual(leftovers(), []);
    }
  });
});
