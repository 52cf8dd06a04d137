// Sources over bytes, Blobs and streams.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { blobSource } from "../../src/source/blob.ts";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { urlSource } from "../../src/source/http.ts";
import { LOOK_BACK_BYTES } from "../../src/source/look_back.ts";
import { streamSource } from "../../src/source/stream.ts";
import { FormatError, SourceError } from "../../src/util/errors.ts";
import { chunked, refused } from "../support/refused.ts";
import { serving } from "../support/server.ts";

/** Bytes that differ from their neighbours and repeat late. */
function pattern(n: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i++) bytes[i] = i * 7 + (i >> 8) * 13 + (i >> 16) * 29;
  return bytes;
}

async function take(source: ByteSource, offset: number, n: number): Promise<Uint8Array> {
  const target = new Uint8Array(n);
  await source.read(offset, target);
  return target;
}

const data = pattern(1000);

const sources: [string, () => ByteSource][] = [
  ["bytesSource()", () => bytesSource(data, "d")],
  ["blobSource()", () => blobSource(new Blob([data]), "d")],
  ["streamSource() of chunks of 1", () => streamSource(chunked(data, 1), "d", data.length)],
  ["streamSource() of chunks of 7", () => streamSource(chunked(data, 7), "d", data.length)],
  ["streamSource() of one chunk", () => streamSource(chunked(data, 5000), "d", data.length)],
];

for (const [title, open] of sources) {
  describe(title, () => {
    it(`${title} reads ranges in ascending order, with gaps, of no bytes and to the end`, async () => {
      const source = open();
      assert.equal(source.name, "d");
      assert.equal(source.size, 1000);
      for (const [offset, n] of [
        [0, 1],
        [1, 0],
        [1, 20],
        [21, 100],
        [500, 3],
        [503, 497],
        [1000, 0],
      ] as const) {
        assert.deepEqual(
          await take(source, offset, n),
          data.slice(offset, offset + n),
          `${n} bytes at ${offset}`,
        );
      }
      await source.close();
      await source.close();
    });

    it(`${title} reads what is near again`, async () => {
      const source = open();
      await take(source, 0, 900);
      assert.deepEqual(await take(source, 0, 4), data.slice(0, 4));
      assert.deepEqual(await take(source, 890, 30), data.slice(890, 920));
      assert.deepEqual(await take(source, 899, 101), data.slice(899));
    });

    it(`${title} refuses ranges past the end and offsets that are none`, async () => {
      const source = open();
      await refused(
        take(source, 990, 11),
        /^Cannot read d: Expected 11 bytes at offset 990, the file ends at 1000$/,
      );
      await refused(take(source, 1001, 0), /the file ends at 1000/);
      await refused(take(source, 2 ** 52, 1), /the file ends at 1000/);
      for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
        await refused(take(source, offset, 1), /Expected an offset from 0, got/, SourceError);
      }
    });

    it(`${title} fills views of shared WebAssembly memory`, async () => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      const all = new Uint8Array(memory.buffer);
      await open().read(100, new Uint8Array(memory.buffer, 64, 300));
      assert.deepEqual(Uint8Array.from(all.subarray(64, 364)), data.slice(100, 400));
      assert.equal(all[63], 0);
      assert.equal(all[364], 0);
    });
  });
}

describe("bytesSource", () => {
  it("bytesSource() has a name of its own and may be empty", async () => {
    const source = bytesSource(new Uint8Array(0));
    assert.equal(source.name, "bytes");
    assert.equal(source.size, 0);
    await source.read(0, new Uint8Array(0));
    await refused(take(source, 0, 1), /Expected 1 bytes at offset 0, the file ends at 0/);
  });
});

describe("blobSource", () => {
  it("blobSource() is called what the file is called", () => {
    assert.equal(blobSource(new File(["x"], "model.gguf")).name, "model.gguf");
    assert.equal(blobSource(new Blob(["x"])).name, "blob");
  });

  it("blobSource() reads more than one chunk", async () => {
    const large = pattern((9 << 20) + 5);
    const read = await take(blobSource(new Blob([large])), 3, large.length - 3);
    assert.ok(Buffer.from(read).equals(Buffer.from(large.subarray(3))));
  });

  it("blobSource() turns a failed read into a SourceError with its cause", async () => {
    const cause = new Error("NotReadable");
    const blob = Object.assign(new Blob(["abcd"]), {
      slice: () => ({ arrayBuffer: () => Promise.reject(cause) }),
    });
    await assert.rejects(take(blobSource(blob as unknown as Blob, "b"), 0, 2), (error) => {
      assert.ok(error instanceof SourceError);
      assert.equal(error.message, "Cannot read b: NotReadable");
      assert.equal(error.cause, cause);
      return true;
    });
  });
});

