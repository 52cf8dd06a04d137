// Both places where downloads are kept, held to the same promises; then what is each one's own.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import * as realFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { browserRuntime } from "../../src/runtime/browser.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { type CacheFileSystem, directoryCache } from "../../src/runtime/directory_cache.ts";
import { PIECE_BYTES, webCache } from "../../src/runtime/web_cache.ts";
import { workerdRuntime } from "../../src/runtime/workerd.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import type { CacheWriter, FileCache } from "../../src/source/host.ts";
import { FormatError, SourceError } from "../../src/util/errors.ts";
import { FakeCacheStorage } from "../support/fake_cache.ts";
import { refused } from "../support/refused.ts";

const root = mkdtempSync(join(tmpdir(), "cria-cache-"));
after(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = () => join(root, `d${folders++}`, "deep");

function pattern(n: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i++) bytes[i] = i * 7 + (i >> 8) * 13 + (i >> 16) * 29;
  return bytes;
}

async function take(source: Pick<ByteSource, "read">, offset: number, n: number): Promise<Uint8Array> {
  const target = new Uint8Array(n);
  await source.read(offset, target);
  return target;
}

async function webFileCache(fake = new FakeCacheStorage()): Promise<FileCache> {
  const cache = await webCache(fake.storage);
  assert.ok(cache);
  return cache;
}

/** Makes a cache; called again it opens the same place anew, as the next process would. */
type Reopen = () => Promise<FileCache>;

const places: [string, () => Reopen, size: number][] = [
  [
    "directoryCache()",
    () => {
      const folder = newFolder();
      return () => directoryCache(folder);
    },
    100_000,
  ],
  [
    "webCache()",
    () => {
      const fake = new FakeCacheStorage();
      return () => webFileCache(fake);
    },
    2 * PIECE_BYTES + 1234,
  ],
];

async function fill(writer: CacheWriter, bytes: Uint8Array, step: number): Promise<void> {
  for (let at = writer.length; at < bytes.length; at += step)
    await writer.append(bytes.subarray(at, at + step));
}

