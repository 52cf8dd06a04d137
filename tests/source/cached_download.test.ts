// Models that are kept for the next time.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  Llama,
  type LoadOptions,
  type LoadProgress,
  SourceError,
  Tokenizer,
  UsageError,
} from "../../src/mod.ts";
import { directoryCache } from "../../src/runtime/directory_cache.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { PIECE_BYTES, webCache } from "../../src/runtime/web_cache.ts";
import { workerdRuntime } from "../../src/runtime/workerd.ts";
import { cacheName, cachePrefix } from "../../src/source/cached_download.ts";
import type { CacheWriter, FileCache } from "../../src/source/host.ts";
import { openSource } from "../../src/source/open.ts";
import { FakeCacheStorage } from "../support/fake_cache.ts";
import { tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { llama2cFile, tokenizerBin } from "../support/llama2c_writer.ts";
import { refused } from "../support/refused.ts";
import { fileReply, hostile, type RawReply } from "../support/server.ts";

const root = mkdtempSync(join(tmpdir(), "cria-cache-"));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = () => join(root, `d${folders++}`);

const { bytes } = tinyLlamaGguf();
// The same shapes, other weights.
const { bytes: otherBytes } = tinyLlamaGguf({ seed: 99 });
const digest = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const ids = [1, 5, 9];

async function logitsOf(
  source: string | Uint8Array | Request,
  options: LoadOptions = {},
): Promise<Float32Array> {
  await using llama = await Llama.load(source, { threads: 1, http: { retryMs: 1 }, ...options });
  return await llama.logits(ids);
}

const expected = await logitsOf(bytes);
const otherExpected = await logitsOf(otherBytes);
assert.notDeepEqual(expected, otherExpected);

// Notes about files aside, which have tests of their own.
const kept = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith("about-"))
    .sort();

