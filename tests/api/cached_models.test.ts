// The cache of downloads as models: pulled, listed and removed by name.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { list, pull, remove } from "../../src/models.ts";
import { SourceError, UsageError } from "../../src/util/errors.ts";
import { type HubFiles, type HubOptions, type HubRequest, withHub } from "../support/hub.ts";
import { refused } from "../support/refused.ts";
import { fileReply, hostile } from "../support/server.ts";

const root = mkdtempSync(join(tmpdir(), "cria-models-"));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = () => join(root, `d${folders++}`);
const http = { retryMs: 1 };

const { HF_ENDPOINT } = process.env;
const setEndpoint = (address: string | undefined) => {
  if (address === undefined) delete process.env.HF_ENDPOINT;
  else process.env.HF_ENDPOINT = address;
};
before(() => setEndpoint(undefined));
after(() => setEndpoint(HF_ENDPOINT));

function pattern(n: number, seed: number): Uint8Array {
  return new Uint8Array(n).map((_, i) => i * seed + (i >> 8));
}

const files: HubFiles = {
  "m-Q4_K_M.gguf": pattern(300_000, 3),
  "m-Q8_0-00001-of-00002.gguf": pattern(1000, 5),
  "m-Q8_0-00002-of-00002.gguf": pattern(2000, 7),
  "a b%20.gguf": pattern(10, 11),
};
const folderFiles: HubFiles = {
  "config.json": pattern(20, 3),
  "tokenizer.json": pattern(30, 3),
  "model-00001-of-00002.safetensors": pattern(4000, 5),
  "model-00002-of-00002.safetensors": pattern(5000, 7),
  "README.md": pattern(60, 3),
};
const repositories = { "owner/repo@main": files, "owner/folder@v1": folderFiles };

/** Runs `body` beside a hub, which the environment names. */
async function besideHub(
  body: (endpoint: string, requests: HubRequest[]) => Promise<void>,
  options: Partial<HubOptions> = {},
): Promise<void> {
  await withHub({ repositories, ...options }, async (endpoint, requests) => {
    setEndpoint(endpoint);
    try {
      await body(endpoint, requests);
    } finally {
      setEndpoint(undefined);
    }
  });
}

/** What a cache lists: names, bytes, whether they are whole. */
async function listed(cache: string): Promise<(readonly [string, number, boolean])[]> {
  return (await list({ cache })).map(({ name, bytes, isWhole }) => [name, bytes, isWhole] as const);
}