for (const [title, make, size] of places) {
  describe(title, () => {
    const bytes = pattern(size);
    const publish = async (cache: FileCache, name: string, content = bytes) => {
      const writer = await cache.write(name, content.length, true);
      await fill(writer, content, 1 << 20);
      await writer.publish(name.slice(0, 2));
      await writer.close();
    };

    it(`${title} keeps a whole file, and nothing before it is whole`, async () => {
      const reopen = make();
      const cache = await reopen();
      assert.deepEqual(await cache.find(""), []);
      assert.equal(await cache.open("a-1", size), undefined);
      const writer = await cache.write("a-1", size, true);
      await fill(writer, bytes, 300_001);
      assert.equal(writer.length, size);
      assert.deepEqual(await cache.find("a-"), []);
      assert.equal(await cache.open("a-1", size), undefined);
      await writer.publish("a-");
      // What was written is still read through the writer.
      assert.deepEqual(await take(writer, 5, 1000), bytes.slice(5, 1005));
      await writer.close();
      await writer.close();
      const next = await reopen();
      assert.deepEqual(await next.find("a-"), ["a-1"]);
      const kept = await next.open("a-1", size);
      assert.ok(kept);
      assert.equal(kept.size, size);
      assert.ok(Buffer.from(await take(kept, 0, size)).equals(Buffer.from(bytes)));
      assert.deepEqual(await take(kept, size - 10, 10), bytes.slice(-10));
      await refused(take(kept, size - 10, 11), /the file ends at/, FormatError);
      await refused(take(kept, -1, 1), /Expected an offset from 0/, SourceError);
      await kept.close();
      const unsized = await next.open("a-1");
      assert.equal(unsized?.size, size);
      await unsized?.close();
      assert.equal(await next.open("a-1", size + 1), undefined);
      assert.equal(await next.open("a-", size), undefined);
    });

    it(`${title} lists whole files and unfinished ones, with the notes about them`, async () => {
      const reopen = make();
      const cache = await reopen();
      assert.deepEqual(await cache.list(), []);
      await cache.note("a-1", "about nothing");
      await publish(cache, "a-1");
      const part = await cache.write("b-1", size, true);
      await fill(part, bytes.subarray(0, Math.floor(size * 0.9)), 1 << 20);
      await part.close();
      await cache.note("a-1", "first");
      await cache.note("a-1", "whole");
      await cache.note("b-1", "part");
      const entries = [...(await (await reopen()).list())].sort((a, b) => (a.name < b.name ? -1 : 1));
      assert.deepEqual(
        entries.map(({ name, isWhole, note }) => [name, isWhole, note]),
        [
          ["a-1", true, "whole"],
          ["b-1", false, "part"],
        ],
      );
      const [whole, unfinished] = entries.map((entry) => entry.size);
      assert.equal(whole, size);
      assert.ok((unfinished as number) > 0 && (unfinished as number) < size);
      assert.deepEqual(await cache.find(""), ["a-1"]);
      // A new version takes the note of the one before with it.
      await publish(cache, "a-2");
      assert.deepEqual((await cache.list()).map(({ name, note }) => [name, note]).sort(), [
        ["a-2", undefined],
        ["b-1", "part"],
      ]);
      await cache.remove("b-1");
      await cache.remove("a-2");
      assert.deepEqual(await cache.list(), []);
      await publish(cache, "a-1");
      assert.equal((await cache.list())[0]?.note, undefined, "no note is left over");
    });

    it(`${title} reads what was written, across all boundaries, while it is written`, async () => {
      const writer = await (await make()()).write("a-1", size, true);
      const step = 999_983;
      for (let at = 0; at < size; at += step) {
        await writer.append(bytes.subarray(at, at + step));
        const from = Math.max(0, writer.length - 2000 - at / 2);
        const n = Math.min(2000 + at / 2, writer.length - from) | 0;
        const begin = Math.floor(from);
        assert.ok(
          Buffer.from(await take(writer, begin, n)).equals(Buffer.from(bytes.subarray(begin, begin + n))),
          `${n} bytes at ${begin}`,
        );
      }
      await writer.close();
    });

    it(`${title} goes on with what was not finished, and begins anew where that is asked for`, async () => {
      const reopen = make();
      const half = Math.floor(size * 0.7);
      const first = await (await reopen()).write("a-1", size, true);
      await fill(first, bytes.subarray(0, half), 1 << 20);
      await first.close();
      const fresh = await (await reopen()).write("a-2", size, true);
      assert.equal(fresh.length, 0, "a part of another name");
      await fresh.close();
      const second = await (await reopen()).write("a-1", size, true);
      assert.ok(second.length > 0 && second.length <= half, `${second.length} bytes are left`);
      assert.deepEqual(await take(second, 10, 100), bytes.slice(10, 110));
      await fill(second, bytes, 1 << 20);
      await second.publish("a-");
      await second.close();
      const cache = await reopen();
      const kept = await cache.open("a-1", size);
      assert.ok(kept && Buffer.from(await take(kept, 0, size)).equals(Buffer.from(bytes)));
      await kept.close();
      const third = await cache.write("a-1", size, true);
      await fill(third, bytes.subarray(0, half), 1 << 20);
      await third.close();
      const anew = await cache.write("a-1", size, false);
      assert.equal(anew.length, 0);
      await anew.close();
    });

    it(`${title} lets several write the same file`, async () => {
      const reopen = make();
      const writers = await Promise.all([1, 2, 3].map(async () => (await reopen()).write("a-1", size, true)));
      for (let at = 0; at < size; at += 1 << 20) {
        for (const writer of writers) await writer.append(bytes.subarray(at, at + (1 << 20)));
      }
      for (const writer of writers) {
        await writer.publish("a-");
        assert.ok(Buffer.from(await take(writer, 0, size)).equals(Buffer.from(bytes)));
        await writer.close();
      }
      const kept = await (await reopen()).open("a-1", size);
      assert.ok(kept && Buffer.from(await take(kept, 0, size)).equals(Buffer.from(bytes)));
      await kept.close();
    });

    it(`${title} lists the newest first, removes, and clears older versions away when it publishes`, async () => {
      const reopen = make();
      const cache = await reopen();
      await publish(cache, "a-1", bytes.slice(0, 1000));
      await publish(cache, "b-1", bytes.slice(0, 1000));
      await publish(cache, "a-2", bytes.slice(0, 2000));
      assert.deepEqual(await cache.find("a-"), ["a-2"]);
      assert.deepEqual(await cache.find("b-"), ["b-1"]);
      await cache.remove("a-2");
      await cache.remove("a-2");
      assert.deepEqual(await cache.find(""), ["b-1"]);
      assert.equal(await cache.open("a-2", 2000), undefined);
    });

    it(`${title} forgets what is discarded`, async () => {
      const reopen = make();
      const writer = await (await reopen()).write("a-1", size, true);
      await fill(writer, bytes, 1 << 20);
      await writer.discard();
      await writer.close();
      const next = await (await reopen()).write("a-1", size, true);
      assert.equal(next.length, 0);
      await next.close();
      assert.deepEqual(await (await reopen()).find(""), []);
    });
  });
}

