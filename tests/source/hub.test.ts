// Repositories of the hub: which of their files a name means, what the hub may say, and who gets the token.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { detectRuntime } from "../../src/runtime/detect.ts";
import type { SourceHost } from "../../src/source/host.ts";
import { type ResolvedModel, type ResolveOptions, resolveModel } from "../../src/source/hub/resolve_model.ts";
import { openSource, readAll } from "../../src/source/open.ts";
import { FormatError, SourceError, UsageError } from "../../src/util/errors.ts";
import { type HubFiles, type HubOptions, type HubRequest, withHub } from "../support/hub.ts";
import { refused } from "../support/refused.ts";

const folder = mkdtempSync(join(tmpdir(), "cria-hub-"));
after(() => rmSync(folder, { recursive: true }));

const GB = 1e9;
const quick = { retries: 1, retryMs: 1 };

function hostAt(
  endpoint: string,
  variables: Readonly<Record<string, string>> = {},
  memory?: number,
): SourceHost {
  const all: Readonly<Record<string, string>> = { HF_ENDPOINT: endpoint, ...variables };
  return { ...detectRuntime(), variable: (name) => all[name], memoryBytes: () => memory };
}

/** Runs `body` beside a hub with one repository, "owner/repo", whose names it resolves. */
function withFiles(
  files: HubFiles,
  body: (
    resolve: (name: string, memory?: number, options?: ResolveOptions) => Promise<ResolvedModel | undefined>,
    requests: readonly HubRequest[],
  ) => Promise<void>,
  options: Partial<HubOptions> = {},
): Promise<void> {
  return withHub({ repositories: { "owner/repo@main": files }, ...options }, (endpoint, requests) => {
    const resolve = (name: string, memory?: number, more?: ResolveOptions) =>
      resolveModel(name, hostAt(endpoint, {}, memory), { cache: false, http: quick, ...more });
    return body(resolve, requests);
  });
}

const usual: HubFiles = {
  "README.md": 1000,
  "model-Q2_K.gguf": 0.6 * GB,
  "model-Q4_0.gguf": 0.8 * GB,
  "model-Q4_K_M.gguf": 0.9 * GB,
  "model-Q4_K_S.gguf": 0.85 * GB,
  "model-Q6_K.gguf": 1.2 * GB,
  "model-Q8_0.gguf": 1.5 * GB,
  "model-BF16.gguf": 2.8 * GB,
  "mmproj-model-Q8_0.gguf": 0.1 * GB,
  "model-Q4_K_M.imatrix.gguf": 0.01 * GB,
};
const tags =
  "Q2_K \\(600\\.0 MB\\), Q4_0 \\(800\\.0 MB\\), Q4_K_M \\(900\\.0 MB\\), Q4_K_S \\(850\\.0 MB\\), Q6_K \\(1\\.20 GB\\), Q8_0 \\(1\\.50 GB\\), BF16 \\(2\\.80 GB\\)";