describe("pull()", () => {
  it("keeps the file of a type, and lists it by its name", () =>
    besideHub(async () => {
      const cache = newFolder();
      const chosen: string[] = [];
      const reports: (number | undefined)[] = [];
      const pulled = await pull("hf:owner/repo:q4_k_m", {
        ...{ cache, http },
        onChoice: ({ name }) => chosen.push(name),
        onProgress: ({ fraction }) => reports.push(fraction),
      });
      const name = "hf:owner/repo/m-Q4_K_M.gguf";
      assert.deepEqual(pulled, { name, bytes: 300_000, files: 1 });
      assert.deepEqual(chosen, [name]);
      assert.equal(reports.at(-1), 1);
      const [model, ...more] = await list({ cache });
      assert.deepEqual(more, []);
      assert.deepEqual(
        [model?.name, model?.bytes, model?.isWhole, model?.revision],
        [name, 300_000, true, "main"],
      );
      assert.ok(Math.abs((model?.modified?.getTime() ?? 0) - Date.now()) < 600_000);
      const [path] = model?.paths ?? [];
      assert.ok(readFileSync(path as string).equals(files["m-Q4_K_M.gguf"] as Uint8Array));
    }));

  it("keeps all parts of a split file, given any, a type or its repository", async () => {
    for (const name of ["hf:owner/repo:Q8_0", "hf:owner/repo/m-Q8_0-00002-of-00002.gguf"]) {
      await besideHub(async () => {
        const cache = newFolder();
        assert.equal((await pull(name, { cache, http })).files, 2);
        assert.deepEqual(await listed(cache), [["hf:owner/repo/m-Q8_0-00001-of-00002.gguf", 3000, true]]);
        const removed = await remove(name, { cache });
        assert.equal(removed.bytes, 3000);
        assert.deepEqual(readdirSync(cache), []);
      });
    }
  });

  it("keeps a safetensors model with its tokenizer, at a revision, and nothing else of the repository", () =>
    besideHub(async (_, requests) => {
      const cache = newFolder();
      const pulled = await pull("hf:owner/folder@v1", { cache, http });
      assert.deepEqual(pulled, { name: "hf:owner/folder@v1/", bytes: 9050, files: 4 });
      assert.deepEqual(await listed(cache), [["hf:owner/folder@v1", 9050, true]]);
      assert.equal((await list({ cache }))[0]?.revision, "v1");
      assert.ok(!requests.some(({ path }) => path.includes("README")));
      requests.length = 0;
      await pull("hf:owner/folder@v1", { cache, http });
      assert.ok(
        requests.every(({ server, range }) => server === "hub" || range === "bytes=0-"),
        "only asks whether they are the same",
      );
      assert.equal((await remove("hf:owner/folder@v1/", { cache })).bytes, 9050);
      assert.deepEqual(readdirSync(cache), []);
    }));

  it("keeps the folder of a URL by its table, and refuses names in it that lead elsewhere", async () => {
    const shards = ["model-00001-of-00002.safetensors", "other/b.safetensors"];
    for (const [names, message] of [
      [shards, undefined],
      [["../x.safetensors"], /Expected weight_map with names of files in the same folder$/],
      [["/etc/passwd"], /Expected weight_map with/],
      [["https://example.com/x"], /Expected weight_map with/],
      [[7], /Expected weight_map with/],
      [[], /Expected weight_map with/],
    ] as const) {
      const index = { weight_map: Object.fromEntries(names.map((name, i) => [`t${i}`, name])) };
      const asked: string[] = [];
      await hostile(
        (request) => {
          asked.push(request.path);
          const name = request.path.replace("/models/", "").replace("?key=1", "");
          if (name === "model.safetensors.index.json")
            return fileReply(new TextEncoder().encode(JSON.stringify(index)), request);
          return name === "config.json" || shards.includes(name)
            ? fileReply(pattern(50, 3), request)
            : { status: 404 };
        },
        async (url) => {
          const cache = newFolder();
          const folder = url.replace("m.gguf", "?key=1");
          const pulling = pull(folder, { cache, http });
          if (message) return refused(pulling, message);
          assert.equal((await pulling).files, 4);
          assert.ok(asked.includes("/models/other/b.safetensors?key=1"));
        },
      );
    }
  });

  it("resumes broken connections, and what an abort has left, where they ended", () =>
    besideHub(
      async (_, requests) => {
        const cache = newFolder();
        const name = "hf:owner/repo/m-Q4_K_M.gguf";
        const stop = new AbortController();
        const first = pull(name, {
          ...{ cache, http, signal: stop.signal },
          onProgress: () => stop.abort(new Error("enough")),
        });
        await assert.rejects(first, /enough/);
        const [[, bytes, isWhole] = ["", 0, true]] = await listed(cache);
        assert.ok(bytes > 0 && bytes < 300_000 && !isWhole, `${bytes} bytes`);
        assert.equal((await list({ cache }))[0]?.totalBytes, 300_000);
        requests.length = 0;
        await pull(name, { cache, http });
        assert.ok(
          requests.some(({ range }) => range === `bytes=${bytes}-`),
          "asks for the rest",
        );
        const [model] = await list({ cache });
        assert.ok(readFileSync(model?.paths[0] as string).equals(files["m-Q4_K_M.gguf"] as Uint8Array));
      },
      { cutBytes: 120_000 },
    ));

  it("keeps one whole file if two pull it at once", () =>
    besideHub(
      async () => {
        const cache = newFolder();
        const name = "hf:owner/repo:Q4_K_M";
        await Promise.all([1, 2, 3].map(() => pull(name, { cache, http })));
        const [model, ...more] = await list({ cache });
        assert.deepEqual(more, []);
        assert.deepEqual([model?.isWhole, model?.bytes, model?.paths.length], [true, 300_000, 1]);
        assert.ok(readFileSync(model?.paths[0] as string).equals(files["m-Q4_K_M.gguf"] as Uint8Array));
      },
      { slowMs: 5 },
    ));

  it("needs no network for what is there", async () => {
    const cache = newFolder();
    const address: string[] = [];
    await besideHub(async (endpoint) => {
      address.push(endpoint);
      await pull("hf:owner/repo:Q8_0", { cache, http });
      await pull("hf:owner/repo:Q4_K_M", { cache, http });
    });
    setEndpoint(address[0]);
    const quick = { retries: 0, retryMs: 1 };
    assert.equal(
      (await pull("hf:owner/repo:Q8_0", { cache, http: quick })).name,
      "hf:owner/repo/m-Q8_0-00001-of-00002.gguf",
    );
    assert.equal((await pull("hf:owner/repo", { cache, http: quick })).name, "hf:owner/repo/m-Q4_K_M.gguf");
    await refused(
      pull("hf:owner/repo@v2", { cache, http: quick }),
      /^Cannot read http:.*tree\/v2/,
      SourceError,
    );
    setEndpoint(undefined);
  });

  it("refuses what cannot be kept, and what is no model elsewhere", async () => {
    await hostile(
      () => ({ body: pattern(10, 3) }),
      (url) =>
        refused(
          pull(url, { cache: newFolder(), http }),
          /^Cannot keep http.*: Expected a server that says the size and version .* pass its SHA-256/,
          SourceError,
        ),
    );
    for (const name of ["model.gguf", "", "owner/repo", "file:///m.gguf", "data:,a"]) {
      await refused(
        pull(name, { cache: newFolder() }),
        /^Cannot pull ".*": Expected hf:owner\/repo, a file of it, or an http\(s\) URL$/,
        UsageError,
      );
    }
    const sha256 = "0".repeat(64);
    await besideHub(async () => {
      const several = pull("hf:owner/repo:Q8_0", { cache: newFolder(), sha256 });
      await refused(several, /with sha256: Expected a model in one file, got several$/, UsageError);
      const cache = newFolder();
      await refused(
        pull("hf:owner/repo:Q4_K_M", { cache, sha256 }),
        /Expected SHA-256 0{64}, got /,
        SourceError,
      );
      assert.deepEqual(await listed(cache), []);
    });
    await refused(
      pull("hf:a/b", { cache: "" }),
      /Expected true, false or a directory|a directory/,
      UsageError,
    );
    await refused(
      pull("hf:a/b", { maxBytes: 0 }),
      /Expected maxBytes to be a positive integer, got 0$/,
      UsageError,
    );
    await refused(pull("hf:a/b", { nothing: 1 } as object), /Unknown option "nothing"/, UsageError);
  });
});