describe("Llama.load() with a cache", () => {
  it("keeps a URL's file, and asks afterwards only whether it is the same", async () => {
    const folder = newFolder();
    await hostile(
      (request) => fileReply(bytes, request),
      async (url, requests) => {
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
        const [name = "", ...more] = kept(folder);
        assert.deepEqual([name, more], [cacheName(url, '"v1"', bytes.length), []]);
        assert.match(name, /^[0-9a-f]{16}-[0-9a-f]{16}-m\.gguf$/);
        assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), new Uint8Array(bytes));
        assert.equal(requests.length, 1);
        // What is kept is what is read: a change of it shows.
        writeFileSync(join(folder, name), otherBytes);
        assert.equal(otherBytes.length, bytes.length);
        assert.deepEqual(await logitsOf(url, { cache: folder }), otherExpected);
        assert.equal(requests.length, 2);
        assert.deepEqual(await logitsOf(new Request(url), { cache: folder }), otherExpected);
      },
    );
  });

  it("keeps nothing of a URL unless it is asked to, and everything of nothing else", async () => {
    const folder = newFolder();
    await hostile(
      (request) => fileReply(bytes, request),
      async (url, requests) => {
        for (let i = 0; i < 2; i++) await logitsOf(url);
        assert.equal(requests.length, 2);
        await logitsOf(url, { cache: false });
      },
    );
    assert.deepEqual(await logitsOf(bytes, { cache: folder }), expected);
    assert.throws(() => readdirSync(folder), "not even the directory");
  });

  it("fetches a new version, and removes the old one", async () => {
    const folder = newFolder();
    let current = bytes;
    let etag = '"v1"';
    await hostile(
      (request) => fileReply(current, request, etag),
      async (url) => {
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
        [current, etag] = [otherBytes, '"v2"'];
        assert.deepEqual(await logitsOf(url, { cache: folder }), otherExpected);
        assert.deepEqual(kept(folder), [cacheName(url, '"v2"', bytes.length)]);
      },
    );
  });

  it("resumes a download that was given up or lost, from where it ended", async () => {
    const folder = newFolder();
    await hostile(
      (request) =>
        request.n < 1 ? { ...fileReply(bytes, request), stall: 100_000 } : fileReply(bytes, request),
      async (url, requests) => {
        const abort = new AbortController();
        const reason = new Error("enough");
        const given = { cache: folder, signal: abort.signal };
        const onProgress = () => abort.abort(reason);
        await assert.rejects(logitsOf(url, { ...given, onProgress }), (error) => error === reason);
        const [part = ""] = kept(folder);
        assert.match(part, /m\.gguf\.part$/);
        const length = readFileSync(join(folder, part)).length;
        assert.ok(length > 0 && length <= 100_000, `${length} bytes`);
        assert.deepEqual(await logitsOf(url, { cache: folder, sha256: digest(bytes) }), expected);
        // The question, then the rest; the beginning does not come again.
        assert.equal(requests.at(-1)?.first, length);
        assert.deepEqual(kept(folder), [cacheName(url, '"v1"', bytes.length)]);
      },
    );
  });

  it("begins anew where the server gives no ranges", async () => {
    const folder = newFolder();
    await hostile(
      () => ({ headers: { etag: '"v1"' }, body: bytes }),
      async (url) => {
        const name = cacheName(url, '"v1"', bytes.length);
        await directoryCache(folder);
        writeFileSync(join(folder, `${name}.part`), bytes.subarray(0, 1000));
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
        assert.deepEqual(kept(folder), [name]);
      },
    );
  });

  const whole = { headers: { etag: '"v1"', "accept-ranges": "bytes" }, body: bytes };
  const failures: [string, () => RawReply | "drop"][] = [
    ["the whole file", () => whole],
    ...[400, 403, 404, 416, 500, 503].map(
      (status) => [`${status}`, () => ({ status })] as [string, () => RawReply],
    ),
    ["a range without a place", () => ({ status: 206, headers: { etag: '"v1"' }, body: bytes })],
    ["no answer", () => "drop"],
  ];
  for (const [title, fail] of failures) {
    it(`gets over a part that is left, where a request for the rest gives ${title}`, async () => {
      for (const sha256 of [undefined, digest(bytes)]) {
        const folder = newFolder();
        await hostile(
          ({ first = 0 }) => (first === 0 ? whole : fail()),
          async (url) => {
            const name = cacheName(url, '"v1"', bytes.length);
            await directoryCache(folder);
            writeFileSync(join(folder, `${name}.part`), bytes.subarray(0, 100_000));
            const options = { cache: folder, sha256, http: { retries: 2, retryMs: 0 } };
            assert.deepEqual(await logitsOf(url, options), expected);
            assert.deepEqual(kept(folder), [name]);
            assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), new Uint8Array(bytes));
          },
        );
      }
    });
  }

  it("loads from a server that offers ranges and gives none, and breaks the first connection", async () => {
    const folder = newFolder();
    await hostile(
      (request) => (request.n === 0 ? { ...whole, stall: 150_000 } : request.n === 1 ? "drop" : whole),
      async (url) => {
        const http = { retries: 1, retryMs: 0, idleMs: 100 };
        await assert.rejects(logitsOf(url, { cache: folder, http }), SourceError);
        assert.match(kept(folder).join(), /^[^,]*m\.gguf\.part$/);
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
        assert.deepEqual(kept(folder), [cacheName(url, '"v1"', bytes.length)]);
      },
    );
  });

  it("keeps no byte more than the file has, whatever follows", async () => {
    const folder = newFolder();
    const range = `bytes 0-${bytes.length - 1}/${bytes.length}`;
    const headers = { etag: '"v1"', "content-range": range, "content-length": undefined };
    await hostile(
      () => ({ status: 206, headers, body: bytes, endless: true }),
      async (url) => {
        for (const sha256 of [undefined, digest(bytes)]) {
          assert.deepEqual(await logitsOf(url, { cache: folder, sha256 }), expected);
          const name = cacheName(url, '"v1"', bytes.length);
          assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), new Uint8Array(bytes));
          rmSync(join(folder, name));
        }
      },
    );
  });

  it("does not keep what it could not recognise: no version, or no size", async () => {
    for (const headers of [{}, { etag: '"v1"', "content-length": undefined }]) {
      const folder = newFolder();
      await hostile(
        () => ({ headers, body: bytes }),
        async (url) => {
          assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
          assert.deepEqual(kept(folder), []);
        },
      );
    }
  });

  it("recognises a file without a version by its SHA-256", async () => {
    const folder = newFolder();
    await hostile(
      () => ({ body: bytes }),
      async (url, requests) => {
        const options = { cache: folder, sha256: digest(bytes) };
        assert.deepEqual(await logitsOf(url, options), expected);
        assert.equal(kept(folder).length, 1);
        assert.deepEqual(await logitsOf(url, options), expected);
        assert.equal(requests.length, 1, "a kept file of this SHA-256 is used unasked");
      },
    );
  });

  it("uses a cached file if the server cannot be reached, and says so if there is none", async () => {
    const folder = newFolder();
    let gone = "";
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        gone = url;
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
      },
    );
    assert.deepEqual(await logitsOf(gone, { cache: folder }), expected);
    await refused(logitsOf(`${gone}x`, { cache: folder }), /^Cannot read http:.*ggufx: ./, SourceError);
    // A refusal is an answer.
    await hostile(
      (request) => (request.n === 0 ? fileReply(bytes, request) : { status: 404 }),
      async (url) => {
        await logitsOf(url, { cache: folder });
        await refused(logitsOf(url, { cache: folder }), /got 404/, SourceError);
      },
    );
  });

  it("lets several load the same file at once", async () => {
    const folder = newFolder();
    await hostile(
      (request) => ({ ...fileReply(bytes, request), ...(request.n % 2 === 1 && { cut: 70_000 }) }),
      async (url) => {
        const all = await Promise.all(
          [1, 2, 3, 4].map(() => logitsOf(url, { cache: folder, http: { retries: 50, retryMs: 1 } })),
        );
        for (const logits of all) assert.deepEqual(logits, expected);
        const name = cacheName(url, '"v1"', bytes.length);
        assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), new Uint8Array(bytes));
      },
    );
  });

  it("refuses and forgets a download of another SHA-256", async () => {
    const folder = newFolder();
    await hostile(
      (request) => fileReply(otherBytes, request),
      async (url) => {
        await refused(
          logitsOf(url, { cache: folder, sha256: digest(bytes) }),
          new RegExp(`^Cannot load ${url}: Expected SHA-256 ${digest(bytes)}, got ${digest(otherBytes)}$`),
          SourceError,
        );
        assert.deepEqual(kept(folder), []);
        assert.deepEqual(
          await logitsOf(url, { cache: folder, sha256: digest(otherBytes).toUpperCase() }),
          otherExpected,
        );
      },
    );
  });

  it("replaces a kept file that was damaged, where a SHA-256 tells", async () => {
    const folder = newFolder();
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        await logitsOf(url, { cache: folder });
        const name = cacheName(url, '"v1"', bytes.length);
        writeFileSync(join(folder, name), otherBytes);
        assert.deepEqual(await logitsOf(url, { cache: folder, sha256: digest(bytes) }), expected);
        assert.deepEqual(new Uint8Array(readFileSync(join(folder, name))), new Uint8Array(bytes));
        // A file that is too short is none.
        writeFileSync(join(folder, name), bytes.slice(0, 1000));
        assert.deepEqual(await logitsOf(url, { cache: folder }), expected);
      },
    );
  });

  it("finds out a part that was damaged, where a SHA-256 tells, and begins anew the next time", async () => {
    const folder = newFolder();
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const cache = await directoryCache(folder);
        const name = cacheName(url, '"v1"', bytes.length);
        writeFileSync(join(folder, `${name}.part`), otherBytes.subarray(0, bytes.length - 100));
        const options = { cache: folder, sha256: digest(bytes) };
        await refused(logitsOf(url, options), /Expected SHA-256/, SourceError);
        assert.deepEqual(await cache.find(cachePrefix(url)), []);
        assert.deepEqual(await logitsOf(url, options), expected);
      },
    );
  });

  it("keeps a model that is no model as little as one that does not fit", async () => {
    const folder = newFolder();
    const body = new TextEncoder().encode("no model at all, however long this text may be");
    await hostile(
      (request) => fileReply(body, request),
      async (url) => {
        await assert.rejects(logitsOf(url, { cache: folder }), /Unknown format|Cannot read/);
        assert.ok(kept(folder).every((name) => name.endsWith(".part")));
      },
    );
  });

  it("reports the download and the weights in it", async () => {
    const reports: LoadProgress[] = [];
    await hostile(
      (request) => fileReply(bytes, request),
      (url) =>
        logitsOf(url, { cache: newFolder(), onProgress: (report) => reports.push(report) }).then(() => {}),
    );
    const last = reports.at(-1);
    assert.ok(last && last.loadedBytes === last.totalBytes && last.totalBytes > 0);
    assert.deepEqual(last.download, { receivedBytes: bytes.length, totalBytes: bytes.length });
    assert.ok(reports.every(({ download }) => download?.totalBytes === bytes.length));
    const local: LoadProgress[] = [];
    await logitsOf(bytes, { onProgress: (report) => local.push(report) });
    assert.ok(local.length > 0 && local.every((report) => !("download" in report)));
  });

  it("refuses a directory that is none", async () => {
    const file = join(root, "file");
    writeFileSync(file, "x");
    await hostile(
      (request) => fileReply(bytes, request),
      (url) =>
        refused(
          logitsOf(url, { cache: file }),
          /^Cannot keep files in .*: is a file, expected a directory$/,
          SourceError,
        ),
    );
  });

  it("keeps tokenizers too, and of a GGUF file no more than its header", async () => {
    const folder = newFolder();
    const tokenizer = tokenizerBin(tinyVocab());
    const { bytes: model } = llama2cFile({ config: { vocab_size: tinyVocab().pieces.length } });
    await hostile(
      (request) => fileReply(request.path.endsWith(".bin") ? tokenizer : bytes, request),
      async (url) => {
        const address = url.replace("m.gguf", "t.bin");
        await logitsOf(model, { tokenizer: address, cache: folder });
        assert.deepEqual(kept(folder), [cacheName(address, '"v1"', tokenizer.length)]);
        await Tokenizer.load(url, { cache: folder });
        assert.ok(kept(folder).some((name) => name.endsWith("-m.gguf.part")));
        await refused(
          Tokenizer.load(url, { sha256: "0".repeat(64) }),
          /Expected SHA-256 0{64}, got/,
          SourceError,
        );
      },
    );
  });
});