describe("resolveModel() of hf:owner/repo:TYPE", () => {
  it("finds the file of a type, in any case, by its full name too", () =>
    withFiles(usual, async (resolve) => {
      for (const [tag, file] of [
        ["Q4_K_M", "model-Q4_K_M.gguf"],
        ["q4_k_m", "model-Q4_K_M.gguf"],
        ["q8_0", "model-Q8_0.gguf"],
        ["BF16", "model-BF16.gguf"],
        ["model-Q6_K.gguf", "model-Q6_K.gguf"],
      ]) {
        assert.deepEqual(await resolve(`hf:owner/repo:${tag}`), {
          name: `hf:owner/repo/${file}`,
          kind: "gguf",
          size: usual[file as string],
          files: [{ name: file, size: usual[file as string] }],
        });
      }
    }));

  it("reads types out of the names that people give to files", async () => {
    const names: readonly [name: string, tag: string][] = [
      ["tinyllama-1.1b-chat-v1.0.Q5_K_M.gguf", "q5_k_m"],
      ["model_q5_k_m.gguf", "Q5_K_M"],
      ["Phi-3-mini-4k-instruct-q4.gguf", "Q4"],
      ["model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"],
      ["model-UD-Q4_K_XL.gguf", "Q4_K_XL"],
      ["model-IQ4_NL.gguf", "IQ4_NL"],
      ["Q4_0/model q.gguf", "Q4_0"],
      ["model-fp16.gguf", "FP16"],
      ["model-mxfp4.gguf", "MXFP4"],
    ];
    for (const [name, tag] of names) {
      await withFiles({ [name]: 10, "model-Q4_0_4_4.gguf": 10, "model-IQ4_XS.GGUF": 10 }, async (resolve) => {
        assert.equal((await resolve(`hf:owner/repo:${tag}`))?.files[0]?.name, name, name);
      });
    }
  });

  it("counts the parts of a split file as one, in whatever order the hub lists them", () =>
    withFiles(
      {
        "Q8_0/m-Q8_0-00002-of-00003.gguf": 20,
        "Q8_0/m-Q8_0-00003-of-00003.gguf": 30,
        "Q8_0/m-Q8_0-00001-of-00003.gguf": 10,
        "m-Q4_0-00001-of-00002.gguf": 10,
        "m-Q6_K-00002-of-00003.gguf": 10,
        "m-Q6_K-00003-of-00003.gguf": 10,
        "m-Q6_K-00004-of-00003.gguf": 10,
      },
      async (resolve) => {
        const found = await resolve("hf:owner/repo:Q8_0");
        assert.equal(found?.name, "hf:owner/repo/Q8_0/m-Q8_0-00001-of-00003.gguf");
        assert.equal(found?.size, 60);
        assert.deepEqual(
          found?.files.map(({ size }) => size),
          [10, 20, 30],
        );
        for (const tag of ["Q4_0", "Q6_K"]) {
          await refused(
            resolve(`hf:owner/repo:${tag}`),
            /Expected all parts of the file, got [13]: m-Q._.-0000[12]-of-0000[23]\.gguf \(0 kB, parts are missing\)$/,
            UsageError,
          );
        }
        assert.equal((await resolve("hf:owner/repo"))?.size, 60, "incomplete files are not chosen");
      },
    ));

  it("says what there is if a type is missing or means several files", async () => {
    await withFiles(usual, async (resolve) => {
      for (const tag of ["Q9_X", "Q4", "K_M", "mmproj"]) {
        await refused(
          resolve(`hf:owner/repo:${tag}`),
          new RegExp(
            `^Cannot choose a file of hf:owner/repo:${tag}: Expected one of ${tags}, got no such type$`,
          ),
          UsageError,
        );
      }
    });
    await withFiles({ "a-Q4_0.gguf": 1e6, "b-Q4_0.gguf": 2e6 }, async (resolve) => {
      for (const name of ["hf:owner/repo:Q4_0", "hf:owner/repo"]) {
        await refused(
          resolve(name),
          /Expected one model, got 2: (a-Q4_0\.gguf \(1\.0 MB\), b|b-Q4_0\.gguf \(2\.0 MB\), a)-Q4_0\.gguf \(.\.0 MB\); name the file$/,
          UsageError,
        );
      }
    });
    await withFiles({ "config.json": 3 }, async (resolve) => {
      await refused(resolve("hf:owner/repo:Q4_0"), /Expected one of no GGUF file, got/, UsageError);
    });
  });

  it("leaves alone what needs no listing", () =>
    withFiles(usual, async (resolve, requests) => {
      for (const name of [
        "hf:owner/repo/m.gguf",
        "hf:owner",
        "hf:a/b:c/d",
        "hf:a/..",
        "m.gguf",
        "http://a/b",
      ]) {
        assert.equal(await resolve(name), undefined, name);
      }
      assert.equal(await resolveModel(undefined, hostAt("")), undefined);
      assert.equal(await resolveModel(new Uint8Array(3), hostAt("")), undefined);
      assert.deepEqual(requests, []);
    }));
});

