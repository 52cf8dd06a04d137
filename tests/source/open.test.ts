// Where bytes come from, and what happens when they do not come.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { createGunzip, gzipSync } from "node:zlib";
import {
  type ByteSource,
  Llama,
  type LoadOptions,
  SourceError,
  type SourceLike,
  Tokenizer,
  UsageError,
} from "../../src/mod.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { meta, tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { tokenizerBin } from "../support/llama2c_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { chunked, refused } from "../support/refused.ts";
import { fileReply, hostile, type RawReply, type RawRequest, serving } from "../support/server.ts";

const { bytes, dataBegin } = tinyLlamaGguf();
const withoutTokenizer = tinyLlamaGguf({
  metadata: { "tokenizer.ggml.model": meta("string", "none") },
}).bytes;

/** A source over `content` that counts its reads and closings; `read` may stand in for the true reading. */
class Watched implements ByteSource {
  readonly name = "watched";
  size: number | undefined;
  reads = 0;
  closed = 0;
  /** Whether reads take their time. */
  slow = false;
  private underWay = 0;
  private readonly real: ByteSource;
  private readonly spoil: ((read: number, offset: number, target: Uint8Array) => void) | undefined;

  constructor(content: Uint8Array, spoil?: Watched["spoil"]) {
    this.real = bytesSource(content, this.name);
    this.size = content.length;
    this.spoil = spoil;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    assert.equal(this.closed, 0, "nothing is read after the end");
    this.spoil?.(++this.reads, offset, target);
    this.underWay++;
    if (this.slow) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.real.read(offset, target).finally(() => this.underWay--);
  }

  unsized(): this {
    this.size = undefined;
    return this;
  }

  async close(): Promise<void> {
    assert.equal(this.underWay, 0, "no read is under way");
    this.closed++;
  }
}

const load = (source: unknown, options: LoadOptions = {}) =>
  Llama.load(source as Uint8Array, { threads: 1, ...options });

