// `cria perplexity`: the library's figures of a text, its progress and its refusals.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { type CliResult, runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { embeddedModel } from "../support/models.ts";

const folder = testFolder();
const llama = await Llama.load(embeddedModel);
const text = "Once upon a time there was a king who had three daughters.\nThe youngest was kind.\n";
const encoder = new TextEncoder();

const perplexity = (args: string[], stdin: string | Uint8Array = ""): Promise<CliResult> =>
  runCli(["perplexity", ...args], stdin);

/** What the command prints of a text with `--json`. */
async function expected(scored: string, window?: number): Promise<string> {
  return `${JSON.stringify(await llama.perplexity(scored, { window }))}\n`;
}

async function assertPrints(stdout: string, args: string[], stdin: string | Uint8Array = ""): Promise<void> {
  assert.deepEqual(await perplexity(args, stdin), { status: 0, stdout, stderr: "" });
}

describe("cria perplexity", () => {
  it("prints the figures of a file, of standard input and of a text", async () => {
    const path = folder.write("text.txt", encoder.encode(text));
    const json = await expected(text);
    await assertPrints(json, [path, "--json"]);
    await assertPrints(json, ["--file", path, "--json"]);
    await assertPrints(json, ["--json"], text);
    await assertPrints(json, ["-", "--json"], text);
    await assertPrints(json, ["--prompt", text, "--json"]);
    const { nll, perplexity, tokens } = await llama.perplexity(text);
    const lines = `nll         ${nll.toFixed(6)}\nperplexity  ${perplexity.toFixed(6)}\ntokens      ${tokens}\n`;
    await assertPrints(lines, [path]);
  });

  it("scores in windows", async () => {
    const json = await expected(text, 7);
    assert.notEqual(json, await expected(text));
    await assertPrints(json, ["--prompt", text, "--window", "7", "--json"]);
    await assertPrints(json, ["--prompt", text, "--context", "7", "--json"]);
  });

  it("passes over a byte order mark, and reads bytes that are not UTF-8 as U+FFFD", async () => {
    await assertPrints(await expected("Once é"), ["--json"], encoder.encode("\ufeffOnce é"));
    await assertPrints(
      await expected("Once \ufffd upon"),
      ["--json"],
      Uint8Array.from([...encoder.encode("Once "), 0xff, ...encoder.encode(" upon")]),
    );
    const { status, stderr } = await perplexity([], Uint8Array.from([0xff, 0xfe, 0x41, 0]));
    assert.equal(status, 1);
    assert.match(stderr, /^error: Cannot read the text from standard input: .*UTF-16/);
  });

  it("refuses what cannot be scored", async () => {
    for (const [args, status, message] of [
      [["Once upon"], 1, "Cannot open Once upon: no such file; a text itself is given with --prompt"],
      [["-p", ""], 2, "Cannot score a text: Expected at least two tokens, got 1"],
      [["-p", "x", "-c", "8", "--window", "9"], 1, "Cannot score with a window of 9: Expected at most 8"],
      [["-p", "x", "--window", "0"], 2, "Cannot read --window: Expected an integer ≥ 1, got 0"],
      [["-p", "x", "file"], 2, "Expected one text, got an operand and --prompt"],
      [["a", "b"], 2, "Expected one file, got 2"],
      [["-p", "x", "-m", "absent.gguf"], 1, "Cannot open absent.gguf: no such file"],
    ] as const) {
      const result = await perplexity([...args]);
      assert.deepEqual([result.status, result.stdout], [status, ""]);
      assert.ok(result.stderr.startsWith(`error: ${message}`), result.stderr);
    }
  });

  it("says how far it is, and ends with 130 at Ctrl-C", async () => {
    const path = folder.write("long.txt", encoder.encode(text.repeat(3000)));
    const { child, result } = startCli(["perplexity", path], { progress: true });
    child.stdin?.end();
    let seen = "";
    while (child.stderr && !/ left$/m.test(seen)) seen += String((await once(child.stderr, "data"))[0]);
    sendSignal(child, "SIGINT");
    const { status, stdout, stderr } = await result;
    assert.deepEqual([status, stdout], [130, ""]);
    assert.match(stderr, /^scoring +\d+% of \d+ tokens, \d+ tokens\/s, \d+:\d\d left$/m);
  });
});

describe("llama.perplexity()", () => {
  it("reports each token that it scored", async () => {
    const seen: unknown[] = [];
    const { tokens } = await llama.perplexity(text, { window: 5, onProgress: (at) => seen.push(at) });
    assert.ok(tokens > 10);
    assert.deepEqual(
      seen,
      Array.from({ length: tokens }, (_, i) => ({ scored: i + 1, tokens })),
    );
  });

  it("ends with the signal's reason, before and between windows, and frees its memory", async () => {
    const reason = new Error("enough");
    await assert.rejects(
      llama.perplexity(text, { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
    for (let i = 0; i < 200; i++) {
      const controller = new AbortController();
      let scored = 0;
      const onProgress = (at: { readonly scored: number }) => {
        scored = at.scored;
        controller.abort(reason);
      };
      const scoring = llama.perplexity(text, { window: 5, signal: controller.signal, onProgress });
      await assert.rejects(scoring, (error) => error === reason);
      assert.ok(scored >= 1 && scored <= 5);
    }
  });
});