describe("resolveModel() of hf:owner/repo", () => {
  const nameOf = (model: ResolvedModel | undefined) => model?.name.replace("hf:owner/repo/", "");

  it("takes Q4_K_M if it fits, else the largest of at most 8 bits that does", () =>
    withFiles(usual, async (resolve) => {
      const chosen = async (memory: number | undefined, maxBytes?: number) =>
        nameOf(await resolve("hf:owner/repo", memory, { maxBytes }));
      assert.equal(await chosen(undefined), "model-Q4_K_M.gguf");
      assert.equal(await chosen(64 * GB), "model-Q4_K_M.gguf");
      assert.equal(await chosen(1.12 * GB), "model-Q4_K_S.gguf");
      assert.equal(await chosen(64 * GB, 1.12 * GB), "model-Q4_K_S.gguf");
      assert.equal(await chosen(1.05 * GB), "model-Q4_0.gguf");
      // Q2_K would fit by its bytes alone: in memory it may grow.
      await refused(
        resolve("hf:owner/repo", 0.9 * GB),
        new RegExp(
          `Expected a model for 900\\.0 MB of memory, got ${tags}; name one to load it all the same: hf:owner/repo:TAG$`,
        ),
        UsageError,
      );
    }));

  it("without Q4_K_M takes the largest of at most 8 bits, then what says no type, then the smallest of 16 or 32", async () => {
    const orders: readonly (readonly string[])[] = [
      ["a-Q8_0.gguf", "a-Q5_K_M.gguf", "a.gguf", "a-F16.gguf"],
      ["a.gguf", "a-F16.gguf"],
      ["a-F16.gguf", "a-F32.gguf"],
    ];
    const sizes: HubFiles = {
      "a-F32.gguf": 8e8,
      "a-F16.gguf": 4e8,
      "a.gguf": 3e8,
      "a-Q8_0.gguf": 2e8,
      "a-Q5_K_M.gguf": 1e8,
    };
    for (const names of orders) {
      const files = Object.fromEntries(names.map((name) => [name, sizes[name] as number]).reverse());
      await withFiles(files, async (resolve) =>
        assert.equal(nameOf(await resolve("hf:owner/repo")), names[0]),
      );
    }
  });

  it("never takes what one memory of WebAssembly cannot hold", () =>
    withFiles({ "a-Q4_K_M.gguf": 4_100_000_000, "a-Q3_K_M.gguf": 2.5 * GB }, async (resolve) => {
      assert.equal(nameOf(await resolve("hf:owner/repo", 512 * GB)), "a-Q3_K_M.gguf");
      assert.equal(nameOf(await resolve("hf:owner/repo:Q4_K_M")), "a-Q4_K_M.gguf", "unless it is asked for");
    }));

  it("without a GGUF file takes a safetensors model with what belongs to it", () =>
    withFiles(
      {
        "config.json": 3,
        "model-00001-of-00002.safetensors": 100,
        "model-00002-of-00002.safetensors": 50,
        "model.safetensors.index.json": 7,
        "consolidated.safetensors": 150,
        "tokenizer.json": 5,
        "pytorch_model.bin": 150,
        "onnx/config.json": 3,
        "README.md": 9,
      },
      async (resolve) => {
        const found = await resolve("hf:owner/repo");
        assert.deepEqual([found?.name, found?.kind, found?.size], ["hf:owner/repo/", "safetensors", 150]);
        assert.deepEqual(
          found?.files.map(({ name }) => name),
          [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
          ],
        );
        await refused(
          resolve("hf:owner/repo/onnx/"),
          /^Cannot open hf:owner\/repo\/onnx\/: Expected a GGUF file, or config\.json and model\.safetensors, got onnx\/config\.json$/,
          UsageError,
        );
      },
    ));

  it("looks into a folder if it is named", () =>
    withFiles({ "a/x-Q4_0.gguf": 10, "b c/x-Q4_0.gguf": 20 }, async (resolve) => {
      assert.equal((await resolve("hf:owner/repo/b c/"))?.name, "hf:owner/repo/b%20c/x-Q4_0.gguf");
      await refused(resolve("hf:owner/repo"), /Expected one model, got 2: /, UsageError);
      await refused(resolve("hf:owner/repo/c/"), /got no files$/, UsageError);
    }));
});

