// Sets of files: folders, URLs, repositories of the hub and what a caller has gathered.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { workerdRuntime } from "../../src/runtime/workerd.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { type FileSet, type FileSetLike, openFileSet, siblings } from "../../src/source/file_set.ts";
import { readAll } from "../../src/source/open.ts";
import type { SourceLike } from "../../src/source/options.ts";
import { FormatError, SourceError, UsageError } from "../../src/util/errors.ts";
import { refused } from "../support/refused.ts";
import { fileReply, hostile, type RawRequest } from "../support/server.ts";

const host = detectRuntime();
const utf8 = new TextEncoder();
const contents: Readonly<Record<string, string>> = {
  "config.json": "{}",
  "model-00001-of-00002.gguf": "first part",
  "model-00002-of-00002.gguf": "second part",
  "a folder/ä%20b.json": "[1]",
};

const folder = mkdtempSync(join(tmpdir(), "cria-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "set", "a folder"), { recursive: true });
for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, "set", name), text);
writeFileSync(join(folder, "secret.json"), "secret");

/** The text of a file of a set; undefined if the set has none of this name. */
async function textOf(set: FileSet, name: string, sha256?: string): Promise<string | undefined> {
  const source = await set.open(name, { sha256 });
  if (!source) return undefined;
  try {
    const bytes = await readAll(source, 1000);
    await source.finish?.();
    return new TextDecoder().decode(bytes);
  } finally {
    await source.close();
  }
}

async function hasContents(set: FileSet): Promise<void> {
  for (const [name, text] of Object.entries(contents)) assert.equal(await textOf(set, name), text, name);
  assert.equal(await textOf(set, "tokenizer.json"), undefined);
  assert.equal(await textOf(set, "no folder/config.json"), undefined);
}

/** Names that would lead out of a set, in some system or in a URL. */
const hostileNames: readonly unknown[] = [
  ..."|.|..|/|../secret.json|a folder/../../secret.json|a folder/..|./config.json|/etc/passwd|//host/share".split(
    "|",
  ),
  "a folder//config.json",
  "a folder/",
  "..\\secret.json",
  "\\\\host\\share",
  "C:\\secret.json",
  "C:secret.json",
  "config.json:stream",
  "http://127.0.0.1/secret.json",
  "file:///etc/passwd",
  "hf:owner/repo/file",
  "data:,x",
  "config.json\0.gguf",
  "line\nbreak",
  ".. /secret.json",
  ".../secret.json",
  "config.json.",
  "what?.json",
  "*.json",
  "\ud800.json",
  "a/".repeat(600).concat("b"),
  undefined,
  null,
  7,
];

async function refusesHostileNames(set: FileSet): Promise<void> {
  for (const name of hostileNames) {
    await refused(
      set.open(name as string),
      /^Cannot open a file of .*: Expected the name of a file in it, got /,
      FormatError,
    );
  }
  // Escapes of URLs are part of a name and nothing else.
  for (const name of ["%2e%2e/secret.json", "%2e%2e%2fsecret.json", "..%2fsecret.json", "%00"]) {
    assert.equal(await textOf(set, name), undefined, name);
  }
}

/** Serves {@link contents} below /set/, and what is outside of it for nobody to ask for. */
function serving(
  body: (base: string, requests: readonly RawRequest[]) => Promise<void>,
  files = contents,
): Promise<void> {
  const answer = (request: RawRequest) => {
    const path = decodeURIComponent(request.path.replace(/\?.*/, ""));
    assert.ok(path.startsWith("/set/"), request.path);
    const name = path.slice("/set/".length);
    if (!Object.hasOwn(files, name)) return { status: 404 };
    return fileReply(utf8.encode(files[name]), request);
  };
  return hostile(answer, (url, requests) => body(new URL("/set", url).href, requests));
}

describe("openFileSet() of a folder", () => {
  it("opens its files, and says which are not there", async () => {
    const path = join(folder, "set");
    for (const from of [path, `${path}/`, pathToFileURL(path), pathToFileURL(path).href]) {
      const set = openFileSet(from, host);
      assert.equal(set.name, `${path}/`);
      await hasContents(set);
    }
  });

  it("refuses names that lead out of it", () => refusesHostileNames(openFileSet(join(folder, "set"), host)));

  it("passes on what else is wrong with a file", async () => {
    const set = openFileSet(join(folder, "set"), host);
    await refused(set.open("a folder"), /is a directory, expected a file$/, SourceError);
    await refused(
      set.open("config.json", { sha256: "0".repeat(64) }),
      /^Cannot load .*config\.json: Expected SHA-256 0{64}, got [0-9a-f]{64}$/,
      SourceError,
    );
    await refused(
      openFileSet("models", workerdRuntime()).open("config.json"),
      /there are no files in workerd/,
      SourceError,
    );
  });

  it("takes a path for a path, whatever it begins with", async () => {
    const opened: string[] = [];
    const openFile = async (path: string) => {
      opened.push(path);
      return bytesSource(new Uint8Array(1));
    };
    for (const path of ["models", "models/", "C:\\models\\", "./m", "/"]) {
      await openFileSet(path, { ...host, openFile }).open("a/b.json");
    }
    assert.deepEqual(opened, [
      "models/a/b.json",
      "models/a/b.json",
      "C:\\models\\a/b.json",
      "./m/a/b.json",
      "/a/b.json",
    ]);
  });
});