describe("openSource() with other caches", () => {
  const runtimeWith = (cache: FileCache | undefined): Runtime => ({
    ...workerdRuntime(),
    openCache: async () => cache,
  });

  async function readWhole(url: string, cache: FileCache | undefined): Promise<void> {
    const source = await openSource(url, runtimeWith(cache), { cache: true });
    try {
      const all = new Uint8Array(source.size ?? 0);
      await source.read(0, all);
      await source.finish?.();
      assert.ok(Buffer.from(all).equals(Buffer.from(bytes)));
    } finally {
      await source.close();
    }
  }

  it("openSource() keeps files in a browser's cache", async () => {
    const fake = new FakeCacheStorage();
    const cache = await webCache(fake.storage);
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        await readWhole(url, cache);
        assert.equal(fake.puts, 3, "a piece, the file's entry and its note");
        await readWhole(url, cache);
        assert.equal(fake.puts, 3);
      },
    );
  });

  it("openSource() goes without where the runtime has no cache", () =>
    hostile(
      (request) => fileReply(bytes, request),
      (url) => readWhole(url, undefined),
    ));

  it("openSource() goes without a cache that fails, unless it was named", async () => {
    const no = async () => {
      throw new DOMException("not now", "InvalidStateError");
    };
    const refusing = { find: no, open: no, write: no, remove: no, note: no, list: no } as FileCache;
    await hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        await readWhole(url, refusing);
        const named = openSource(url, runtimeWith(refusing), { cache: newFolder() });
        await assert.rejects(named, /not now/);
      },
    );
    await refused(
      openSource("http://127.0.0.1:9/m.gguf", runtimeWith(refusing), { cache: true, http: { retryMs: 0 } }),
      /^Cannot read http:\/\/127/,
      SourceError,
    );
  });

  it("openSource() continues without a cache that is full at the end", async () => {
    const fake = new FakeCacheStorage();
    fake.quota = 1000;
    const cache = await webCache(fake.storage);
    // One piece is not full before the end: nothing is lost but the keeping.
    await hostile(
      (request) => fileReply(bytes, request),
      (url) => readWhole(url, cache),
    );
    assert.equal(fake.entries.size, 0);
  });

  it("openSource() fetches a file without the cache that nobody named, wherever that fails", async () => {
    const large = new Uint8Array(PIECE_BYTES + 1000).map((_, i) => (i >> 8) ^ i);
    const failing = (method: "match" | "put" | "keys", from: number, fake = new FakeCacheStorage()) => {
      let calls = 0;
      const open = async (name: string) => {
        const cache = (await fake.open(name)) as unknown as Record<string, (...args: unknown[]) => unknown>;
        const call = cache[method] as (...args: unknown[]) => unknown;
        cache[method] = async (...args) => {
          if (calls++ >= from) throw new DOMException("The operation is insecure.", "SecurityError");
          return call(...args);
        };
        return cache;
      };
      return { open } as unknown as CacheStorage;
    };
    const full = new FakeCacheStorage();
    full.quota = 1000;
    const caches = [
      await webCache(full.storage),
      ...(await Promise.all(
        (["match", "put", "keys"] as const).flatMap((method) =>
          [0, 1, 2].map((from) => webCache(failing(method, from))),
        ),
      )),
    ];
    // Caches that hold the file already, and lose it while it is read.
    for (const from of [1, 2, 3, 4]) {
      const fake = new FakeCacheStorage();
      await hostile(
        (request) => fileReply(large, request),
        async (url) => {
          const first = await openSource(url, runtimeWith(await webCache(fake.storage)), { cache: true });
          await first.finish?.();
          await first.close();
          for (const sha256 of [undefined, digest(large)]) {
            const cache = await webCache(failing("match", from, fake));
            const source = await openSource(url, runtimeWith(cache), { cache: true, sha256 });
            const all = new Uint8Array(large.length);
            await source.read(0, all);
            await source.finish?.();
            await source.close();
            assert.ok(Buffer.from(all).equals(Buffer.from(large)));
          }
        },
      );
    }
    for (const cache of caches) {
      for (const ranges of [true, false]) {
        // Not each with both: hashing takes its time.
        const sha256 = ranges ? undefined : digest(large);
        await hostile(
          (request) => (ranges ? fileReply(large, request) : { headers: { etag: '"v1"' }, body: large }),
          async (url) => {
            const source = await openSource(url, runtimeWith(cache), { cache: true, sha256 });
            const all = new Uint8Array(large.length);
            for (let at = 0; at < all.length; at += 3_000_000) {
              await source.read(at, all.subarray(at, at + 3_000_000));
            }
            await source.finish?.();
            await source.close();
            assert.ok(Buffer.from(all).equals(Buffer.from(large)));
          },
        );
      }
    }
  });

  it("openSource() mixes no two versions where a cache fails between them", async () => {
    const large = new Uint8Array(PIECE_BYTES + 1000);
    const fake = new FakeCacheStorage();
    fake.quota = 10;
    const cache = await webCache(fake.storage);
    await hostile(
      (request) => fileReply(large, request, request.n === 0 ? '"v1"' : '"v2"'),
      async (url) => {
        const source = await openSource(url, runtimeWith(cache), { cache: true });
        await refused(
          source.read(0, new Uint8Array(large.length)),
          /The file changed while it was read: Expected 8389608 bytes of version .*v1.*, got 8389608 bytes of version .*v2.*; load it again$/,
          SourceError,
        );
        await source.close();
      },
    );
  });

  it("openSource() says what is wrong with a cache that somebody named", () =>
    hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const cache = await directoryCache(newFolder());
        const writer = await cache.write("a", 10, false);
        const broken: CacheWriter = {
          length: 0,
          append: () => Promise.reject(new SourceError("Cannot write a: the disk is full")),
          read: (offset, target) => writer.read(offset, target),
          publish: (prefix) => writer.publish(prefix),
          discard: () => writer.discard(),
          close: () => writer.close(),
        };
        const open = (named: boolean) =>
          openSource(
            url,
            runtimeWith({
              ...cache,
              find: async () => [],
              open: async () => undefined,
              write: async () => broken,
              remove: async () => {},
              note: async () => {},
            }),
            {
              cache: named ? "folder" : true,
            },
          );
        const named = await open(true);
        await refused(named.read(0, new Uint8Array(10)), /^Cannot write a: the disk is full$/, SourceError);
        await named.close();
        const own = await open(false);
        const target = new Uint8Array(10);
        await own.read(0, target);
        assert.deepEqual(target, new Uint8Array(bytes.slice(0, 10)));
        await own.close();
      },
    ));

  it("openSource() reads in any order while a file is kept", () =>
    hostile(
      (request) => fileReply(bytes, request),
      async (url) => {
        const runtime = runtimeWith(await directoryCache(newFolder()));
        const source = await openSource(url, runtime, { cache: true, sha256: digest(bytes) });
        for (const offset of [100_000, 0, 50_000, 100_010]) {
          const target = new Uint8Array(1000);
          await source.read(offset, target);
          assert.deepEqual(target, new Uint8Array(bytes.slice(offset, offset + 1000)));
        }
        await refused(source.read(bytes.length, new Uint8Array(1)), /the file ends at/);
        await source.finish?.();
        await source.close();
        await refused(source.read(0, new Uint8Array(1)), /It was closed$/, SourceError);
      },
    ));
});

