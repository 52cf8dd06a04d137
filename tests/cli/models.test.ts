// `cria pull`, `cria list` and `cria remove`, and models of a repository in `cria generate`.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";
import { runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { type HubOptions, type HubRequest, withHub } from "../support/hub.ts";

const folder = testFolder();
const names = ["HOME", "XDG_CACHE_HOME", "HF_ENDPOINT", "HF_TOKEN"];
const saved = new Map(names.map((name) => [name, process.env[name]]));
let homes = 0;
let cache = "";

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

// Of the processes that are started from here.
before(() => {
  for (const name of names) setVariable(name, undefined);
});
beforeEach(() => {
  const home = folder.path(`home${homes++}`);
  cache = `${home}/cria`;
  setVariable("XDG_CACHE_HOME", home);
});
after(() => {
  for (const [name, value] of saved) setVariable(name, value);
});

const { bytes: model } = tinyLlamaGguf();
const large = new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8) * 13 + (i >> 16) * 29);
const file = "hf:owner/repo/tiny-Q8_0.gguf";
const repositories = {
  "owner/repo@main": { "tiny-Q8_0.gguf": model, "tiny-F32.gguf": 2e12 },
  "owner/large@main": { "large-Q4_0.gguf": large },
};

async function besideHub(
  body: (requests: HubRequest[]) => Promise<void>,
  options: Partial<HubOptions> = {},
): Promise<void> {
  await withHub({ repositories, ...options }, async (endpoint, requests) => {
    setVariable("HF_ENDPOINT", endpoint);
    try {
      await body(requests);
    } finally {
      setVariable("HF_ENDPOINT", undefined);
    }
  });
}

const generate = (name: string, ...flags: string[]) =>
  runCli(["generate", "a", "-m", name, "-n", "4", "--temperature", "0", "--ignore-eos", ...flags]);

/** The whole files of the cache. */
const wholeFiles = () =>
  readdirSync(cache).filter((name) => !name.endsWith(".part") && !name.startsWith("about-"));

