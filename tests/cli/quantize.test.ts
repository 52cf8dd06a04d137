// `cria quantize` and `cria convert` as processes: what they write, say and leave behind.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { cliCommand, runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { tinyFolder } from "../support/safetensors_writer.ts";
import { itUnless } from "../support/skip.ts";

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
      [[input, "out.gguf", "Q4_K"], /Expected a type among F32, F16.*, got Q4_K: did you mean Q4_K_M\?/],
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
    const large = folder.write("large.gguf", tinyLlamaGguf({ ...wide, vocabSize: 8000 }).bytes);
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

  // A limit on the sizes of files, whose signal is ignored: writes fail as on a full disk.
  const hasBash = spawnSync("bash", ["-c", "exit 0"]).status === 0;
  itUnless(!hasBash && "there is no bash", "leaves nothing behind on a full disk", () => {
    const output = folder.path("full.gguf");
    const command = cliCommand(["quantize", input, output, "f16"]);
    const limited = `ulimit -f 100; trap "" XFSZ; exec "$@"`;
    const { status, stderr } = spawnSync("bash", ["-c", limited, "bash", ...command], { encoding: "utf8" });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /error: Cannot write .*full\.gguf: the file would be too large for the disk/);
    assert.equal(existsSync(output), false);
    assert.deepEqual(leftovers(), []);
  });
});

describe("cria convert", () => {
  const said = (stderr: string) => stderr.replace(/^converting .*\n/gm, "");
  mkdirSync(folder.path("model"));
  for (const [name, bytes] of tinyFolder({ nKvHeads: 4 })) folder.write(`model/${name}`, bytes);

  it("writes a GGUF file of a folder, of a type and with fewer heads", async () => {
    for (const [flags, types] of [
      [[], "21 F32"],
      [["--type", "q8_0"], "16 Q8_0, 5 F32"],
      [["--kv-heads", "1", "--type=f16"], "16 F16, 5 F32"],
    ] as const) {
      const output = folder.path("converted.gguf");
      const { status, stdout, stderr } = await runCli(["convert", ...flags, folder.path("model"), output]);
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "");
      assert.match(
        said(stderr),
        new RegExp(`converted\\.gguf: 0\\.\\d MB, .* bits a weight \\(${types}\\)\n$`),
      );
    }
  });

  it("refuses wrong usage with status 2, and folders without a model with status 1", async () => {
    const model = folder.path("model");
    for (const [args, expected, message] of [
      [[], 2, /Expected DIR OUT, got 0 arguments/],
      [[model, "x.gguf", "q8_0"], 2, /Expected DIR OUT, got 3 arguments/],
      [
        [model, "x.gguf", "--type", "q5_k"],
        2,
        /--type: Expected one of F32, F16.*, got q5_k: did you mean Q5_K_M\?/,
      ],
      [[model, "x.gguf", "--kv-heads", "3"], 2, /with --kv-heads 3: Expected a divisor of the 4 heads/],
      [[model, folder.path("model/config.json")], 2, /Expected another file than the input/],
      [[dirname(model), folder.path("x.gguf")], 1, /config\.json/],
    ] as const) {
      const { status, stderr } = await runCli(["convert", ...args]);
      assert.match(stderr, message);
      assert.equal(status, expected, stderr);
    }
  });
});