describe("openFileSet() of a URL", () => {
  it("opens its files, and says which are not there", () =>
    serving(async (base, requests) => {
      for (const from of [base, `${base}/`, new URL(base)]) {
        const set = openFileSet(from, host);
        assert.equal(set.name, `${base}/`);
        await hasContents(set);
      }
      assert.ok(requests.some(({ path }) => path === "/set/a%20folder/%C3%A4%2520b.json"));
    }));

  it("refuses names that lead out of it without asking", () =>
    serving(async (base, requests) => {
      await refusesHostileNames(openFileSet(base, host));
      assert.deepEqual(
        [...new Set(requests.map(({ path }) => path))],
        [
          "/set/%252e%252e/secret.json",
          "/set/%252e%252e%252fsecret.json",
          "/set/..%252fsecret.json",
          "/set/%2500",
        ],
      );
    }));

  it("keeps the query, and sends headers", () =>
    serving(async (base, requests) => {
      const http = { headers: { authorization: "Bearer x" } };
      const set = openFileSet(`${base}?token=1#part`, host, { http });
      assert.equal(await textOf(set, "config.json"), "{}");
      assert.equal(requests[0]?.path, "/set/config.json?token=1");
      assert.equal(requests[0]?.headers.get("authorization"), "Bearer x");
    }));

  it("passes on what else is wrong with a file", () =>
    hostile(
      () => ({ status: 403 }),
      (url) =>
        refused(
          openFileSet(new URL(".", url), host).open("config.json"),
          /^Cannot read http.*\/models\/config\.json: Expected status 200, got 403/,
          SourceError,
        ),
    ));

  it("ends with the signal of the set or of the file", () =>
    serving(async (base) => {
      const reason = new Error("no longer wanted");
      const signal = AbortSignal.abort(reason);
      await assert.rejects(openFileSet(base, host, { signal }).open("config.json"), reason);
      await assert.rejects(openFileSet(base, host).open("config.json", { signal }), reason);
      await assert.rejects(
        openFileSet(base, host, { signal }).open("config.json", { signal: undefined }),
        reason,
      );
    }));
});

describe("openFileSet() of a repository of the hub", () => {
  it("asks for its files at a revision and in a folder", async () => {
    const { fetch } = globalThis;
    const asked: string[] = [];
    globalThis.fetch = (async (input: unknown) => {
      asked.push(String(input));
      return new Response(null, { status: 404 });
    }) as typeof fetch;
    try {
      for (const from of [
        "hf:owner/repo",
        "hf:owner/repo/",
        "hf://owner/repo@v1",
        "hf:owner/repo@v1/a b",
        new URL("hf:owner/repo"),
      ]) {
        assert.equal(await openFileSet(from, host, { cache: false }).open("onnx/config.json"), undefined);
      }
    } finally {
      globalThis.fetch = fetch;
    }
    const root = "https://huggingface.co/owner/repo/resolve";
    assert.deepEqual(
      [...new Set(asked)],
      [`${root}/main/onnx/config.json`, `${root}/v1/onnx/config.json`, `${root}/v1/a%20b/onnx/config.json`],
    );
  });

  it("refuses what is no name of a repository", () => {
    for (const name of [
      "hf:",
      "hf:owner",
      "hf:owner/",
      "hf:owner/repo@",
      "hf:owner/repo/..",
      "hf:owner/repo//a",
    ]) {
      assert.throws(() => openFileSet(name, host), {
        name: "UsageError",
        message: /^Cannot open "hf:.*": Expected hf:owner\/repo, hf:owner\/repo@revision or a folder of it$/,
      });
    }
  });
});