describe("Llama.load() of sources", () => {
  it("refuses what is no source, and says what is one", async () => {
    const expected =
      "a path, URL, Blob, ArrayBuffer, Uint8Array, ReadableStream, AsyncIterable, Request, Response or ByteSource";
    const others: [unknown, string][] = [
      [42, "42"],
      [null, "null"],
      [true, "true"],
      [{}, "an object"],
      [[1, 2], "an array"],
      [{ [Symbol.toStringTag]: "ArrayBuffer", byteLength: 8 }, "an object"],
      [{ [Symbol.asyncIterator]: 1 }, "an object"],
      [() => {}, "a function"],
      ["", "an empty string"],
      [{ name: "x", size: 0 }, "an object"],
      [{ read() {}, size: 0 }, "an object"],
    ];
    for (const [source, got] of others) {
      await refused(
        load(source),
        new RegExp(`^Cannot open a source: Expected ${expected}, got ${got}$`),
        UsageError,
      );
    }
    await refused(load(withoutTokenizer, { tokenizer: 42 as never }), /ByteSource, got 42$/, UsageError);
    await refused(Tokenizer.load(null as never), /ByteSource, got null$/, UsageError);
  });

  it("names a file or address that is none", async () => {
    const here = fileURLToPath(new URL(".", import.meta.url));
    await refused(
      load("no/such/model.gguf"),
      /^Cannot open no\/such\/model\.gguf: no such file$/,
      SourceError,
    );
    // A folder may be a model: tests/format/huggingface.
    for (const folder of [here, here.slice(0, -1), new URL(".", import.meta.url)]) {
      await refused(load(folder), /^Cannot load .*source.: Expected config\.json in it .*, got none$/);
    }
    await refused(
      Tokenizer.load(here),
      /^Cannot open .*source.*: is a directory, expected a file$/,
      SourceError,
    );
    await refused(load("http://"), /^Cannot open "http:\/\/": Expected a valid URL$/, SourceError);
    await refused(load("https://[:::1]/x"), /Expected a valid URL$/, SourceError);
    await refused(
      load("file:///%E0%A4%A"),
      /^Cannot open file:\/\/\/%E0%A4%A: Expected a path whose % escapes are UTF-8$/,
      SourceError,
    );
    await refused(load(new URL("unknown://host/x")), /^Cannot read unknown:\/\/host\/x: ./, SourceError);
  });

  it("reports an answer that is no model", async () => {
    await serving(
      (response, request) => {
        if (request.url === "/page") response.setHeader("content-type", "text/html").end("<html></html>");
        else response.writeHead(404).end("no");
      },
      async (url) => {
        await refused(load(url), /^Cannot read http:.*m\.gguf: Expected status 200, got 404/, SourceError);
        const page = new URL("/page", url);
        await refused(load(page), /Expected a model file, got a web page \(text\/html\)/, SourceError);
        await refused(load(withoutTokenizer, { tokenizer: page }), /got a web page/, SourceError);
      },
    );
    await refused(
      load(`data:,<html>${"x".repeat(1e5)}`),
      /^.{1,300}begins with "<htm" \(a web page\).{1,300}$/,
    );
    await refused(load("data:,"), /^Cannot read data:,: The file is empty$/);
  });

  it("passes on the error of a read that fails, wherever that is, and closes once", async () => {
    const whole = new Watched(bytes, () => {});
    (await load(whole)).dispose();
    assert.ok(whole.reads > 10, "there are enough reads to fail at");
    assert.equal(whole.closed, 1);
    for (const failing of [1, 2, 3, 10, whole.reads]) {
      const error = new SourceError("Cannot read watched: the disk is gone");
      const source = new Watched(bytes, (read) => {
        if (read === failing) throw error;
      });
      await assert.rejects(load(source), (got) => got === error);
      assert.equal(source.closed, 1, `read ${failing}`);
      assert.equal(source.reads, failing, "nothing is read after it");
    }
  });

  it("closes a source once, whatever fails", async () => {
    const fails = async (content: Uint8Array, make: LoadOptions | (() => LoadOptions) = {}) => {
      for (const slow of [false, true]) {
        const source = new Watched(content);
        source.slow = slow;
        const options = typeof make === "function" ? make() : make;
        await assert.rejects(load(source, options), (error) => !(error instanceof assert.AssertionError));
        assert.equal(source.closed, 1);
      }
    };
    await fails(new Uint8Array(0));
    await fails(bytes.slice(0, 1000));
    await fails(bytes, { maxBytes: 1000 });
    await fails(bytes, { contextLength: 1 << 20 });
    const notANumber = bytes.slice();
    notANumber.set([0, 0, 0xc0, 0x7f], dataBegin);
    await fails(notANumber);
    await fails(withoutTokenizer);
    await fails(withoutTokenizer, { tokenizer: new Uint8Array(5) });
    await fails(withoutTokenizer, { tokenizer: "no/such/file" });
    await fails(bytes, () => {
      const abort = new AbortController();
      return { signal: abort.signal, onProgress: () => abort.abort() };
    });
    await fails(bytes, {
      onProgress: () => {
        throw new Error("a caller's own");
      },
    });
    const untouched = new Watched(bytes);
    await assert.rejects(load(untouched, { threads: 0 }), UsageError);
    await assert.rejects(load(untouched, { signal: AbortSignal.abort() }));
    assert.equal(untouched.reads + untouched.closed, 0, "nothing was begun");
  });

  it("closes the tokenizer's source too", async () => {
    const tokenizer = new Watched(tokenizerBin(tinyVocab()));
    (await load(withoutTokenizer, { tokenizer })).dispose();
    assert.equal(tokenizer.closed, 1);
    const bad = new Watched(new Uint8Array(5));
    const model = new Watched(withoutTokenizer);
    await assert.rejects(load(model, { tokenizer: bad }));
    assert.deepEqual([bad.closed, model.closed], [1, 1]);
  });

  it("refuses a source whose size is no size", async () => {
    for (const size of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 2 ** 53, "100", null, 10n]) {
      const source = new Watched(bytes);
      source.size = size as number;
      await refused(
        load(source),
        new RegExp(`^Cannot open watched: Expected a size in bytes, or undefined .*, got ${size}$`),
        UsageError,
      );
      assert.equal(source.reads, 0);
    }
  });

  it("finds out a source that lies about its size", async () => {
    const lying = (size: number | undefined, content: Uint8Array = bytes) => {
      const source = new Watched(content);
      source.size = size;
      return source;
    };
    await refused(load(lying(0)), /^Cannot read watched: The file is empty$/);
    await refused(load(lying(10)), /got 10 bytes, fewer than any header has$/);
    await refused(load(lying(1000)), /the file ends at 1000$/);
    await refused(load(lying(bytes.length - 1)), /the file ends at \d+$/);
    // More than there is: the bytes that are missing are asked for and not had.
    const cut = bytes.slice(0, dataBegin + 5000);
    await refused(load(lying(bytes.length, cut)), new RegExp(`the file ends at ${cut.length}$`));
    await refused(load(lying(2 ** 52, bytes.slice(0, 100))), /the file ends at 100$/);
    // No harm: all that is asked for is there.
    (await load(lying(2 ** 52))).dispose();
    (await load(lying(undefined))).dispose();
  });

  it("takes a stream in pieces of any size, and cancels what is left of it", async () => {
    const expected = await (await load(bytes)).logits([1, 5, 9]);
    for (const chunkBytes of [997, 65536, bytes.length]) {
      let cancels = 0;
      const more = new Uint8Array(bytes.length + 200_000);
      more.set(bytes);
      const stream = chunked(more, chunkBytes, () => {
        cancels++;
      });
      await using llama = await load(stream);
      assert.deepEqual(await llama.logits([1, 5, 9]), expected);
      assert.equal(cancels, 1);
      assert.equal(stream.locked, true);
    }
    const taken = chunked(bytes, 100);
    taken.getReader();
    await refused(load(taken), /^Cannot read stream: Expected a stream that nothing else reads/, SourceError);
  });
});