describe("directoryCache() itself", () => {
  it("directoryCache() leaves files under their names, and a part only while one is unfinished", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder);
    const writer = await cache.write("a-model.gguf", 10, true);
    await writer.append(pattern(4));
    assert.match(readdirSync(folder).join(), /^a-model\.gguf\.~[0-9a-z]+\.part$/);
    await writer.close();
    assert.deepEqual(readdirSync(folder), ["a-model.gguf.part"]);
    const again = await cache.write("a-model.gguf", 10, true);
    assert.equal(again.length, 4);
    await again.append(pattern(10).subarray(4));
    await again.publish("a-");
    await again.close();
    assert.deepEqual(readdirSync(folder), ["a-model.gguf"]);
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "a-model.gguf"))), pattern(10));
    const empty = await cache.write("b", 10, true);
    await empty.close();
    assert.deepEqual(readdirSync(folder), ["a-model.gguf"]);
  });

  it("directoryCache() takes over what a process that died has left, and nothing from one that writes", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder);
    const part = join(folder, "a-1.xyz.part");
    writeFileSync(part, pattern(6));
    const young = await cache.write("a-1", 10, true);
    assert.equal(young.length, 0);
    await young.close();
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(part, longAgo, longAgo);
    const writer = await cache.write("a-1", 10, true);
    assert.equal(writer.length, 6);
    await writer.append(pattern(10).subarray(6));
    await writer.publish("a-");
    assert.deepEqual(await take(writer, 0, 10), pattern(10));
    await writer.close();
    assert.deepEqual(readdirSync(folder), ["a-1"]);
  });

  it("directoryCache() survives that a slow process's part was taken over: both have the right bytes", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder);
    const bytes = pattern(1000);
    const slow = await cache.write("a-1", 1000, true);
    await slow.append(bytes.subarray(0, 500));
    const longAgo = new Date(Date.now() - 60_000);
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), longAgo, longAgo);
    const other = await cache.write("a-1", 1000, true);
    assert.equal(other.length, 500);
    await other.append(bytes.subarray(500, 700));
    await slow.append(bytes.subarray(500));
    await slow.publish("a-");
    assert.deepEqual(await take(slow, 0, 1000), bytes);
    await slow.close();
    await other.append(bytes.subarray(700));
    await other.publish("a-");
    assert.deepEqual(await take(other, 0, 1000), bytes);
    await other.close();
    assert.deepEqual(readdirSync(folder), ["a-1"]);
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, "a-1"))), bytes);
  });

  it("directoryCache() throws a part away that is longer than the file", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder);
    writeFileSync(join(folder, "a-1.part"), pattern(11));
    const writer = await cache.write("a-1", 10, true);
    assert.equal(writer.length, 0);
    await writer.close();
    assert.deepEqual(readdirSync(folder), []);
  });

  it("directoryCache() does not stumble for ever over what it cannot open", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder);
    // Folders stand in for files that belong to somebody else.
    for (const name of ["a-1.part", "b-1"]) mkdirSync(join(folder, name));
    assert.equal(await cache.open("b-1"), undefined);
    const writer = await cache.write("a-1", 1 << 20, true);
    assert.equal(writer.length, 0);
    await writer.append(pattern(10));
    await writer.publish("a-");
    await writer.close();
    const kept = await cache.open("a-1", 10);
    assert.equal(kept?.size, 10);
    await kept?.close();
  });

  it("directoryCache() makes no directory to read", async () => {
    const folder = newFolder();
    const cache = await directoryCache(folder, true);
    assert.deepEqual(
      [await cache.list(), await cache.find("a"), await cache.open("a-1")],
      [[], [], undefined],
    );
    assert.ok(!existsSync(folder));
  });

  it("directoryCache() says what a directory is not", async () => {
    const folder = newFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "file"), "x");
    await refused(
      directoryCache(join(folder, "file")),
      /^Cannot keep files in .*file: is a file, expected a directory$/,
      SourceError,
    );
    await refused(
      directoryCache(join(folder, "file", "x")),
      /a part of the path is not a directory$/,
      SourceError,
    );
  });

  it("directoryCache() says that the disk is full, and leaves nothing on it", async () => {
    const folder = newFolder();
    let free = 100;
    const full: CacheFileSystem = {
      ...realFs,
      async open(...args: Parameters<typeof realFs.open>) {
        const handle = await realFs.open(...args);
        const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
        return Object.assign(handle, {
          // A disk takes what it can before it refuses.
          async write(bytes: Uint8Array, at: number, n: number, position: number) {
            if (free === 0) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
            const taken = Math.min(n, free);
            free -= taken;
            return write(bytes, at, taken, position);
          },
        }) as never;
      },
    };
    const cache = await directoryCache(folder, false, full);
    const writer = await cache.write("a-1", 1000, true);
    await writer.append(pattern(60));
    await refused(
      writer.append(pattern(60)),
      /^Cannot write .*a-1\..*: the disk is full; cria remove frees space, and cache: false \(--no-cache\) keeps nothing$/,
      SourceError,
    );
    await writer.close();
    assert.deepEqual(readdirSync(folder), []);
  });
});