describe("cria pull, list and remove", () => {
  it("keep a model, show it, let it be used without a network, and free it", async () => {
    let hub: string | undefined;
    await besideHub(async () => {
      hub = process.env.HF_ENDPOINT;
      assert.deepEqual(await runCli(["list"]), { status: 0, stdout: "", stderr: "" });
      const pulled = await runCli(["pull", "hf:owner/repo"]);
      assert.deepEqual([pulled.status, pulled.stdout], [0, `${file}\n`]);
      assert.match(pulled.stderr, /^model: hf:owner\/repo\/tiny-Q8_0\.gguf \([\d.]+ [kM]B\)\n$/);
    });
    const { status, stdout, stderr } = await runCli(["list"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(
      stdout,
      /^NAME {25,}SIZE {2,}WHEN {14}REVISION\nhf:owner\/repo\/tiny-Q8_0\.gguf {2}[\d.]+ [kM]B {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}main\n$/,
    );
    setVariable("HF_ENDPOINT", hub);
    for (const name of ["hf:owner/repo", "hf:owner/repo:q8_0", file]) {
      const generated = await generate(name);
      assert.deepEqual([generated.status, generated.stdout.slice(0, 1)], [0, "a"], generated.stderr);
    }
    setVariable("HF_ENDPOINT", undefined);
    const json = JSON.parse((await runCli(["list", "--json"])).stdout);
    assert.deepEqual([json.name, json.bytes, json.isWhole, json.paths.length], [file, model.length, true, 1]);
    const removed = await runCli(["remove", "hf:owner/repo:q8_0"]);
    assert.deepEqual([removed.status, removed.stdout], [0, `${file}\n`]);
    assert.match(removed.stderr, /^freed [\d.]+ [kM]B\n$/);
    assert.deepEqual(readdirSync(cache), []);
  });

  it("are what cria show reads, without asking the hub, and only if they are whole", () =>
    besideHub(async (requests) => {
      assert.equal((await runCli(["show", file])).status, 0);
      assert.ok(!existsSync(cache), "nothing is cached by showing");
      await runCli(["pull", file]);
      const asked = requests.length;
      for (const name of [file, "hf:owner/repo:q8_0"]) {
        const { status, stdout, stderr } = await runCli(["show", name]);
        assert.deepEqual([status, stderr], [0, ""]);
        assert.match(stdout, /^ {2}architecture +llama$/m);
      }
      assert.equal(requests.length, asked);
      // Of a repository only the hub says which file is taken.
      assert.equal((await runCli(["show", "hf:owner/repo"])).status, 0);
      assert.equal(requests.length, asked + 1);
      const [kept = ""] = wholeFiles();
      renameSync(`${cache}/${kept}`, `${cache}/${kept}.part`);
      assert.equal((await runCli(["show", file])).status, 0);
      assert.ok(requests.length > asked + 1);
    }));

  it("name the file of a repository that they take, as cria quantize does", () =>
    besideHub(async () => {
      const output = folder.path("of-hub.gguf");
      const { status, stderr } = await runCli(["quantize", "hf:owner/repo:Q8_0", output, "F16"]);
      assert.equal(status, 0, stderr);
      assert.match(stderr, /^model: hf:owner\/repo\/tiny-Q8_0\.gguf \([\d.]+ [kM]B\)\n/);
      assert.ok(existsSync(output));
    }));

  it("refuse a name that there is not with the nearest, and wrong arguments, with status 2", () =>
    besideHub(async () => {
      await runCli(["pull", file]);
      const removed = await runCli(["remove", "hf:owner/repo/tiny-Q8_1.gguf"]);
      assert.deepEqual([removed.status, removed.stdout], [2, ""]);
      assert.match(removed.stderr, /did you mean hf:owner\/repo\/tiny-Q8_0\.gguf\?\n$/);
      for (const args of [["pull"], ["pull", "a", "b"], ["pull", "a.gguf"], ["remove"], ["list", "a"]]) {
        const { status, stdout, stderr } = await runCli(args);
        assert.deepEqual([status, stdout], [2, ""], args.join(" "));
        assert.match(stderr, /^error: Cannot (pull|remove|list)\b.*: Expected /);
      }
      const missing = await runCli(["pull", "hf:owner/repo:Q2_K"]);
      assert.equal(missing.status, 2);
      assert.match(
        missing.stderr,
        /Expected one of Q8_0 \([\d.]+ [kM]B\), F32 \(2000\.00 GB\), got no such type\n$/,
      );
    }));

  it("go on after Ctrl-C where it stopped, with status 130", () =>
    besideHub(
      async (requests) => {
        const args = ["pull", "hf:owner/large:Q4_0"];
        const { child, result } = startCli(args, { progress: true });
        // A line of progress says that bytes have come.
        await new Promise<void>((resolve) => {
          let text = "";
          child.stderr?.on("data", (chunk) => {
            text += chunk;
            if (/pulling .*%/.test(text)) resolve();
          });
          child.on("close", () => resolve());
        });
        sendSignal(child, "SIGINT");
        const stopped = await result;
        assert.deepEqual([stopped.status, stopped.stdout], [130, ""]);
        assert.match(stopped.stderr, /\nstopped; cria pull hf:owner\/large:Q4_0 goes on where it ended\n$/);
        assert.deepEqual(wholeFiles(), []);
        const listed = JSON.parse((await runCli(["list", "--json"])).stdout);
        assert.ok(listed.bytes > 0 && listed.bytes < large.length && !listed.isWhole);
        assert.equal(listed.totalBytes, large.length);
        const table = (await runCli(["list"])).stdout;
        assert.match(table, /large-Q4_0\.gguf {2}[\d.]+ [kM]B of 3\.0 MB {2}/);
        requests.length = 0;
        assert.equal((await runCli(args)).status, 0);
        assert.ok(requests.some(({ range }) => range === `bytes=${listed.bytes}-`));
        const [name] = wholeFiles();
        assert.ok(readFileSync(`${cache}/${name}`).equals(large));
      },
      { slowMs: 40 },
    ));

  it("keep one whole file of two processes", () =>
    besideHub(
      async () => {
        const results = await Promise.all([1, 2].map(() => runCli(["pull", "hf:owner/large"])));
        for (const { status, stdout } of results)
          assert.deepEqual([status, stdout], [0, "hf:owner/large/large-Q4_0.gguf\n"]);
        const [name, ...more] = wholeFiles();
        assert.deepEqual(more, []);
        assert.ok(readFileSync(`${cache}/${name}`).equals(large));
        assert.equal((await runCli(["list", "--json"])).stdout.split("\n").length, 2);
      },
      { slowMs: 10 },
    ));
});

describe("cria generate --model hf:owner/repo", () => {
  it("says which file it takes, on standard error or in its statistics", async () => {
    const expected = await runCli([
      ...[
        "generate",
        "a",
        "-m",
        folder.write("m.gguf", model),
        "-n",
        "4",
        "--temperature",
        "0",
        "--ignore-eos",
      ],
    ]);
    await besideHub(async (requests) => {
      for (const name of ["hf:owner/repo", "hf:owner/repo:Q8_0"]) {
        const { status, stdout, stderr } = await generate(name);
        assert.deepEqual([status, stdout], [0, expected.stdout]);
        assert.match(stderr, /^model: hf:owner\/repo\/tiny-Q8_0\.gguf \([\d.]+ [kM]B\)\n$/);
      }
      const { stderr } = await generate("hf:owner/repo", "--stats");
      assert.equal(JSON.parse(stderr).model, file);
      const files = requests.filter(({ server, range }) => server === "storage" && range !== "bytes=0-");
      assert.deepEqual(files, [], "nothing comes twice");
    });
  });

  it("never shows the token, whatever the hub says", async () => {
    setVariable("HF_TOKEN", "hf_secret");
    try {
      await besideHub(
        async (requests) => {
          const good = await generate("hf:owner/repo", "--stats");
          assert.equal(good.status, 0);
          assert.doesNotMatch(good.stdout + good.stderr, /hf_secret/);
          const leaked = requests.filter(
            ({ server, authorization }) => (server === "storage") === !!authorization,
          );
          assert.deepEqual(leaked, []);
          for (const name of readdirSync(cache))
            assert.doesNotMatch(readFileSync(`${cache}/${name}`, "latin1"), /hf_secret/);
        },
        { token: "hf_secret" },
      );
      await besideHub(
        async () => {
          for (const args of [
            ["pull", "hf:owner/repo"],
            ["pull", file],
            ["generate", "a", "-m", file, "--no-cache"],
          ]) {
            const { status, stdout, stderr } = await runCli(args);
            assert.deepEqual([status, stdout], [1, ""]);
            assert.match(stderr, /got 403 .*; owner\/repo is gated: accept its terms at .* and set HF_TOKEN/);
            assert.doesNotMatch(stderr, /hf_secret/);
          }
        },
        { token: "another", refusal: { status: 403, code: "GatedRepo" } },
      );
    } finally {
      setVariable("HF_TOKEN", undefined);
    }
  });
});