describe("Llama.load() of everything else that holds bytes", () => {
  const ids = [1, 5, 9];
  const digest = createHash("sha256").update(bytes).digest("hex");
  const file = new Uint8Array(bytes);
  const kinds: [string, () => unknown][] = [
    ["bytes", () => bytes],
    ["a Blob", () => new Blob([file])],
    ["a File", () => new File([file], "m.gguf")],
    ["a stream", () => chunked(bytes, 10_000)],
    ["a Response", () => new Response(file)],
    ["a ByteSource", () => new Watched(bytes)],
    ["an ArrayBuffer", () => file.slice().buffer],
    ["what a Response gives", () => new Response(file).arrayBuffer()],
    ["a SharedArrayBuffer", () => shared().buffer],
    ["bytes of shared memory", () => shared()],
    ["a Buffer", () => Buffer.from(file)],
    ["a DataView", () => new DataView(apart(3).buffer, 3, file.length)],
    ["a Uint32Array", () => new Uint32Array(apart(8).buffer, 8, file.length / 4)],
    ["bytes of another realm", () => runInNewContext("new Uint8Array(source)", { source: [...file] })],
    [
      "an ArrayBuffer of another realm",
      () => runInNewContext("new Uint8Array(source).buffer", { source: [...file] }),
    ],
    ["a file's stream of Node", () => createReadStream(path)],
    ["a stream of Node", () => Readable.from([file.subarray(0, 999), Buffer.from(file.subarray(999))])],
    ["what a stream of Node uncompresses", () => createReadStream(`${path}.gz`).pipe(createGunzip())],
    ["a stream of Node as one of the web", () => Readable.toWeb(createReadStream(path))],
    ["an async generator", () => generate(file)],
    ["a stream of ArrayBuffers", () => chunked(file, 10_000).pipeThrough(toBuffers())],
  ];

  const root = mkdtempSync(join(tmpdir(), "cria-sources-"));
  after(() => rmSync(root, { recursive: true }));
  const path = join(root, "m.gguf");
  writeFileSync(path, file);
  writeFileSync(`${path}.gz`, gzipSync(file));

  function shared(): Uint8Array {
    const memory = new Uint8Array(new SharedArrayBuffer(file.length));
    memory.set(file);
    return memory;
  }

  /** The file behind `offset` other bytes, and before some. */
  function apart(offset: number): Uint8Array<ArrayBuffer> {
    const memory = new Uint8Array(offset + file.length + 100).fill(7);
    memory.set(file, offset);
    return memory;
  }

  async function* generate(content: Uint8Array, onEnd = () => {}): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < content.length; at += 7777) yield content.subarray(at, at + 7777);
    } finally {
      onEnd();
    }
  }

  const toBuffers = () =>
    new TransformStream<Uint8Array, ArrayBuffer>({
      transform: (chunk, controller) => controller.enqueue(chunk.slice().buffer as ArrayBuffer),
    });

  for (const [title, make] of kinds) {
    it(`loads ${title}, and compares a SHA-256`, async () => {
      const expected = await (await load(bytes)).logits(ids);
      for (const sha256 of [undefined, digest, digest.toUpperCase()]) {
        await using llama = await load(await make(), { sha256 });
        assert.deepEqual(await llama.logits(ids), expected);
      }
      await refused(
        load(await make(), { sha256: "5".repeat(64) }),
        new RegExp(`^Cannot load .*: Expected SHA-256 5{64}, got ${digest}$`),
        SourceError,
      );
    });
  }

  it("takes every kind as a tokenizer too", async () => {
    const tokenizer = tokenizerBin(tinyVocab());
    const text = "the hen";
    const expected = (await Tokenizer.load(tokenizer)).encode(text);
    const more: [string, () => SourceLike][] = [
      ["ArrayBuffer", () => new Uint8Array(tokenizer).buffer],
      ["DataView", () => new DataView(new Uint8Array(tokenizer).buffer)],
      ["stream of Node", () => Readable.from([Buffer.from(tokenizer)])],
      ["async generator", () => generate(tokenizer)],
    ];
    for (const [title, make] of more) {
      assert.deepEqual((await Tokenizer.load(make())).encode(text), expected, title);
      await using llama = await load(withoutTokenizer, { tokenizer: make() });
      assert.equal(llama.tokenizer.vocabSize, 300, title);
    }
    assert.ok((await Tokenizer.load(createReadStream(path))).vocabSize > 0, "a model's own");
  });

  it("ends a stream of Node and a generator of which it needs no more", async () => {
    const more = new Uint8Array(file.length + 500_000);
    more.set(file);
    const stream = Readable.from(generate(more));
    (await load(stream)).dispose();
    assert.equal(stream.destroyed, true);
    let ended = false;
    const onEnd = () => {
      ended = true;
    };
    (await load(generate(more, onEnd))).dispose();
    assert.ok(ended);
    await assert.rejects(load(generate(new Uint8Array(10_000), onEnd)));
  });

  it("refuses a stream that was read or closed, is locked, fails or gives no bytes", async () => {
    const wasRead = /^Cannot read .*: Expected a stream that was not read, got one that was$/;
    const read = chunked(file, 1000);
    const reader = read.getReader();
    await reader.read();
    reader.releaseLock();
    await refused(load(read), wasRead, SourceError);
    const consumed = createReadStream(path);
    for await (const _ of consumed);
    await refused(load(consumed), wasRead, SourceError);
    const begun = Readable.from([file.subarray(0, 10), file.subarray(10)]);
    for await (const _ of begun) break;
    await refused(load(begun), wasRead, SourceError);
    const closed = createReadStream(path);
    closed.destroy();
    await refused(load(closed), wasRead, SourceError);
    await refused(load(createReadStream(join(root, "no"))), /^Cannot read .*no: ENOENT/, SourceError);
    const failed = createReadStream(join(root, "no"));
    await new Promise((resolve) => failed.on("error", resolve));
    await refused(load(failed), /^Cannot read .*no: ENOENT/, SourceError);
    const failing = async function* () {
      yield file.subarray(0, 1000);
      throw new Error("the disk is gone");
    };
    await refused(load(failing()), /^Cannot read stream: the disk is gone$/, SourceError);
    await refused(
      load(createReadStream(path, { encoding: "latin1" })),
      /^Cannot read .*m\.gguf: Expected a stream of Uint8Array, got string; read it without an encoding$/,
      SourceError,
    );
    await refused(
      load(Readable.from([{ a: 1 }])),
      /Expected a stream of Uint8Array, got object$/,
      SourceError,
    );
    const sent = new ArrayBuffer(8);
    structuredClone(sent, { transfer: [sent] });
    for (const source of [sent]) {
      await refused(load(source), /Expected an ArrayBuffer, got one that was transferred$/, SourceError);
    }
    const view = new Uint8Array(8);
    structuredClone(view.buffer, { transfer: [view.buffer] });
    await refused(load(view), /Expected an ArrayBuffer, got one that was transferred$/, SourceError);
  });

  it("ends a stream of Node or a generator that stalls when it is aborted", async () => {
    const stalled = () =>
      new Readable({
        read() {
          if (this.listenerCount("x") === 0) this.push(bytes.slice(0, dataBegin + 100));
          this.on("x", () => {});
        },
      });
    const waiting = async function* () {
      yield bytes.slice(0, dataBegin + 100);
      await new Promise(() => {});
    };
    const stream = stalled();
    for (const source of [stream, waiting()]) {
      const abort = new AbortController();
      const reason = new Error("enough");
      const loading = assert.rejects(load(source, { signal: abort.signal }), (error) => error === reason);
      setTimeout(() => abort.abort(reason), 20);
      await loading;
    }
    assert.equal(stream.destroyed, true);
  });

  it("does not make a text of bytes, which is longer than any text may be", async () => {
    const content = Object.assign(new Uint8Array(withoutTokenizer), {
      toString() {
        throw new Error("as a text");
      },
    });
    (await load(content, { tokenizer: tokenizerBin(tinyVocab()) })).dispose();
  });

  it("loads a Request, and closes what has the wrong SHA-256", async () => {
    await serving(
      (response) => response.end(bytes),
      async (url) => {
        await using llama = await load(new Request(url), { sha256: digest });
        assert.equal((await llama.logits(ids)).length, 300);
      },
    );
    const source = new Watched(bytes);
    await assert.rejects(load(source, { sha256: "5".repeat(64) }), SourceError);
    assert.equal(source.closed, 1);
    await refused(
      load(new Watched(bytes).unsized(), { sha256: digest }),
      /Expected a source of known size$/,
      UsageError,
    );
  });

  it("compares the SHA-256 of a file on disk", async () => {
    const path = fileURLToPath(import.meta.url);
    await refused(
      load(path, { sha256: "5".repeat(64) }),
      /open\.test\.ts: Expected SHA-256 5{64}, got/,
      SourceError,
    );
  });

  it("refuses a Response that was read, a failure, and requests that send something", async () => {
    const used = new Response(file);
    await used.arrayBuffer();
    await refused(load(used), /Expected a response whose body was not read, got one that was$/, SourceError);
    await refused(
      load(new Response("no", { status: 403 })),
      /^Cannot read response: Expected status 200, got 403/,
      SourceError,
    );
    await refused(
      load(new Request("http://127.0.0.1:1/", { method: "POST" })),
      /Expected a GET request, got POST/,
      UsageError,
    );
  });

  it("ends the comparison of a SHA-256 when it is aborted", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const source = new Watched(new Uint8Array(64 << 20));
    const loading = assert.rejects(
      load(source, { sha256: digest, signal: abort.signal }),
      (error) => error === reason,
    );
    setTimeout(() => abort.abort(reason), 1);
    await loading;
    assert.ok(source.reads < 64);
    assert.equal(source.closed, 1);
  });
});