describe("webCache() itself", () => {
  it("webCache() is none where the runtime has none or refuses it", async () => {
    assert.equal(await webCache(undefined), undefined);
    const refusing = { open: () => Promise.reject(new DOMException("private", "SecurityError")) };
    assert.equal(await webCache(refusing as unknown as CacheStorage), undefined);
  });

  it("webCache() puts each piece once, and goes on after the last whole one", async () => {
    const fake = new FakeCacheStorage();
    const bytes = pattern(2 * PIECE_BYTES + 10);
    const writer = await (await webFileCache(fake)).write("a-1", bytes.length, true);
    await writer.append(bytes.subarray(0, PIECE_BYTES + 100));
    assert.equal(fake.puts, 1);
    await writer.close();
    const next = await (await webFileCache(fake)).write("a-1", bytes.length, true);
    assert.equal(next.length, PIECE_BYTES);
    await fill(next, bytes, 1 << 20);
    await next.publish("a-");
    assert.equal(fake.puts, 4, "three pieces and the entry of the file");
  });

  it("webCache() says that the browser gives no more space, and gives back what it has", async () => {
    const fake = new FakeCacheStorage();
    fake.quota = PIECE_BYTES + 1000;
    const cache = await webFileCache(fake);
    const bytes = pattern(2 * PIECE_BYTES);
    const writer = await cache.write("a-1", bytes.length, true);
    await refused(
      fill(writer, bytes, 1 << 20),
      /^Cannot keep a-1 in the browser's cache: the browser gives this site no more space; load with cache: false/,
      SourceError,
    );
    assert.equal(fake.entries.size, 0);
  });

  it("webCache() does not open a file that lost a piece, and says so where that happens later", async () => {
    const fake = new FakeCacheStorage();
    const cache = await webFileCache(fake);
    const bytes = pattern(2 * PIECE_BYTES);
    const writer = await cache.write("a-1", bytes.length, true);
    await fill(writer, bytes, 1 << 20);
    await writer.publish("a-");
    const kept = await cache.open("a-1", bytes.length);
    assert.ok(kept);
    const [key = ""] = [...fake.entries.keys()].filter((name) => name.endsWith("/1"));
    fake.entries.delete(key);
    await refused(
      take(kept, PIECE_BYTES - 5, 10),
      /Expected piece 1 in the browser's cache, got none/,
      SourceError,
    );
    assert.equal(await cache.open("a-1", bytes.length), undefined);
  });
});

describe("webCache() with a damaged piece", () => {
  it("webCache() throws a piece away that is too short, so that the file comes again", async () => {
    const fake = new FakeCacheStorage();
    const cache = await webFileCache(fake);
    const bytes = pattern(PIECE_BYTES + 10);
    const writer = await cache.write("a-1", bytes.length, true);
    await fill(writer, bytes, 1 << 20);
    await writer.publish("a-");
    const [key = ""] = [...fake.entries.keys()].filter((name) => name.endsWith("/1"));
    fake.entries.set(key, new Uint8Array(3));
    const kept = await cache.open("a-1", bytes.length);
    assert.ok(kept, "its pieces are all there");
    await refused(take(kept, PIECE_BYTES, 10), /got none or a part; load it again$/, SourceError);
    assert.equal(await cache.open("a-1", bytes.length), undefined);
  });
});

describe("openCache() of runtimes", () => {
  it("openCache() opens a directory that is named", async () => {
    const cache = await detectRuntime().openCache(newFolder());
    assert.deepEqual(await cache?.find(""), []);
  });

  it("openCache() refuses directories where there are none, and has no cache in workerd", async () => {
    await refused(
      workerdRuntime().openCache("x"),
      /^Cannot keep files in x: there are no directories in workerd$/,
      SourceError,
    );
    assert.equal(await workerdRuntime().openCache(), undefined);
    await refused(browserRuntime().openCache("x"), /there are no directories in a browser$/, SourceError);
  });
});