describe("listRepository()", () => {
  it("asks for a revision, and keeps it in the name", () =>
    withHub(
      {
        repositories: {
          "owner/repo@main": { "a-Q4_0.gguf": 1 },
          "owner/repo@refs/pr/1": { "b-Q4_0.gguf": 1 },
        },
      },
      async (endpoint) => {
        const host = hostAt(`${endpoint}/`);
        for (const name of ["hf:owner/repo@refs%2Fpr%2F1", "hf:owner/repo@refs%2Fpr%2F1:q4_0"]) {
          assert.equal((await resolveModel(name, host))?.name, "hf:owner/repo@refs%2Fpr%2F1/b-Q4_0.gguf");
        }
        await refused(
          resolveModel("hf:owner/repo@v9", host),
          /got 404 .*; the repository has no such revision$/,
          SourceError,
        );
        await refused(
          resolveModel("hf:owner/other", host),
          /got 404 .*; there is no repository owner\/other$/,
          SourceError,
        );
      },
    ));

  it("goes through all pages, and asks nobody but the hub, wherever a header points", () =>
    withFiles(
      usual,
      async (resolve, requests) => {
        assert.equal((await resolve("hf:owner/repo:BF16"))?.name, "hf:owner/repo/model-BF16.gguf");
        assert.deepEqual(
          requests.map(({ path }) => path),
          ["", "&cursor=4", "&cursor=8"].map(
            (end) => `/api/models/owner/repo/tree/main?recursive=true${end}`,
          ),
        );
      },
      { pageEntries: 4 },
    ));

  const answers = (text: string, headers: Record<string, string> = {}, status = 200) => ({
    answer: (_: unknown, response: ServerResponse) => {
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
      return true;
    },
  });

  it("ends a listing that does not end", async () => {
    const link = { link: '<?recursive=true&cursor=1>; rel="next"' };
    await withFiles(
      {},
      async (resolve, requests) => {
        await refused(
          resolve("hf:owner/repo"),
          /Expected at most 20000 files on 100 pages, got more$/,
          FormatError,
        );
        assert.equal(requests.length, 100);
      },
      answers("[]", link),
    );
    const entries = Array.from({ length: 9000 }, (_, i) => ({ type: "file", size: 1, path: `${i}` }));
    let page = 0;
    await withFiles(
      {},
      (resolve) => refused(resolve("hf:owner/repo"), /Expected at most 20000 files/, FormatError),
      {
        answer: (_, response) => {
          page++;
          const own = entries.map((entry) => ({ ...entry, path: `${page}/${entry.path}` }));
          response.writeHead(200, link).end(JSON.stringify(own));
          return true;
        },
      },
    );
    await withFiles(
      {},
      (resolve) => refused(resolve("hf:owner/repo"), /Expected at most 16777216 bytes, got/, UsageError),
      answers(`["${"x".repeat(17 << 20)}"]`),
    );
  });

  it("refuses what is no listing", async () => {
    for (const text of ["{}", "null", '"a"', "[", "", "[".repeat(100_000)]) {
      await withFiles(
        {},
        (resolve) =>
          refused(
            resolve("hf:owner/repo"),
            /Expected a list of files in JSON, got something else$/,
            FormatError,
          ),
        answers(text),
      );
    }
    await withFiles(
      {},
      (resolve) => refused(resolve("hf:owner/repo"), /got a web page/, SourceError),
      answers("<html>", { "content-type": "text/html" }),
    );
  });

  it("leaves out entries that are no files inside the repository", () => {
    const good = { type: "file", path: "a-Q4_0.gguf", size: 7 };
    const bad: unknown[] = [null, 1, "a", [], {}, { ...good, type: "directory" }];
    for (const path of [
      "../a-Q4_0.gguf",
      "/a-Q4_0.gguf",
      "C:\\a-Q4_0.gguf",
      "b/../a-Q4_0.gguf",
      "https://x/a-Q4_0.gguf",
      "a\u0000-Q4_0.gguf",
      "\u001b[2Ja-Q4_0.gguf",
      "",
      3,
      null,
      `${"x".repeat(2000)}-Q4_0.gguf`,
    ])
      bad.push({ ...good, path });
    for (const size of [-1, 1.5, 2 ** 60, "7", null, undefined])
      bad.push({ ...good, path: `b-Q4_0.gguf`, size });
    return withFiles(
      {},
      async (resolve) => {
        assert.deepEqual((await resolve("hf:owner/repo:Q4_0"))?.files, [{ name: "a-Q4_0.gguf", size: 7 }]);
      },
      answers(JSON.stringify([...bad, good, good])),
    );
  });

  it("says what to do about each refusal", async () => {
    const cases: readonly [number, string, RegExp][] = [
      [
        401,
        "GatedRepo",
        /got 401 .*; owner\/repo is gated: accept its terms at http:\/\/127\.0\.0\.1:\d+\/owner\/repo and set HF_TOKEN, or pass/,
      ],
      [403, "GatedRepo", /got 403 .*; owner\/repo is gated: accept its terms/],
      [
        401,
        "RepoNotFound",
        /got 401 .*; there is no repository owner\/repo, or it is private or gated: accept/,
      ],
      [403, "", /got 403 .*; there is no repository owner\/repo, or it is private/],
      [404, "", /got 404 .*; the repository has no such file or revision$/],
      [429, "", /got 429 .*; the hub limits requests; set HF_TOKEN, or pass/],
    ];
    for (const [status, code, message] of cases) {
      await withFiles(
        {},
        (resolve) => refused(resolve("hf:owner/repo"), message, SourceError),
        answers("", { "x-error-code": code }, status),
      );
    }
  });
});

