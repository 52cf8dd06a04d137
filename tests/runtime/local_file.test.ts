// Local files as sources.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLocalFile } from "../../src/runtime/local_file.ts";
import { FormatError, SourceError } from "../../src/util/errors.ts";
import { itUnless } from "../support/skip.ts";

const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff);
let folder = "";

function path(name: string): string {
  return join(folder, name);
}

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(path(name), bytes);
  return path(name);
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "cria-"));
});

after(() => rmSync(folder, { recursive: true }));

describe("openLocalFile()", () => {
  it("reads any range", async () => {
    const source = await openLocalFile(file("a.bin", content));
    assert.equal(source.name, path("a.bin"));
    assert.equal(source.size, 1000);
    for (const [offset, n] of [
      [0, 1000],
      [0, 0],
      [1000, 0],
      [999, 1],
      [17, 300],
      [3, 5],
      [0, 1],
    ] as const) {
      const target = new Uint8Array(n);
      await source.read(offset, target);
      assert.deepEqual(target, content.slice(offset, offset + n), `${n} bytes at ${offset}`);
    }
    await source.close();
  });

  it("serves reads that overlap in time", async () => {
    const source = await openLocalFile(file("together.bin", content));
    const targets = Array.from({ length: 100 }, () => new Uint8Array(40));
    await Promise.all(targets.map((target, i) => source.read((i * 389) % 960, target)));
    for (const [i, target] of targets.entries()) {
      const offset = (i * 389) % 960;
      assert.deepEqual(target, content.slice(offset, offset + 40), `read ${i}`);
    }
    await source.close();
  });

  it("fills a part of a larger target only", async () => {
    const source = await openLocalFile(file("part.bin", content));
    const all = new Uint8Array(20).fill(0xaa);
    await source.read(100, all.subarray(5, 15));
    assert.deepEqual(all.slice(5, 15), content.slice(100, 110));
    assert.deepEqual([...all.slice(0, 5), ...all.slice(15)], new Array(10).fill(0xaa));
    await source.close();
  });

  for (const shared of [false, true]) {
    it(`fills views of ${shared ? "shared " : ""}WebAssembly memory`, async () => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
      const source = await openLocalFile(file("memory.bin", content));
      await source.read(10, new Uint8Array(memory.buffer, 256, 900));
      const all = new Uint8Array(memory.buffer);
      assert.deepEqual(all.slice(256, 1156), content.slice(10, 910));
      assert.equal(all[255], 0);
      assert.equal(all[1156], 0);
      await source.close();
    });
  }

  it("reads beyond 4 GiB", async () => {
    const offset = 2 ** 32 + 12345;
    const handle = await open(path("large.bin"), "w");
    await handle.write(content, 0, 100, offset);
    await handle.close();
    const source = await openLocalFile(path("large.bin"));
    assert.equal(source.size, offset + 100);
    const target = new Uint8Array(100);
    await source.read(offset, target);
    assert.deepEqual(target, content.slice(0, 100));
    await source.close();
  });

  it("refuses ranges past the end and writes nothing", async () => {
    const source = await openLocalFile(file("end.bin", content));
    for (const [offset, n] of [
      [1000, 1],
      [999, 2],
      [0, 1001],
      [2 ** 52, 1],
    ] as const) {
      const target = new Uint8Array(n).fill(0xaa);
      await assert.rejects(source.read(offset, target), {
        name: "FormatError",
        message: `Cannot read ${path("end.bin")}: Expected ${n} bytes at offset ${offset}, the file ends at 1000`,
      });
      assert.ok(target.every((byte) => byte === 0xaa));
    }
    await source.close();
  });

  it("refuses offsets that are none", async () => {
    const source = await openLocalFile(file("offset.bin", content));
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      await assert.rejects(source.read(offset, new Uint8Array(1)), SourceError, String(offset));
    }
    await source.close();
  });

  it("notices that a file has become shorter", async () => {
    const source = await openLocalFile(file("shorter.bin", content));
    truncateSync(path("shorter.bin"), 100);
    await assert.rejects(source.read(90, new Uint8Array(20)), (error: Error) => {
      assert.ok(error instanceof FormatError);
      assert.match(error.message, /Expected 20 bytes at offset 90, the file ends at 100$/);
      return true;
    });
    await source.close();
  });

  it("opens empty files", async () => {
    const source = await openLocalFile(file("empty.bin", new Uint8Array(0)));
    assert.equal(source.size, 0);
    await source.read(0, new Uint8Array(0));
    await assert.rejects(source.read(0, new Uint8Array(1)), FormatError);
    await source.close();
  });

  it("closes twice, and then refuses to read", async () => {
    const source = await openLocalFile(file("closed.bin", content));
    await source.close();
    await source.close();
    await assert.rejects(source.read(0, new Uint8Array(1)), {
      name: "SourceError",
      message: `Cannot read ${path("closed.bin")}: It was closed`,
    });
  });

  it("says that there is no such file", async () => {
    await assert.rejects(openLocalFile(path("absent.gguf")), {
      name: "SourceError",
      code: "SOURCE",
      message: `Cannot open ${path("absent.gguf")}: no such file`,
    });
    await assert.rejects(openLocalFile(""), { name: "SourceError", message: "Cannot open : no such file" });
    file("plain", content);
    await assert.rejects(openLocalFile(path("plain/model.gguf")), {
      message: `Cannot open ${path("plain/model.gguf")}: a part of the path is not a directory`,
    });
  });

  it("refuses directories", async () => {
    mkdirSync(path("folder"));
    await assert.rejects(openLocalFile(path("folder")), {
      name: "SourceError",
      message: `Cannot open ${path("folder")}: is a directory, expected a file`,
    });
  });

  it("refuses names that no file can have", async () => {
    await assert.rejects(openLocalFile(path("a\0b")), SourceError);
    await assert.rejects(openLocalFile(path("x".repeat(5000))), {
      name: "SourceError",
      message: /: the name is too long$/,
    });
  });

  const posix = process.platform !== "win32";

  itUnless(!posix && "needs POSIX", "refuses pipes and devices", async () => {
    // Nobody writes into the pipe: opening it would wait for ever.
    execFileSync("mkfifo", [path("pipe")]);
    await assert.rejects(openLocalFile(path("pipe")), {
      name: "SourceError",
      message: `Cannot open ${path("pipe")}: is a pipe or device, expected a file`,
    });
    await assert.rejects(openLocalFile("/dev/zero"), {
      name: "SourceError",
      message: "Cannot open /dev/zero: is a pipe or device, expected a file",
    });
  });

  // The superuser may read everything.
  const root = process.getuid?.() === 0;

  itUnless((!posix || root) && "needs a user with limits", "says that permission is denied", async () => {
    chmodSync(file("secret.gguf", content), 0);
    await assert.rejects(openLocalFile(path("secret.gguf")), {
      name: "SourceError",
      message: `Cannot open ${path("secret.gguf")}: permission denied`,
    });
  });
});