describe("Llama.load() of hf: names", () => {
  /** Runs `body` while the hub is a server of this machine. */
  async function withHub(
    answer: (request: RawRequest) => RawReply,
    body: (requests: readonly RawRequest[]) => Promise<void>,
  ): Promise<void> {
    const { fetch } = globalThis;
    await hostile(answer, async (url, requests) => {
      const local = (input: unknown, init?: RequestInit) =>
        fetch(String(input).replace("https://huggingface.co", new URL(url).origin), init);
      globalThis.fetch = local as typeof fetch;
      try {
        await body(requests);
      } finally {
        globalThis.fetch = fetch;
      }
    });
  }

  it("asks the hub for the file, at a revision and in folders too", () =>
    withHub(
      (request) => fileReply(bytes, request),
      async (requests) => {
        const options = { cache: false };
        for (const name of [
          "hf:owner/repo/m.gguf",
          "hf:owner/repo@v1.0/m.gguf",
          "hf:owner/repo@refs%2Fpr%2F1/m.gguf",
          "hf://owner/repo/a/b c/m.gguf",
          new URL("hf:owner/repo/m.gguf"),
        ]) {
          (await load(name, options)).dispose();
        }
        assert.deepEqual(
          requests.map(({ path }) => path),
          [
            "/owner/repo/resolve/main/m.gguf",
            "/owner/repo/resolve/v1.0/m.gguf",
            "/owner/repo/resolve/refs%2Fpr%2F1/m.gguf",
            "/owner/repo/resolve/main/a/b%20c/m.gguf",
            "/owner/repo/resolve/main/m.gguf",
          ],
        );
      },
    ));

  it("says what to do where the hub refuses", async () => {
    for (const status of [401, 403]) {
      await withHub(
        () => ({ status }),
        () =>
          refused(
            load("hf:owner/repo/m.gguf", { cache: false }),
            /got 40[13] .*; there is no repository owner\/repo, or it is private or gated: accept its terms at https:\/\/huggingface\.co\/owner\/repo and set HF_TOKEN, or pass http: \{ headers: \{ authorization: "Bearer hf_\.\.\." \} \}$/,
            SourceError,
          ),
      );
    }
    await withHub(
      () => ({ status: 404 }),
      () =>
        refused(
          load("hf:owner/repo/m.gguf", { cache: false }),
          /^Cannot read https:\/\/huggingface\.co\/owner\/repo\/resolve\/main\/m\.gguf: .*404.*; the repository has no such file or revision$/,
          SourceError,
        ),
    );
  });

  it("refuses what is no name of a file there", async () => {
    for (const name of [
      "hf:",
      "hf:owner",
      "hf:/repo/m.gguf",
      "hf:owner//m.gguf",
      "hf:owner/repo@/m.gguf",
      "hf:owner/repo/../other/m.gguf",
      "hf:owner/repo/%2e%2e/m.gguf",
      "hf:owner/repo/%zz",
      "hf:own er/repo/m.gguf",
      "hf:owner/re:po/m.gguf",
      "hf:../repo/m.gguf",
      "hf:owner/repo//m.gguf",
    ]) {
      await refused(
        load(name),
        /^Cannot open "hf:.*": Expected (hf:owner\/repo, hf:owner\/repo:TYPE, )?hf:owner\/repo\/file or hf:owner\/repo@revision\/file/,
        UsageError,
      );
    }
  });
});

