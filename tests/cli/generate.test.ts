// What the command line does with models, seen from outside: streams, signals and exit statuses.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { type CliProcess, runCli, sendSignal, startCli, testFolder, wordyModel } from "../support/cli.ts";
import { meta, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { itUnless } from "../support/skip.ts";

const folder = testFolder();
const wordy = wordyModel(folder);
const greedy = ["--temperature", "0"];

describe("cria generate", () => {
  it("prints the prompt and its continuation, nothing else", async () => {
    const prompt = "Once upon a time";
    const { status, stdout, stderr } = await runCli(["generate", prompt, "--max-tokens", "20", ...greedy]);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`${prompt},`) || stdout.startsWith(`${prompt} `), stdout);
    assert.ok(!stdout.endsWith("\n"), "a pipe gets the text and nothing else");
    assert.ok(stdout.length > prompt.length + 20, stdout);
  });

  it("warns on standard error of what a file says wrongly, and goes on", async () => {
    const metadata = { "tokenizer.ggml.bos_token_id": meta("u32", 2 ** 32 - 1) };
    const path = folder.write("warned.gguf", tinyLlamaGguf({ metadata }).bytes);
    const { status, stdout, stderr } = await runCli([
      "generate",
      "the",
      "--model",
      path,
      "--max-tokens",
      "2",
    ]);
    assert.equal(status, 0);
    assert.match(stdout, /^the/);
    assert.match(
      stderr,
      /^warning: .*bos_token_id" of .*warned\.gguf: Expected an id .*, got 4294967295; it is passed over\n$/,
    );
  });

  it("generates nothing but the prompt with --max-tokens 0", async () => {
    const result = await runCli(["generate", "Once upon", "--max-tokens", "0"]);
    assert.deepEqual(result, { status: 0, stdout: "Once upon", stderr: "" });
  });

  it("begins from nothing without a prompt", async () => {
    const { status, stdout } = await runCli(["generate", "--max-tokens", "8", ...greedy]);
    assert.equal(status, 0);
    assert.match(stdout, /^\S.*\S$/s);
  });

  it("reads the prompt - from standard input, without its last line end", async () => {
    const args = ["--max-tokens", "8", ...greedy];
    const expected = await runCli(["generate", "One day, Lily", ...args]);
    assert.equal(expected.status, 0);
    for (const text of ["One day, Lily", "One day, Lily\n", "One day, Lily\r\n"]) {
      assert.deepEqual(await runCli(["generate", "-", ...args], text), expected, JSON.stringify(text));
    }
  });

  it("takes flags on both sides of the prompt, and a prompt after --", async () => {
    const args = ["--max-tokens=4", ...greedy];
    const expected = await runCli(["generate", "The dog", ...args]);
    assert.deepEqual(await runCli(["generate", ...args, "The dog"]), expected);
    assert.deepEqual(await runCli(["generate", ...args, "--", "The dog"]), expected);
    const { stdout } = await runCli(["generate", ...args, "--", "--stats"]);
    assert.match(stdout, /^--stats/);
  });

  it("repeats itself with --seed", async () => {
    const args = ["generate", "Once", "--max-tokens", "16", "--temperature", "1.5"];
    const [one, same, other] = await Promise.all(
      ["1", "1", "2"].map((seed) => runCli([...args, "--seed", seed])),
    );
    assert.equal(one?.status, 0);
    assert.deepEqual(same, one);
    assert.notEqual(other?.stdout, one?.stdout);
  });

  it("ends before a --stop text", async () => {
    const args = ["generate", "Once upon a time", "--max-tokens", "40", ...greedy];
    const { stdout } = await runCli(args);
    const stop = stdout.slice(30, 36);
    const end = stdout.indexOf(stop, "Once upon a time".length);
    const { stdout: stopped } = await runCli([...args, "--stop", "does not occur", "--stop", stop]);
    assert.equal(stopped, stdout.slice(0, end));
  });

  it("prints --stats as one line of JSON on standard error", async () => {
    const { status, stdout, stderr } = await runCli([
      "generate",
      "Once upon a time",
      "--max-tokens=8",
      "--stats",
    ]);
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, /\{/);
    assert.match(stderr, /^\{.*\}\n$/);
    const stats = JSON.parse(stderr);
    assert.deepEqual(Object.keys(stats), [
      ...["runtime", "kernel", "threads", "loadMs", "promptTokens", "prefillTps", "generatedTokens"],
      ...["decodeTps", "peakRssMb"],
    ]);
    assert.equal(stats.runtime, detectRuntime().name);
    const { variant, dot, streams, splats, threads } = stats.kernel;
    assert.deepEqual(Object.keys(stats.kernel), ["variant", "dot", "streams", "splats", "threads"]);
    assert.match(variant, /^(simd|relaxed)(-shared)?$/);
    assert.match(dot, /^(wide|moved|unsigned|signed)$/);
    assert.ok([1, 2, 4, 8].includes(streams), stderr);
    assert.match(splats, /^(loads|shuffles)$/);
    assert.deepEqual(Object.keys(threads), ["load", "one", "few", "many"]);
    for (const n of Object.values(threads) as number[]) assert.ok(n >= 1 && n <= stats.threads, stderr);
    assert.equal(stats.threads, detectRuntime().cores);
    assert.ok(stats.promptTokens >= 4 && stats.promptTokens <= 17, stderr);
    assert.equal(stats.generatedTokens, 8);
    for (const key of ["loadMs", "prefillTps", "decodeTps", "peakRssMb"]) assert.ok(stats[key] > 0, stderr);
  });

  it("writes that line to the file of --stats-file", async () => {
    const file = folder.path("stats.json");
    const args = ["generate", "Once", "-n", "3", "--stats-file", file];
    const { status, stderr } = await runCli(args);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.equal(JSON.parse(readFileSync(file, "utf8")).generatedTokens, 3);
    const absent = folder.path("absent/stats.json");
    const refused = await runCli([...args.slice(0, -1), absent]);
    assert.deepEqual(refused, {
      status: 1,
      stdout: "",
      stderr: `error: Cannot write ${absent}: no such directory\n`,
    });
  });

  it("knows the flags of other programs", async () => {
    const ours = ["--max-tokens", "5", "--temperature", "0.5", "--seed", "3", "--context", "64"];
    const theirs = ["-n", "5", "--temp", "0.5", "-s", "3", "-c", "64"];
    const long = ["--predict=5", "--temp=0.5", "--seed=3", "--ctx-size=64"];
    const [expected, ...others] = await Promise.all([
      runCli(["generate", "Once", "--threads", "1", ...ours]),
      runCli(["generate", "-p", "Once", "-t", "1", ...theirs]),
      runCli(["generate", "-pOnce", "-t1", ...long]),
      runCli(["generate", "Once", "-t=1", "--n-predict", "5", ...long.slice(1)]),
    ]);
    assert.equal(expected?.status, 0, expected?.stderr);
    for (const other of others) assert.deepEqual(other, expected);
  });

  const isDeno = "deno" in process.versions;

  itUnless(!isDeno && "needs Deno", "needs no permission of Deno but --allow-read", async () => {
    const denoFlags = ["--no-prompt", "--allow-read"];
    const { result } = startCli(["generate", "Once", "--max-tokens=4", "--stats"], { denoFlags });
    const { status, stdout, stderr } = await result;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Once./s);
    assert.match(stderr, /^\{.*\}\n$/);
  });

  it("refuses a prompt longer than the context", async () => {
    const { status, stdout, stderr } = await runCli(["generate", "Once ".repeat(50), "--context", "16"]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^error: Cannot generate: Expected a prompt of at most 16 tokens .*\n$/);
  });

  it("refuses a model larger than --memory", async () => {
    const { status, stdout, stderr } = await runCli(["generate", "Once", "--memory", "1M"]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^error: Cannot .*\n$/);
  });

  it("takes --precision, --kv and --context over to the engine", async () => {
    // The refusal of a model that is too large tells what it would take.
    const sizes = async (...args: string[]) => {
      const { stderr } = await runCli(["generate", "Once", "--memory", "1K", ...args]);
      const [, weights, positions, cache] =
        /weights (\S+) MiB.* (\d+) positions (\S+) MiB/.exec(stderr) ?? [];
      return { weights: Number(weights), positions: Number(positions), cache: Number(cache) };
    };
    const normal = await sizes();
    const f32 = await sizes("--precision", "f32");
    assert.ok(f32.weights > 3 * normal.weights, `${f32.weights} of ${normal.weights}`);
    const q8 = await sizes("--kv", "q8");
    assert.ok(q8.cache < 0.7 * normal.cache, `${q8.cache} of ${normal.cache}`);
    assert.equal(normal.positions, 512);
    assert.equal((await sizes("--context", "100")).positions, 100);
  });

  it("goes on after an end-of-text token with --ignore-eos", async () => {
    const generated = async (...args: string[]) => {
      const { stderr } = await runCli(["generate", "Once upon a time", "--stats", ...greedy, ...args]);
      return JSON.parse(stderr);
    };
    const ended = await generated();
    const full = await generated("--ignore-eos");
    assert.ok(ended.generatedTokens < 400, `${ended.generatedTokens}`);
    // The context is full when the last token drawn no longer fits.
    assert.equal(full.generatedTokens, 512 - full.promptTokens + 1);
  });

  it("refuses a model without tokenizer", async () => {
    const { status, stdout, stderr } = await runCli(["generate", "Once", ...wordy.slice(0, 2)]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^error: Cannot load .*--tokenizer FILE\n$/);
  });
});