describe("HF_TOKEN", () => {
  const secret = "hf_abcdefghijklmnop";
  const bytes = new TextEncoder().encode("the model");
  const repositories = { "owner/repo@main": { "a-Q4_0.gguf": bytes } };

  it("goes to the hub with the listing and with files, and to no other origin", () =>
    withHub({ repositories, token: secret }, async (endpoint, requests) => {
      const host = hostAt(endpoint, { HF_TOKEN: ` ${secret}\n` });
      const model = await resolveModel("hf:owner/repo:Q4_0", host);
      for (const source of [model?.name as string, `${endpoint}/owner/repo/resolve/main/a-Q4_0.gguf`]) {
        const opened = await openSource(source, host, { cache: false });
        assert.deepEqual(await readAll(opened, 100), bytes);
        await opened.close();
      }
      const storage = requests.filter(({ server }) => server === "storage");
      assert.equal(storage.length, 2, "the hub has redirected");
      assert.ok(storage.every(({ authorization }) => authorization === undefined));
      const hub = requests.filter(({ server }) => server === "hub");
      assert.deepEqual(
        hub.map(({ authorization }) => authorization),
        [`Bearer ${secret}`, `Bearer ${secret}`, `Bearer ${secret}`],
      );
      requests.length = 0;
      const elsewhere = hostAt("http://127.0.0.1:9", { HF_TOKEN: secret });
      await refused(
        openSource(`${endpoint}/owner/repo/resolve/main/a-Q4_0.gguf`, elsewhere, { http: quick }),
        /got 401/,
        SourceError,
      );
      assert.ok(requests.length > 0 && requests.every(({ authorization }) => authorization === undefined));
    }));

  it("is not sent if the caller passes another", () =>
    withHub({ repositories, token: "mine" }, async (endpoint, requests) => {
      const host = hostAt(endpoint, { HF_TOKEN: secret });
      const headers = { Authorization: "Bearer mine" };
      assert.ok(await resolveModel("hf:owner/repo:Q4_0", host, { http: { headers } }));
      assert.ok(requests.every(({ authorization }) => authorization === "Bearer mine"));
    }));

  it("is in no error", async () => {
    for (const token of [secret, `${secret}\u0000`, `${secret}\r\nx: y`]) {
      await withHub({ repositories, token: "another", refusal: { status: 403 } }, async (endpoint) => {
        for (const address of [endpoint, "http://127.0.0.1:9"]) {
          const host = hostAt(address, { HF_TOKEN: token });
          const error: unknown = await resolveModel("hf:owner/repo", host, { http: quick }).catch((e) => e);
          assert.ok(error instanceof Error);
          const { cause } = error;
          for (const text of [error.message, error.stack, String(cause), (cause as Error | undefined)?.stack])
            assert.doesNotMatch(text ?? "", /hf_abc/);
        }
      });
    }
  });
});

describe("HF_ENDPOINT", () => {
  it("may have a path", () =>
    withHub({ repositories: {} }, async (endpoint, requests) => {
      const host = hostAt(` ${endpoint}/deep/hub// `);
      await refused(resolveModel("hf:owner/repo", host), /got 404/, SourceError);
      const file = openSource("hf:owner/repo/m.gguf", host, { cache: false });
      await refused(file, /got 404/, SourceError);
      assert.deepEqual(
        [...new Set(requests.map(({ path }) => path))],
        [
          "/deep/hub/api/models/owner/repo/tree/main?recursive=true",
          "/deep/hub/owner/repo/resolve/main/m.gguf",
        ],
      );
    }));

  it("must be an http(s) URL without a password", async () => {
    for (const endpoint of ["ftp://a", "not a url", "http://me:password@127.0.0.1"]) {
      await refused(
        resolveModel("hf:owner/repo", hostAt(endpoint)),
        /^Cannot use the hub at HF_ENDPOINT: Expected an http\(s\) URL without a password$/,
        UsageError,
      );
      // It does not matter to anything else.
      await refused(
        openSource("http://127.0.0.1:9/m.gguf", hostAt(endpoint), { http: quick }),
        /Cannot read http/,
        SourceError,
      );
    }
  });
});