describe("streamSource", () => {
  it("streamSource() learns its size at the end", async () => {
    const source = streamSource(chunked(data, 64), "d");
    assert.equal(source.size, undefined);
    await take(source, 0, 1000);
    assert.equal(source.size, undefined);
    await refused(
      take(source, 1000, 1),
      /^Cannot read d: Expected 1 bytes at offset 1000, the file ends at 1000$/,
    );
    assert.equal(source.size, 1000);
    assert.deepEqual(await take(source, 990, 10), data.slice(990));
    await refused(take(source, 5000, 1), /the file ends at 1000/);
  });

  it("streamSource() of nothing ends at 0", async () => {
    const source = streamSource(chunked(new Uint8Array(0), 1));
    await refused(
      take(source, 0, 1),
      /^Cannot read stream: Expected 1 bytes at offset 0, the file ends at 0$/,
    );
    assert.equal(source.size, 0);
  });

  it("streamSource() keeps the look-back window whatever the chunks are", async () => {
    const large = pattern(4 * LOOK_BACK_BYTES + 123);
    for (const chunkBytes of [
      1000,
      LOOK_BACK_BYTES - 1,
      LOOK_BACK_BYTES,
      LOOK_BACK_BYTES + 1,
      large.length,
    ]) {
      const source = streamSource(chunked(large, chunkBytes), "d");
      for (const end of [
        LOOK_BACK_BYTES + 5,
        2 * LOOK_BACK_BYTES + 1,
        3 * LOOK_BACK_BYTES + 77,
        large.length,
      ]) {
        await take(source, end - 3, 3);
        const again = await take(source, end - LOOK_BACK_BYTES, LOOK_BACK_BYTES);
        const expected = large.subarray(end - LOOK_BACK_BYTES, end);
        assert.ok(Buffer.from(again).equals(Buffer.from(expected)), `chunks of ${chunkBytes} up to ${end}`);
      }
    }
  });

  it("streamSource() never gives other bytes for those that it forgot", async () => {
    const large = pattern(5 * LOOK_BACK_BYTES);
    for (const skipped of [
      1,
      LOOK_BACK_BYTES - 1,
      LOOK_BACK_BYTES,
      LOOK_BACK_BYTES + 1,
      3 * LOOK_BACK_BYTES,
    ]) {
      for (const more of [-2, 100, 500, 1000, 2000, LOOK_BACK_BYTES, 2 * LOOK_BACK_BYTES]) {
        const back = LOOK_BACK_BYTES + more;
        const source = streamSource(chunked(large, large.length), "d");
        await take(source, 0, 1000);
        await take(source, 1000 + skipped, 50);
        const offset = Math.max(0, 1050 + skipped - back);
        try {
          const again = await take(source, offset, 100);
          assert.ok(
            Buffer.from(again).equals(Buffer.from(large.subarray(offset, offset + 100))),
            `${skipped} ${back}`,
          );
        } catch (error) {
          assert.ok(error instanceof SourceError && back > LOOK_BACK_BYTES, String(error));
        }
      }
    }
  });

  it("streamSource() refuses what lies before the window and says what to do", async () => {
    const source = streamSource(chunked(pattern(4 * LOOK_BACK_BYTES), 1 << 16), "d");
    await take(source, 4 * LOOK_BACK_BYTES - 1, 1);
    await refused(
      take(source, 0, 4),
      /^Cannot read d: Expected an offset of at least \d+, got 0; a stream is read forward only: open a file/,
      SourceError,
    );
    await take(source, 4 * LOOK_BACK_BYTES - 1, 1);
  });

  it("streamSource() lets reads that are started together follow one another", async () => {
    const source = streamSource(chunked(data, 7), "d", 1000);
    const parts = await Promise.all([take(source, 0, 300), take(source, 300, 300), take(source, 650, 350)]);
    assert.deepEqual(parts, [data.slice(0, 300), data.slice(300, 600), data.slice(650)]);
  });

  it("streamSource() reports a stream that ends before its size", async () => {
    const source = streamSource(chunked(data, 64), "d", 1001);
    assert.equal((await take(source, 0, 1000)).length, 1000);
    await refused(
      take(source, 1000, 1),
      /^Cannot read d: Expected 1001 bytes, the connection ended after 1000$/,
      SourceError,
    );
  });

  it("streamSource() reports a stream that fails, with its cause, and so do later reads", async () => {
    const cause = new Error("reset");
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(data.slice(0, 10)),
      pull: (controller) => controller.error(cause),
    });
    const source = streamSource(stream, "d");
    for (let i = 0; i < 2; i++) {
      await assert.rejects(take(source, 0, 20), (error) => {
        assert.ok(error instanceof SourceError);
        assert.equal(error.message, "Cannot read d: reset");
        assert.equal(error.cause, cause);
        return true;
      });
    }
  });

  it("streamSource() refuses chunks that are not bytes, and locked streams", async () => {
    const strings = new ReadableStream({ start: (controller) => controller.enqueue("text") });
    await refused(
      take(streamSource(strings), 0, 1),
      /Expected a stream of Uint8Array, got string/,
      SourceError,
    );
    const locked = chunked(data, 7);
    locked.getReader();
    assert.throws(() => streamSource(locked), { name: "SourceError", message: /got a locked one/ });
  });

  it("streamSource() ends a read that waits with the reason of an aborted signal, and cancels the stream", async () => {
    let cancels = 0;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(data.slice(0, 10)),
      cancel: () => {
        cancels++;
      },
    });
    const abort = new AbortController();
    const source = streamSource(stream, "d", undefined, abort.signal);
    await take(source, 0, 10);
    const reason = new Error("enough");
    const waiting = assert.rejects(take(source, 0, 11), (error) => error === reason);
    await new Promise((resolve) => setTimeout(resolve, 1));
    abort.abort(reason);
    await waiting;
    await assert.rejects(take(source, 0, 1), (error) => error === reason);
    assert.equal(cancels, 1);
  });

  it("close() cancels the stream once, ends reads that wait and refuses later ones", async () => {
    let cancels = 0;
    const source = streamSource(
      new ReadableStream<Uint8Array>({
        cancel: () => {
          cancels++;
        },
      }),
      "d",
    );
    const waiting = take(source, 0, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([source.close(), refused(waiting, /^Cannot read d: It was closed$/, SourceError)]);
    await source.close();
    assert.equal(cancels, 1);
    await refused(take(source, 0, 1), /^Cannot read d: It was closed$/, SourceError);
  });
});