describe("cacheName()", () => {
  it("cacheName() is a plain file name that tells URLs, versions and sizes apart", () => {
    const url = "https://example.com/a/m.gguf";
    const names = [
      cacheName(url, "1", 10),
      cacheName(url, "2", 10),
      cacheName(url, "1", 11),
      cacheName(`${url}?x`, "1", 10),
      cacheName("https://example.com/b/m.gguf", "1", 10),
    ];
    assert.equal(new Set(names).size, names.length);
    assert.equal(cacheName(`${url}#part`, "1", 10), names[0]);
    for (const path of ["..%2f..%2fetc", "a%00b", "ü ?", "x".repeat(500), "m.part", "", "C:\\x"]) {
      const name = cacheName(`https://example.com/${path}`, "v", 1);
      assert.match(name, /^[0-9a-f]{16}-[0-9a-f]{16}-[\w.-]{0,80}$/);
      assert.doesNotMatch(name, /\.part$/);
    }
  });
});

describe("options of sources", () => {
  it("are refused by name, with what they may be", async () => {
    const cases: [LoadOptions, RegExp][] = [
      [{ sha256: "abc" }, /^Cannot load with sha256 "abc": Expected 64 hexadecimal digits$/],
      [{ sha256: 5 as never }, /^Cannot load with sha256 5: Expected 64 hexadecimal digits$/],
      [{ cache: "" }, /^Cannot load with cache "": Expected true, false or a directory$/],
      [{ cache: 1 as never }, /^Cannot load with cache 1: Expected true, false or a directory$/],
      [{ http: 1 as never }, /^Cannot load with http 1: Expected an object$/],
      [
        { http: { headers: "a" as never } },
        /with http\.headers "a": Expected an object of names and values$/,
      ],
      [{ http: { retries: -1 } }, /with http\.retries -1: Expected a number from 0 to/],
      [{ http: { retryMs: Number.NaN } }, /with http\.retryMs NaN: Expected a number from 0 to/],
      [{ http: { idleMs: 0 } }, /with http\.idleMs 0: Expected a number from 1 to/],
      [{ http: { idleMs: Number.POSITIVE_INFINITY } }, /with http\.idleMs Infinity: Expected a number/],
    ];
    for (const [options, message] of cases) {
      await refused(Llama.load("no/such/file", options), message, UsageError);
      await refused(Tokenizer.load("no/such/file", options), message, UsageError);
    }
  });
});