/** Starts a generation that cannot end before its output is read, and reads no more than its first bytes. */
async function startWordy(...args: string[]): Promise<CliProcess> {
  const { child, result } = startCli(["generate", ...args, "--stats", ...wordy], { stdin: "ignore" });
  const stdout = child.stdout as Readable;
  await once(stdout, "data");
  stdout.pause();
  return { child, result };
}

/** Waits until nothing more arrives: the pipe is full. */
async function fullPipe({ stdout }: ChildProcess): Promise<void> {
  for (let length = -1; length !== stdout?.readableLength; await delay(400))
    length = stdout?.readableLength ?? 0;
}

describe("cria generate, ended early", () => {
  it("goes on when nobody reads standard error", async () => {
    const { child, result } = startCli(["generate", "Once", "-n", "4", "--stats"]);
    child.stderr?.destroy();
    const { status, stdout } = await result;
    assert.equal(status, 0);
    assert.match(stdout, /^Once./s);
  });

  it("stops without a word when its reader goes away", async () => {
    const { child, result } = await startWordy();
    child.stdout?.destroy();
    const { status, stderr } = await result;
    assert.equal(status, 0);
    // With --stats: their absence shows that the generation did not come to its end.
    assert.equal(stderr, "");
  });

  itUnless(
    process.platform !== "linux" && "needs Linux",
    "says that standard output cannot take more",
    async () => {
      const full = openSync("/dev/full", "w");
      const { result } = startCli(["generate", "Once", "--max-tokens", "4"], { stdout: full });
      const { status, stderr } = await result;
      closeSync(full);
      assert.equal(status, 1);
      assert.match(stderr, /^error: Cannot write to standard output: .*space.*\n$/i);
    },
  );

  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`shows the text so far after ${signal}`, async () => {
      const { child, result } = await startWordy("Once");
      sendSignal(child, signal);
      // Nobody reads, and so the generation cannot end, until the signal has arrived.
      await delay(200);
      child.stdout?.resume();
      const { status: ended, stdout, stderr } = await result;
      assert.equal(ended, status);
      assert.equal(stderr, "");
      assert.match(stdout, /^Once./s);
    });
  }

  it("ends by a signal although nobody reads", async () => {
    const { child, result } = await startWordy();
    await fullPipe(child);
    sendSignal(child, "SIGINT");
    const [status] = await once(child, "exit");
    assert.equal(status, 130);
    child.stdout?.destroy();
    assert.equal((await result).stderr, "");
  });

  it("ends by a second signal at once", async () => {
    const { child, result } = await startWordy();
    await fullPipe(child);
    sendSignal(child, "SIGINT");
    await delay(100);
    sendSignal(child, "SIGTERM");
    const [status] = await once(child, "exit");
    // The status of the second: that of the first would come after a time of grace.
    assert.equal(status, 143);
    child.stdout?.destroy();
    assert.equal((await result).stderr, "");
  });

  it("ends by a signal while it loads", async () => {
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": "1000000" });
      // And then nothing more.
      response.write("GGUF");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
      const { child, result } = startCli(["generate", "Once", "--model", url]);
      await Promise.race([once(server, "request"), result]);
      sendSignal(child, "SIGINT");
      assert.deepEqual(await result, { status: 130, stdout: "", stderr: "" });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