describe("urlSource", () => {
  it("urlSource() reads a body of known length", () =>
    serving(
      (response) => response.setHeader("content-length", 1000).end(data),
      async (url) => {
        const source = await urlSource(new URL(url));
        assert.equal(source.name, url);
        assert.equal(source.size, 1000);
        assert.deepEqual(await take(source, 0, 4), data.slice(0, 4));
        assert.deepEqual(await take(source, 10, 990), data.slice(10));
        await source.close();
      },
    ));

  it("urlSource() has no size where the answer gives none", () =>
    serving(
      (response) => {
        response.write(data.subarray(0, 500));
        response.end(data.subarray(500));
      },
      async (url) => {
        const source = await urlSource(url);
        assert.equal(source.size, undefined);
        assert.deepEqual(await take(source, 0, 1000), data);
        await refused(take(source, 1000, 1), /the file ends at 1000/);
        assert.equal(source.size, 1000);
      },
    ));

  it("urlSource() does not take the compressed length for the size", () => {
    const body = gzipSync(new Uint8Array(5000).fill(7));
    return serving(
      (response) => {
        response.setHeader("content-encoding", "gzip").setHeader("content-length", body.length).end(body);
      },
      async (url) => {
        const source = await urlSource(url);
        assert.equal(source.size, undefined);
        assert.deepEqual(await take(source, 4990, 10), new Uint8Array(10).fill(7));
        await refused(take(source, 5000, 1), /the file ends at 5000/);
      },
    );
  });

  it("urlSource() is called no more than the beginning of a long address", async () => {
    const source = await urlSource(`data:,${"x".repeat(5000)}`);
    assert.match(source.name, /^data:,x{190,200}\.\.\.$/);
    assert.deepEqual(await take(source, 4990, 10), new TextEncoder().encode("x".repeat(10)));
    await source.close();
  });

  it("urlSource() names address and status of a refusal", () =>
    serving(
      (response) => {
        response.statusCode = 404;
        response.end("no");
      },
      (url) =>
        refused(
          urlSource(url),
          new RegExp(`^Cannot read ${url}: Expected status 200, got 404 Not Found$`),
          SourceError,
        ),
    ));

  it("urlSource() refuses a web page", () =>
    serving(
      (response) => response.setHeader("content-type", "text/html; charset=utf-8").end("<html>"),
      (url) =>
        refused(
          urlSource(url),
          /Expected a model file, got a web page \(text\/html; charset=utf-8\)/,
          SourceError,
        ),
    ));

  it("urlSource() reports a connection that ends early", () =>
    serving(
      (response) => {
        response.setHeader("content-length", 1000);
        response.write(data.subarray(0, 600), () => response.socket?.end());
      },
      async (url) => {
        const source = await urlSource(url, { http: { retryMs: 1 } });
        await assert.rejects(take(source, 0, 1000), (error) => {
          assert.ok(error instanceof SourceError && !(error instanceof FormatError), String(error));
          assert.ok(error.message.startsWith(`Cannot read ${url}: `), error.message);
          return true;
        });
      },
    ));

  it("urlSource() reports where nothing answers, and what is no address", async () => {
    let free = "";
    await serving(
      () => {},
      async (url) => {
        free = url;
      },
    );
    await refused(urlSource(free), /^Cannot read http:\/\/127\.0\.0\.1:\d+\/m\.gguf: ./, SourceError);
    await refused(urlSource("http://"), /^Cannot read http:\/\/: ./, SourceError);
  });

  it("urlSource() ends with the reason of an aborted signal", () =>
    serving(
      (response) => {
        response.setHeader("content-length", 1000);
        response.write(data.subarray(0, 10));
      },
      async (url) => {
        const abort = new AbortController();
        const source = await urlSource(url, { signal: abort.signal });
        await take(source, 0, 10);
        const reason = new Error("enough");
        const waiting = assert.rejects(take(source, 10, 10), (error) => error === reason);
        abort.abort(reason);
        await waiting;
        await assert.rejects(urlSource(url, { signal: abort.signal }), (error) => error === reason);
      },
    ));
});