describe("Llama.load() that is aborted", () => {
  const reason = new Error("no longer wanted");

  /** Sends the beginning of a body of known length and then nothing; `closed` comes when the client goes. */
  function stall(response: ServerResponse, content: Uint8Array, n: number): Promise<void> {
    response.setHeader("content-length", content.length);
    if (n > 0) response.write(content.subarray(0, n));
    return new Promise((resolve) => response.on("close", resolve));
  }

  const begins: [string, number][] = [
    ["before the answer", -1],
    ["in the header", 3000],
    ["in the weights", dataBegin + 30_000],
  ];
  for (const [where, n] of begins) {
    it(`ends a download that stalls ${where}, and the connection`, async () => {
      let closed: Promise<void> | undefined;
      let asked = () => {};
      const request = new Promise<void>((resolve) => {
        asked = resolve;
      });
      await serving(
        (response) => {
          closed =
            n < 0 ? new Promise((resolve) => response.on("close", resolve)) : stall(response, bytes, n);
          asked();
        },
        async (url) => {
          const abort = new AbortController();
          const made = await memoriesOf(async () => {
            const loading = assert.rejects(load(url, { signal: abort.signal }), (error) => error === reason);
            await request;
            await new Promise((resolve) => setTimeout(resolve, 20));
            abort.abort(reason);
            await loading;
          });
          await closed;
          if (n < dataBegin) assert.ok(made.every((size) => size === 65536));
        },
      );
    });
  }

  it("ends a stream that stalls, and cancels it", async () => {
    let cancelled: unknown;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes.slice(0, dataBegin + 100)),
      cancel: (why) => {
        cancelled = why ?? "cancelled";
      },
    });
    const abort = new AbortController();
    const loading = assert.rejects(load(stream, { signal: abort.signal }), (error) => error === reason);
    await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort(reason);
    await loading;
    assert.ok(cancelled);
  });

  it("ends the download of a tokenizer", () =>
    serving(
      (response) => void stall(response, tokenizerBin(tinyVocab()), 100),
      async (url) => {
        const abort = new AbortController();
        const loading = load(withoutTokenizer, { tokenizer: url, signal: abort.signal });
        const rejected = assert.rejects(loading, (error) => error === reason);
        setTimeout(() => abort.abort(reason), 20);
        await rejected;
      },
    ));

  it("does nothing when the signal was aborted before, or comes after the end", async () => {
    const early = Llama.load("no/such/file", { signal: AbortSignal.abort(reason) });
    await assert.rejects(early, (error) => error === reason);
    const abort = new AbortController();
    await using llama = await load(chunked(bytes, 1 << 16), { signal: abort.signal });
    abort.abort(reason);
    assert.equal((await llama.logits([1])).length, 300);
  });
});