describe("list()", () => {
  it("lists what older versions kept by the end of its name, and no foreign files", async () => {
    const cache = newFolder();
    assert.deepEqual(await listed(cache), []);
    assert.ok(!existsSync(cache), "listing makes no directory");
    mkdirSync(cache);
    const name = `${"0123456789abcdef"}-${"0".repeat(16)}-old.gguf`;
    writeFileSync(join(cache, name), "bytes");
    writeFileSync(join(cache, "mine.gguf"), "bytes");
    writeFileSync(join(cache, `about-${name}.json`), '{"name":3}');
    writeFileSync(join(cache, `${"0123456789abcdef"}-${"1".repeat(16)}-new.gguf.part`), "part");
    assert.deepEqual(await listed(cache), [
      ["new.gguf", 4, false],
      ["old.gguf", 5, true],
    ]);
    for (const note of ["", "[", '{"name":"a\\u001b[2J","version":"","size":1}', "x".repeat(100_000)]) {
      writeFileSync(join(cache, `about-${name}.json`), note);
      assert.equal((await listed(cache))[1]?.[0], "old.gguf");
    }
    await remove("old.gguf", { cache });
    await remove("new.gguf", { cache });
    assert.deepEqual(readdirSync(cache), ["mine.gguf"]);
  });

  it("shows of a URL neither password nor query, and tells versions apart", async () => {
    const cache = newFolder();
    await hostile(
      (request) => fileReply(pattern(40, 3), request),
      async (url) => {
        const secret = url.replace("http://", "http://me:hush@");
        await pull(`${secret}?token=hush`, { cache, http });
        await pull(`${url}?token=other`, { cache, http });
        assert.deepEqual(await listed(cache), [[url, 80, true]]);
        for (const name of readdirSync(cache))
          assert.doesNotMatch(readFileSync(join(cache, name), "utf8"), /hush/);
        assert.equal((await remove(url, { cache })).bytes, 80);
        assert.deepEqual(readdirSync(cache), []);
      },
    );
  });
});

describe("remove()", () => {
  it("removes one of several models, by type or file, and its note", () =>
    besideHub(async () => {
      const cache = newFolder();
      for (const name of ["hf:owner/repo:Q8_0", "hf:owner/repo:Q4_K_M", "hf:owner/repo/a b%2520.gguf"])
        await pull(name, { cache, http });
      assert.deepEqual(
        (await listed(cache)).map(([name]) => name),
        ["a%20b%2520.gguf", "m-Q4_K_M.gguf", "m-Q8_0-00001-of-00002.gguf"].map(
          (name) => `hf:owner/repo/${name}`,
        ),
      );
      await refused(
        remove("hf:owner/repo", { cache }),
        /Expected one model, got hf:owner\/repo\/a%20b/,
        UsageError,
      );
      assert.equal((await remove("hf:owner/repo:q4_k_m", { cache })).name, "hf:owner/repo/m-Q4_K_M.gguf");
      await remove("hf:owner/repo/m-Q8_0-00001-of-00002.gguf", { cache });
      assert.equal((await remove("hf:owner/repo", { cache })).bytes, 10);
      assert.deepEqual(readdirSync(cache), []);
    }));

  it("names the nearest model if there is none of a name", () =>
    besideHub(async () => {
      const cache = newFolder();
      await refused(
        remove("hf:owner/repo", { cache }),
        /^Cannot remove "hf:owner\/repo": Expected a model of the cache; the cache is empty$/,
        UsageError,
      );
      await pull("hf:owner/repo:Q4_K_M", { cache, http });
      await refused(
        remove("hf:owner/repo/m-Q4_K_S.gguf", { cache }),
        /Expected a model of the cache; did you mean hf:owner\/repo\/m-Q4_K_M\.gguf\?$/,
        UsageError,
      );
      await refused(
        remove("something else", { cache }),
        /there are hf:owner\/repo\/m-Q4_K_M\.gguf$/,
        UsageError,
      );
      await refused(remove("hf:owner/repo@v1:Q4_K_M", { cache }), /did you mean|there are/, UsageError);
      assert.equal(existsSync(cache) && (await listed(cache)).length, 1);
      await refused(remove(3 as unknown as string, { cache }), /Expected its name, got 3$/, UsageError);
    }));
});