describe("openFileSet() of sources by name", () => {
  const sources = Object.fromEntries(
    Object.entries(contents).map(([name, text]) => [name, utf8.encode(text)]),
  );

  it("opens them, and says which are not there", async () => {
    for (const from of [
      sources,
      new Map(Object.entries(sources)),
      Object.assign(Object.create(null), sources),
    ]) {
      const set = openFileSet(from, host);
      assert.equal(set.name, "files");
      await hasContents(set);
      await refusesHostileNames(set);
    }
  });

  it("takes every kind of source, and no name that an object has by itself", async () => {
    const set = openFileSet({ blob: new Blob(["text"]), path: join(folder, "secret.json") }, host);
    assert.equal(await textOf(set, "blob"), "text");
    assert.equal(await textOf(set, "path"), "secret");
    for (const name of ["constructor", "__proto__", "toString"])
      assert.equal(await textOf(set, name), undefined);
    assert.equal(await textOf(openFileSet({ gone: join(folder, "gone") }, host), "gone"), undefined);
  });

  it("refuses anything else", () => {
    const source: ByteSource = bytesSource(new Uint8Array(1));
    for (const from of ["", null, undefined, 7, [], source, new Blob([]), new Uint8Array(1), "data:,x"]) {
      assert.throws(
        () => openFileSet(from as FileSetLike, host),
        {
          name: "UsageError",
          message:
            /^Cannot open .*: Expected the path or URL of a folder, hf:owner\/repo, or sources by name, got /,
        },
        String(from),
      );
    }
  });
});

describe("siblings()", () => {
  it("are the files beside a path", async () => {
    const path = join(folder, "set", "model-00001-of-00002.gguf");
    for (const source of [path, pathToFileURL(path), pathToFileURL(path).href]) {
      const found = siblings(source, host);
      assert.equal(found?.fileName, "model-00001-of-00002.gguf");
      assert.equal(await textOf(found.files, "model-00002-of-00002.gguf"), "second part");
      await hasContents(found.files);
      await refusesHostileNames(found.files);
    }
  });

  it("are the files beside a path, relative or of Windows", async () => {
    const opened: string[] = [];
    const openFile = async (path: string) => {
      opened.push(path);
      return bytesSource(new Uint8Array(1));
    };
    for (const path of ["m.gguf", "a/m.gguf", "a\\b/m.gguf", "C:\\a\\m.gguf", "C:/a\\m.gguf", "a\\m.gguf"]) {
      const found = siblings(path, { ...host, openFile });
      assert.equal(found?.fileName, "m.gguf");
      await found.files.open("t");
    }
    assert.deepEqual(opened, ["t", "a/t", "a\\b/t", "C:\\a\\t", "C:/a\\t", "a\\t"]);
    assert.equal(siblings("m.gguf", host)?.files.name, ".");
  });

  it("are the files beside a URL or Request, with headers and query", () =>
    serving(async (base, requests) => {
      const url = `${base}/model-00001-of-00002.gguf?token=1`;
      const http = { headers: { "x-option": "1" } };
      for (const source of [url, new URL(url), new Request(url, { headers: { "x-own": "2" } })]) {
        const found = siblings(source, host, { http });
        assert.equal(found?.fileName, "model-00001-of-00002.gguf");
        assert.equal(await textOf(found.files, "model-00002-of-00002.gguf"), "second part");
        const last = requests.at(-1);
        assert.equal(last?.path, "/set/model-00002-of-00002.gguf?token=1");
        assert.equal(last?.headers.get("x-option"), "1");
        assert.equal(last?.headers.get("x-own"), source instanceof Request ? "2" : undefined);
      }
      await refusesHostileNames((siblings(url, host) as { files: FileSet }).files);
    }));

  it("are those of the hub beside one of its files", () => {
    for (const [name, set] of [
      ["hf:owner/repo/m.gguf", "main/"],
      ["hf:owner/repo@v1/a/m.gguf", "v1/a/"],
    ] as const) {
      const found = siblings(name, host);
      assert.equal(found?.fileName, "m.gguf");
      assert.equal(found.files.name, `https://huggingface.co/owner/repo/resolve/${set}`);
    }
    assert.throws(() => siblings("hf:owner/repo", host), UsageError);
  });

  it("are none beside what has no place", () => {
    const sources: (SourceLike | undefined)[] = [
      undefined,
      new Uint8Array(1),
      new Blob([]),
      new ReadableStream(),
      new Response("x"),
      bytesSource(new Uint8Array(1), "a/m.gguf"),
      "data:,x",
      "blob:http://x/1",
      "http://127.0.0.1/",
      "http://127.0.0.1/a%2fb",
      "http://127.0.0.1/%ff",
      "folder/",
      "",
    ];
    for (const source of sources) assert.equal(siblings(source, host), undefined, String(source));
  });
});
