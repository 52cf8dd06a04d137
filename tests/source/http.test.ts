// What a server may do to whoever reads a file from it: each is survived or refused with a reason.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import type { ByteSource } from "../../src/source/byte_source.ts";
import { readAnswer, retryAfterMs } from "../../src/source/http/http_answer.ts";
import type { UrlOptions } from "../../src/source/http/http_options.ts";
import { responseSource, urlSource } from "../../src/source/http.ts";
import { SourceError, UsageError } from "../../src/util/errors.ts";
import { chunked, refused } from "../support/refused.ts";
import { fileReply, hostile, type RawReply, type RawRequest, serving } from "../support/server.ts";

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

function same(got: Uint8Array, expected: Uint8Array): void {
  assert.ok(Buffer.from(got).equals(Buffer.from(expected)), "other bytes than the file's");
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const data = pattern(300_000);
const half = 150_000;
const quick = { retryMs: 1 };

/** Reads the whole of what a server sends. */
async function fetchAll(url: string, options: UrlOptions = {}): Promise<Uint8Array> {
  const source = await urlSource(url, { ...options, http: { ...quick, ...options.http } });
  try {
    const bytes = await take(source, 0, source.size ?? data.length);
    await source.finish?.();
    return bytes;
  } finally {
    await source.close();
  }
}

/**
 * Serves half of the file, loses the connection after a part of that was read, and then answers as `later` says; what
 * comes of the rest is `rest`.
 */
async function brokenOff(
  first: RawReply,
  later: (request: RawRequest) => RawReply,
  rest: (reading: Promise<Uint8Array>, requests: readonly RawRequest[]) => Promise<void>,
  options: UrlOptions = {},
): Promise<void> {
  let lose = () => {};
  const when = new Promise<void>((resolve) => {
    lose = resolve;
  });
  await hostile(
    (request) => (request.n === 0 ? { ...first, cut: half, when } : later(request)),
    async (url, requests) => {
      const source = await urlSource(url, { ...options, http: quick });
      same(await take(source, 0, 1000), data.subarray(0, 1000));
      lose();
      await rest(take(source, 0, data.length), requests);
      await source.close();
    },
  );
}

const start: RawRequest = { n: 0, path: "", headers: new Map(), first: 0 };

/** The true answer, but for some headers or the status. */
function changed(request: RawRequest, headers: RawReply["headers"], more: RawReply = {}): RawReply {
  const reply = fileReply(data, request);
  return { ...reply, ...more, headers: { ...reply.headers, ...headers } };
}

describe("urlSource() of a server with ranges", () => {
  it("urlSource() asks once, for the whole, uncompressed", () =>
    hostile(
      (request) => fileReply(data, request),
      async (url, requests) => {
        same(await fetchAll(url), data);
        assert.equal(requests.length, 1);
        assert.equal(requests[0]?.headers.get("range"), "bytes=0-");
        assert.match(requests[0]?.headers.get("accept-encoding") ?? "", /^identity(, *identity)?$/);
      },
    ));

  it("urlSource() resumes a lost connection", () =>
    hostile(
      (request) => ({ ...fileReply(data, request), ...(request.n < 3 && { cut: 80_000 }) }),
      async (url, requests) => {
        same(await fetchAll(url), data);
        assert.equal(requests.length, 4);
        const begins = requests.map(({ first }) => first ?? -1);
        assert.deepEqual(
          begins,
          begins.toSorted((a, b) => a - b),
        );
        assert.ok(begins.every((begin) => begin >= 0 && begin <= 240_000));
      },
    ));

  it("urlSource() survives connections that are lost anywhere", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 100_000 }),
        async (cuts, step) => {
          await hostile(
            (request) => {
              const cut = cuts[request.n];
              if (cut === 0) return "drop";
              return { ...fileReply(data, request), ...(cut !== undefined && { cut }) };
            },
            async (url) => {
              // The first answer must come within three attempts, or nothing is known of the server.
              const source = await urlSource(url, { http: { retryMs: 0, retries: 20 } }).catch((error) => {
                assert.ok(error instanceof SourceError && cuts.slice(0, 3).every((cut) => cut === 0));
              });
              if (!source) return;
              for (let at = 0; at < data.length; at += step) {
                const n = Math.min(step, data.length - at);
                same(await take(source, at, n), data.subarray(at, at + n));
              }
              await source.close();
            },
          );
        },
      ),
      { numRuns: 25 },
    ));

  it("urlSource() gives up after so many attempts without progress, and says where", () =>
    hostile(
      (request) => (request.n === 0 ? changed(request, {}, { cut: half }) : "drop"),
      async (url, requests) => {
        const source = await urlSource(url, { http: { retries: 3, retryMs: 1 } });
        await refused(
          take(source, 0, data.length),
          /^Cannot read http:.*m\.gguf: .*; 3 new attempts failed$/s,
          SourceError,
        );
        assert.equal(requests.length, 4);
        // The error stays.
        await refused(take(source, 0, data.length), /new attempts failed/, SourceError);
        await source.close();
      },
    ));

  it("urlSource() reads anywhere, and short steps ahead without a new request", () => {
    const large = pattern(6 << 20);
    return hostile(
      (request) => fileReply(large, request),
      async (url, requests) => {
        const source = await urlSource(url);
        for (const offset of [5 << 20, 0, (5 << 20) + 1000, 3 << 20]) {
          same(await take(source, offset, 5000), large.subarray(offset, offset + 5000));
        }
        assert.deepEqual(
          requests.map(({ first }) => first),
          [0, 5 << 20, 0, (5 << 20) + 1000, 3 << 20],
        );
        same(
          await take(source, (3 << 20) + 500_000, 5000),
          large.subarray((3 << 20) + 500_000).subarray(0, 5000),
        );
        assert.equal(requests.length, 5);
        await source.close();
      },
    );
  });

  it("urlSource() takes ranges that are shorter than asked for", () =>
    hostile(
      (request) => {
        const first = request.first ?? 0;
        const last = Math.min(first + 99_999, data.length - 1);
        return {
          status: 206,
          headers: { etag: "x", "content-range": `bytes ${first}-${last}/${data.length}` },
          body: data.subarray(first, last + 1),
        };
      },
      async (url, requests) => {
        same(await fetchAll(url, { http: { retries: 0 } }), data);
        assert.equal(requests.length, 3);
      },
    ));

  it("urlSource() does not go on for ever with ranges of a byte", () =>
    hostile(
      (request) => {
        const first = request.first ?? 0;
        const range = `bytes ${first}-${first}/${data.length}`;
        return {
          status: 206,
          headers: { etag: "x", "content-range": range },
          body: data.subarray(first, first + 1),
        };
      },
      async (url, requests) => {
        await refused(fetchAll(url), /the range ended.*5 new attempts failed/, SourceError);
        assert.equal(requests.length, 6);
      },
    ));

  it("urlSource() takes an empty file", () =>
    hostile(
      (request) => fileReply(new Uint8Array(0), request),
      async (url) => {
        const source = await urlSource(url);
        assert.equal(source.size, 0);
        await refused(take(source, 0, 1), /the file ends at 0$/);
      },
    ));

  const lies: [string, RawReply["headers"], RegExp][] = [
    [
      "no numbers in it",
      { "content-range": "bytes */300000" },
      /Expected Content-Range: bytes FIRST-LAST\/SIZE/,
    ],
    [
      "no size in it",
      { "content-range": "bytes 0-299999/*" },
      /Expected Content-Range: bytes FIRST-LAST\/SIZE/,
    ],
    [
      "another beginning",
      { "content-range": "bytes 1-299999/300000" },
      /Content-Length 299999 .*, got 300000/,
    ],
    [
      "a huge number",
      { "content-range": "bytes 0-9999999999999999999/1" },
      /Expected Content-Range: bytes FIRST/,
    ],
    [
      "an end past the file",
      { "content-range": "bytes 0-299999/299999" },
      /Expected a Content-Range within the file/,
    ],
    [
      "an end before its beginning",
      { "content-range": "bytes 5-4/300000" },
      /Expected a Content-Range within the/,
    ],
    [
      "another length",
      { "content-range": "bytes 0-299998/300000" },
      /Expected Content-Length 299999 .*, got 300000/,
    ],
  ];
  for (const [title, headers, message] of lies) {
    it(`urlSource() asks for the whole after a Content-Range with ${title}, and refuses that in its place`, async () => {
      await hostile(
        (request) => (request.first === undefined ? fileReply(data, request) : changed(request, headers)),
        async (url, requests) => {
          same(await fetchAll(url), data);
          assert.deepEqual(
            requests.map(({ first }) => first),
            [0, undefined],
          );
        },
      );
      await hostile(
        () => changed(start, headers),
        async (url, requests) => {
          await refused(fetchAll(url), message, SourceError);
          assert.equal(requests.length, 2);
        },
      );
    });
  }

  it("urlSource() refuses bytes from another place than asked for, without a length too", async () => {
    const headers = { "content-range": "bytes 7-299999/300000", "content-length": undefined };
    await hostile(
      () => changed(start, headers),
      (url) => refused(fetchAll(url), /Expected bytes from 0 on, got bytes from 7 on$/, SourceError),
    );
    await hostile(
      (request) => (request.first === undefined ? fileReply(data, request) : changed(request, headers)),
      async (url) => same(await fetchAll(url), data),
    );
  });

  it("urlSource() asks plainly where the ranges cannot be used", async () => {
    const gzipped = gzipSync(data);
    const first: RawReply["headers"][] = [{ "content-range": undefined }, { "content-encoding": "gzip" }];
    for (const headers of first) {
      await hostile(
        (request) =>
          request.first === undefined
            ? fileReply(data, request)
            : changed(request, headers, { body: gzipped }),
        async (url, requests) => {
          same(await fetchAll(url), data);
          assert.deepEqual(
            requests.map((request) => request.first),
            [0, undefined],
          );
        },
      );
    }
    // Compressed all the same: the runtime asks again in its own way, and undoes it.
    await hostile(
      () => ({ headers: { etag: '"v1"', "content-encoding": "gzip" }, body: gzipped }),
      async (url, requests) => {
        const source = await urlSource(url);
        assert.equal(source.size, undefined);
        same(await take(source, 0, data.length), data);
        assert.equal(requests.length, 2);
        await source.close();
      },
    );
    await hostile(
      (request) => (request.first === undefined ? fileReply(data, request) : { status: 416 }),
      async (url) => same(await fetchAll(url), data),
    );
  });
});

describe("urlSource() of a server whose ranges fail", () => {
  const none = undefined;
  const gzipped = gzipSync(data);
  const range = ({ first = 0 }: RawRequest) => `bytes ${first}-299999/300000`;
  /** What the server does with a request for a range; asked for the whole, it gives that. */
  const failures: [string, (request: RawRequest) => RawReply | "drop"][] = [
    ...[204, 304, 400, 401, 403, 404, 405, 406, 410, 412, 416, 451, 500, 501, 503, 505, 520, 599].map(
      (status) => [`status ${status}`, () => ({ status })] as [string, () => RawReply],
    ),
    ["no answer", () => "drop"],
    ["an answer of no bytes", (request) => changed(request, {}, { cut: 0 })],
    ["no Content-Range", (request) => changed(request, { "content-range": none })],
    ["another unit", (request) => changed(request, { "content-range": "items 0-1/2" })],
    ["another size", (request) => changed(request, { "content-range": `${range(request)}1` })],
    ["no size", (request) => changed(request, { "content-range": range(request).replace("300000", "*") })],
    [
      "a later beginning",
      ({ first = 0, ...request }) => fileReply(data, { ...request, first: Math.min(first + 9, 299_999) }),
    ],
    ["another length", (request) => changed(request, { "content-length": 10 })],
    ["several ranges", (request) => changed(request, { "content-type": "multipart/byteranges; boundary=x" })],
    ["compression", (request) => changed(request, { "content-encoding": "gzip" }, { body: gzipped })],
    ["a compressed whole", () => ({ headers: { etag: '"v1"', "content-encoding": "gzip" }, body: gzipped })],
    ["a web page", () => ({ headers: { "content-type": "text/html" }, body: gzipped })],
    ["a page as a range", (request) => changed(request, { "content-type": "text/html" })],
  ];
  const http = { retryMs: 0, retries: 2 };

  // A size that is another from the beginning is the size.
  for (const [title, fail] of failures.filter(([title]) => title !== "another size")) {
    it(`urlSource() asks for the whole where a range gives ${title}`, async () => {
      const answer = (request: RawRequest) =>
        request.first === undefined ? fileReply(data, request) : fail(request);
      await hostile(answer, async (url, requests) => {
        same(await fetchAll(url, { http }), data);
        assert.ok(requests.length <= 3);
        assert.equal(requests.at(-1)?.first, undefined);
      });
    });
  }

  for (const [title, fail] of failures) {
    it(`urlSource() skips what it has where a later range gives ${title}`, async () => {
      // Ranges that were offered, and one that worked.
      for (const first of [fileReply(data, { ...start, first: undefined }), fileReply(data, start)]) {
        await hostile(
          (request) => {
            if (request.n === 0) return { ...first, cut: half };
            return request.first === undefined ? fileReply(data, request) : fail(request);
          },
          async (url, requests) => {
            same(await fetchAll(url, { http: { ...http, retries: 3 } }), data);
            assert.ok(requests.length <= 4, `${requests.length} requests`);
          },
        );
      }
    });
  }

  it("urlSource() asks for the whole where ranges are refused and no retries are allowed", () =>
    hostile(
      (request) => (request.first === undefined ? fileReply(data, request) : { status: 500 }),
      async (url) => same(await fetchAll(url, { http: { retries: 0 } }), data),
    ));

  it("urlSource() resumes in the whole file if that comes in place of a range, and in a range that begins earlier", async () => {
    const later: [string, (request: RawRequest) => RawReply][] = [
      ["whole", () => ({ headers: { etag: '"v1"', "accept-ranges": "bytes" }, body: data })],
      ["before", (request) => fileReply(data, { ...request, first: (request.first ?? 0) - 50 })],
      ["no size", (request) => changed(request, { "content-range": range(request).replace("300000", "*") })],
      ["only Last-Modified", (request) => changed(request, { etag: none, "last-modified": "now" })],
    ];
    for (const [title, reply] of later) {
      const first = changed(start, { "last-modified": "now" });
      await brokenOff(first, reply, async (reading, requests) => {
        same(await reading, data);
        assert.equal(requests.length, 2, title);
      });
    }
  });

  it("urlSource() asks for the whole where a range ends before the bytes that were asked for", () => {
    let lose = () => {};
    const read = new Promise<void>((resolve) => {
      lose = resolve;
    });
    return hostile(
      (request) => {
        if (request.n === 0) return { ...fileReply(data, request), cut: half, when: read };
        if (request.first === undefined) return fileReply(data, request);
        const headers = { etag: '"v1"', "content-range": "bytes 0-9/300000" };
        return { status: 206, headers, body: data.subarray(0, 10) };
      },
      async (url, requests) => {
        const source = await urlSource(url, { http: quick });
        await take(source, 0, 1000);
        lose();
        same(await take(source, 0, data.length), data);
        assert.equal(requests.length, 3);
        await source.close();
      },
    );
  });

  // What was sent must have arrived before the connection is cut, on a busy machine too.
  it("urlSource() takes ranges that always begin before, however often the connection is lost", () =>
    hostile(
      (request) => ({
        ...fileReply(data, { ...request, first: Math.max(0, (request.first ?? 0) - 10) }),
        ...(request.n < 3 && { cut: 80_000, when: new Promise((resolve) => setTimeout(resolve, 400)) }),
      }),
      async (url) => same(await fetchAll(url, { http: { retries: 1 } }), data),
    ));

  it("urlSource() reads on anywhere after its ranges are refused", () => {
    const large = pattern(6 << 20);
    return hostile(
      (request) =>
        request.n > 0 && request.first !== undefined ? { status: 403 } : fileReply(large, request),
      async (url, requests) => {
        const source = await urlSource(url, { http: quick });
        for (const offset of [5 << 20, 0, (5 << 20) + 1000, 3 << 20]) {
          same(await take(source, offset, 5000), large.subarray(offset, offset + 5000));
        }
        // Back to the beginning, forward in what comes anyway, and back again.
        assert.deepEqual(
          requests.map(({ first }) => first),
          [0, 5 << 20, undefined, undefined, undefined],
        );
        await source.close();
      },
    );
  });

  it("urlSource() compares a whole that begins anew with the SHA-256, where no version tells", async () => {
    const answer = (request: RawRequest) =>
      request.n > 0 && request.first !== undefined
        ? { status: 403 }
        : changed(request, { etag: undefined }, request.n === 0 ? { cut: half } : {});
    await hostile(answer, async (url) => same(await fetchAll(url, { sha256: digest(data) }), data));
    await hostile(answer, (url) =>
      refused(fetchAll(url, { sha256: "0".repeat(64) }), /Expected SHA-256 0{64}, got/, SourceError),
    );
  });

  it("urlSource() begins again at the address itself where that of a redirect has expired", () =>
    hostile(
      (request) => (request.n === 0 ? changed(request, {}, { cut: half }) : { status: 403 }),
      (expired) =>
        hostile(
          (request) => fileReply(data, request),
          (fresh, asked) =>
            hostile(
              ({ n }) => ({ status: 302, headers: { location: n < 2 ? expired : fresh } }),
              async (url) => {
                same(await fetchAll(url), data);
                assert.equal(asked.length, 1);
              },
            ),
        ),
    ));
});

describe("urlSource() of a file that changes while it is read", () => {
  const later: [string, (request: RawRequest) => RawReply, RegExp][] = [
    [
      "to another version",
      (request) => fileReply(data, request, '"v2"'),
      /The file changed while it was read: Expected version "v1", got "v2"; load it again$/,
    ],
    [
      "to a version without a name",
      (request) => changed(request, { etag: undefined }),
      /Expected version "v1", got none; load it again$/,
    ],
    [
      "to another size",
      (request) => {
        const longer = `bytes ${request.first}-299999/300001`;
        if (request.first !== undefined) return changed(request, { "content-range": longer });
        return { headers: { etag: '"v1"' }, body: pattern(300_001) };
      },
      /The file changed while it was read: Expected 300000 bytes, got 300001; load it again$/,
    ],
    [
      "to a shorter one",
      () => ({ status: 416, headers: { "content-range": "bytes */10" } }),
      /Expected 300000 bytes, the file ends at \d+ or before$/,
    ],
    [
      "to a web page",
      () => ({ headers: { "content-type": "text/html" }, body: new TextEncoder().encode("<html>") }),
      /Expected a model file, got a web page \(text\/html\)/,
    ],
    ["to nothing", () => ({ status: 404 }), /Expected status 200, got 404/],
    [
      "behind a refusal of ranges",
      (request) => (request.first === undefined ? fileReply(data, request, '"v2"') : { status: 403 }),
      /The file changed while it was read: Expected version "v1", got "v2"; load it again$/,
    ],
    [
      "behind a refusal of ranges, to one without a name",
      (request) => (request.first === undefined ? changed(request, { etag: undefined }) : { status: 403 }),
      /The file changed while it was read: Expected version "v1", got none; load it again$/,
    ],
    [
      "into the whole of another version",
      () => ({ headers: { etag: 'W/"v1"' }, body: data }),
      /Expected version "v1", got W\/"v1"; load it again$/,
    ],
  ];
  for (const [title, reply, message] of later) {
    it(`urlSource() notices a file that changes ${title}`, () =>
      brokenOff(fileReply(data, start), reply, (reading) => refused(reading, message, SourceError)));
  }

  it("urlSource() tells versions apart by Last-Modified too", () =>
    hostile(
      (request) =>
        changed(
          request,
          { etag: undefined, "last-modified": `Tue, 01 Dec 2026 00:00:0${request.n} GMT` },
          request.n === 0 ? { cut: half } : {},
        ),
      (url) =>
        refused(
          fetchAll(url),
          /changed while it was read: Expected version Tue.*:00 GMT, got Tue.*:01 GMT/,
          SourceError,
        ),
    ));

  it("urlSource() does not go on where the server names no version, unless a SHA-256 tells", async () => {
    const answer = (request: RawRequest) => changed(request, { etag: undefined });
    await brokenOff(answer(start), answer, (reading) =>
      refused(
        reading,
        /lost after \d+ of 300000 bytes .* cannot be resumed there: the server names no version/,
        SourceError,
      ),
    );
    const sha256 = digest(data);
    await brokenOff(answer(start), answer, async (reading) => same(await reading, data), { sha256 });
  });
});

describe("urlSource() of a server without ranges", () => {
  const whole: RawReply = { headers: { etag: '"v1"' }, body: data };

  it("urlSource() reads forward only", () => {
    const large = pattern(3 << 20);
    return hostile(
      () => ({ body: large }),
      async (url, requests) => {
        const source = await urlSource(url);
        assert.equal(source.size, large.length);
        same(await take(source, 2 << 20, 5000), large.subarray(2 << 20, (2 << 20) + 5000));
        await refused(
          take(source, 0, 10),
          /Expected an offset of at least .* a stream is read forward only/,
          SourceError,
        );
        assert.equal(requests.length, 1);
        await source.close();
      },
    );
  });

  it("urlSource() begins anew where nothing had come, and fails where something had", async () => {
    await hostile(
      (request) => ({ ...whole, ...(request.n < 2 && { cut: 0 }) }),
      async (url, requests) => {
        same(await fetchAll(url), data);
        assert.equal(requests.length, 3);
      },
    );
    const unnamed: RawReply = { body: data };
    await brokenOff(
      unnamed,
      () => unnamed,
      async (reading, requests) => {
        const message =
          /lost after \d+ of 300000 bytes .* cannot be resumed there: the server gives no ranges$/;
        await refused(reading, message, SourceError);
        assert.equal(requests.length, 1);
      },
    );
  });

  it("urlSource() begins anew and skips what it has, where the version says that it is the same", async () => {
    const size = data.length.toString(16);
    const inChunks = {
      headers: {
        ...whole.headers,
        connection: "keep-alive",
        "content-length": undefined,
        "transfer-encoding": "chunked",
      },
      body: Buffer.concat([Buffer.from(`${size}\r\n`), data, Buffer.from("\r\n0\r\n\r\n")]),
    };
    for (const reply of [whole, inChunks]) {
      await brokenOff(
        reply,
        () => reply,
        async (reading, requests) => {
          same(await reading, data);
          assert.deepEqual(
            requests.map(({ first }) => first),
            [0, undefined],
          );
        },
      );
    }
    await brokenOff(
      whole,
      () => ({ ...whole, headers: { etag: '"v2"' } }),
      (reading) => refused(reading, /The file changed while it was read/, SourceError),
    );
  });

  it("urlSource() does not begin anew for ever", () =>
    hostile(
      // Always a little more than the time before: it never comes to an end of its own.
      ({ n }) => ({
        ...whole,
        cut: 70_000 * (n + 1),
        when: new Promise((resolve) => setTimeout(resolve, 50)),
      }),
      async (url, requests) => {
        await refused(
          fetchAll(url, { http: { retries: 2 } }),
          /the server begins anew each time, and did so 3 times$/,
          SourceError,
        );
        assert.equal(requests.length, 4);
      },
    ));

  it("urlSource() resumes if the server says that it could give ranges, and does", () =>
    hostile(
      (request) =>
        request.n === 0
          ? { headers: { etag: '"v1"', "accept-ranges": "bytes" }, body: data, cut: half }
          : fileReply(data, request),
      async (url) => same(await fetchAll(url), data),
    ));

  it("urlSource() never takes a file for whole that is shorter than its length", () =>
    hostile(
      () => ({ headers: { "content-length": data.length + 1 }, body: data }),
      async (url) => {
        const source = await urlSource(url, { http: quick });
        assert.equal(source.size, data.length + 1);
        await refused(take(source, 0, data.length + 1), /^Cannot read http/, SourceError);
        await source.close();
      },
    ));

  it("urlSource() ends at the length that was promised, whatever follows", () =>
    hostile(
      () => ({ headers: { "content-length": 1000 }, body: data, endless: true }),
      async (url) => {
        const source = await urlSource(url);
        assert.equal(source.size, 1000);
        same(await take(source, 0, 1000), data.subarray(0, 1000));
        await refused(take(source, 1000, 1), /the file ends at 1000$/);
        await source.close();
      },
    ));

  it("urlSource() reads an endless body only as far as it is asked for", () =>
    hostile(
      () => ({ headers: { "content-length": undefined }, body: data, endless: true }),
      async (url) => {
        const source = await urlSource(url);
        assert.equal(source.size, undefined);
        same(await take(source, 300_000, 300_000), data);
        await source.close();
      },
    ));
});

describe("urlSource() of a server that does not answer", () => {
  it("urlSource() retries a server that is busy, and waits as long as it says", async () => {
    for (const status of [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]) {
      await hostile(
        (request) => (request.n < 2 ? { status, headers: { "retry-after": "0" } } : fileReply(data, request)),
        async (url, requests) => {
          same(await fetchAll(url), data);
          assert.equal(requests.length, 3);
        },
      );
    }
    await hostile(
      () => ({ status: 503 }),
      async (url, requests) => {
        await refused(fetchAll(url), /^Cannot read http:.*: Expected status 200, got 503/, SourceError);
        assert.equal(requests.length, 3);
      },
    );
    await hostile(
      () => ({ status: 429, headers: { "retry-after": "86400" } }),
      async (url, requests) => {
        await refused(fetchAll(url), /got 429 .*it asks to come back in 86400 s$/, SourceError);
        assert.equal(requests.length, 1);
      },
    );
  });

  it("urlSource() says what a refusal is about, and asks once more, for the whole", async () => {
    for (const [status, message] of [
      [401, /Expected status 200, got 401 .*; if it needs a token, pass it: http: \{ headers/],
      [403, /Expected status 200, got 403 .*; if it needs a token, pass it/],
      [404, /Expected status 200, got 404 [\w ]+$/],
      [501, /Expected status 200, got 501/],
      [204, /Expected status 200, got 204/],
    ] as const) {
      await hostile(
        () => ({ status }),
        async (url, requests) => {
          await refused(fetchAll(url), message, SourceError);
          assert.deepEqual(
            requests.map(({ first }) => first),
            [0, undefined],
          );
        },
      );
    }
  });

  it("urlSource() reports a name that nothing has, an address that nothing serves and what is no TLS", async () => {
    await refused(
      urlSource("http://cria.invalid/x", { http: quick }),
      /^Cannot read http:\/\/cria\.invalid\/x: ./,
      SourceError,
    );
    await serving(
      (response) => response.end(),
      (url) =>
        refused(
          urlSource(url.replace("http:", "https:"), { http: quick }),
          /^Cannot read https:.*m\.gguf: ./,
          SourceError,
        ),
    );
  });

  it("urlSource() gives up on a server that is silent", async () => {
    const http = { idleMs: 30, retries: 1, retryMs: 1 };
    for (const stall of [-1, 0, 1000]) {
      await hostile(
        (request) => changed(request, {}, { stall }),
        async (url, requests) => {
          await refused(fetchAll(url, { http }), /nothing came for 0\.03 s/, SourceError);
          assert.equal(requests.length, 2);
        },
      );
    }
  });

  it("urlSource() resumes after a server was silent for a while", () =>
    hostile(
      (request) => changed(request, {}, request.n === 0 ? { stall: half } : {}),
      async (url) => same(await fetchAll(url, { http: { idleMs: 200 } }), data),
    ));

  it("urlSource() ends at once when it is aborted: unanswered, silent or waiting for another attempt", async () => {
    const replies: (RawReply | "drop")[] = [
      { stall: -1 },
      { stall: 10, body: data },
      "drop",
      { status: 503 },
    ];
    for (const reply of replies) {
      await hostile(
        () => reply,
        async (url) => {
          const abort = new AbortController();
          const reason = new Error("enough");
          const http = { retryMs: 50_000 };
          const reading = urlSource(url, { signal: abort.signal, http }).then((source) =>
            take(source, 0, 1000),
          );
          const ended = assert.rejects(reading, (error) => error === reason);
          setTimeout(() => abort.abort(reason), 30);
          await ended;
        },
      );
    }
  });

  it("close() ends a read that waits", () =>
    hostile(
      (request) => changed(request, {}, { stall: 10 }),
      async (url) => {
        const source = await urlSource(url);
        const waiting = refused(take(source, 0, 1000), /^Cannot read http:.*: It was closed$/, SourceError);
        setTimeout(() => void source.close(), 10);
        await waiting;
        await refused(take(source, 0, 1), /It was closed$/, SourceError);
      },
    ));
});

describe("urlSource() with a SHA-256", () => {
  it("finish() compares the digest of the whole, of what was not read too", () =>
    hostile(
      (request) => fileReply(data, request),
      async (url) => {
        const source = await urlSource(url, { sha256: digest(data) });
        await take(source, 10, 20);
        await source.finish?.();
        await source.close();
        const other = await urlSource(url, { sha256: "0".repeat(64) });
        await take(other, 10, 20);
        await refused(
          other.finish?.() ?? Promise.resolve(),
          new RegExp(`^Cannot load ${url}: Expected SHA-256 0{64}, got ${digest(data)}$`),
          SourceError,
        );
        await other.close();
      },
    ));

  it("finish() has the digest right after lost connections, and reads far ahead without leaving bytes out", () => {
    const large = pattern(3 << 20);
    return hostile(
      (request) => ({ ...fileReply(large, request), ...(request.n < 4 && { cut: 500_000 + request.n }) }),
      async (url) => {
        const source = await urlSource(url, { sha256: digest(large), http: quick });
        same(await take(source, (3 << 20) - 100, 50), large.subarray(-100, -50));
        await source.finish?.();
        await refused(take(source, 0, 10), /its SHA-256 is computed as it comes: open a file/, SourceError);
        await source.close();
      },
    );
  });

  it("finish() does not follow a body without end", () =>
    hostile(
      () => ({ headers: { "content-length": undefined }, body: pattern(8 << 20), endless: true }),
      async (url) => {
        const source = await urlSource(url, { sha256: digest(data) });
        await refused(
          source.finish?.() ?? Promise.resolve(),
          /Expected its end, got \d+ bytes$/,
          SourceError,
        );
        await source.close();
      },
    ));
});

describe("urlSource() of requests", () => {
  it("urlSource() sends a request's headers each time, and those of the options", () =>
    hostile(
      (request) => changed(request, {}, request.n === 0 ? { cut: half } : {}),
      async (url, requests) => {
        const request = new Request(url, { headers: { authorization: "Bearer secret", "x-one": "1" } });
        const source = await urlSource(request, { http: { ...quick, headers: { "x-one": "2" } } });
        same(await take(source, 0, data.length), data);
        await source.close();
        assert.equal(requests.length, 2);
        for (const { headers } of requests) {
          assert.equal(headers.get("authorization"), "Bearer secret");
          assert.equal(headers.get("x-one"), "2");
        }
      },
    ));

  it("urlSource() does not carry a token to another server", () =>
    hostile(
      (request) => fileReply(data, request),
      (target, seen) =>
        hostile(
          () => ({ status: 302, headers: { location: target } }),
          async (url, asked) => {
            const headers = { authorization: "Bearer secret" };
            same(await fetchAll(url, { http: { headers } }), data);
            assert.equal(asked[0]?.headers.get("authorization"), "Bearer secret");
            assert.equal(seen[0]?.headers.get("authorization"), undefined);
            assert.equal(seen[0]?.first, 0);
          },
        ),
    ));

  it("urlSource() sends name and password of an address as a header and shows them nowhere", () =>
    hostile(
      () => ({ status: 404 }),
      async (url, requests) => {
        const withPassword = url.replace("//", "//me:p%40ss@");
        await refused(urlSource(withPassword), new RegExp(`^Cannot read ${url}: `), SourceError);
        assert.equal(requests[0]?.headers.get("authorization"), `Basic ${btoa("me:p@ss")}`);
      },
    ));

  it("urlSource() ends with a request's own signal, and refuses what is no GET", () =>
    hostile(
      () => ({ stall: -1 }),
      async (url) => {
        const abort = new AbortController();
        const reason = new Error("enough");
        const reading = urlSource(new Request(url, { signal: abort.signal }));
        const ended = assert.rejects(reading, (error) => error === reason);
        setTimeout(() => abort.abort(reason), 10);
        await ended;
        await refused(
          urlSource(new Request(url, { method: "POST", body: "x" })),
          /Expected a GET request, got POST; for an upload pass its body$/,
          UsageError,
        );
        await refused(
          urlSource(url, { http: { headers: { "a b": "c" } } }),
          /Expected headers with valid/,
          UsageError,
        );
      },
    ));

  it("urlSource() reports bytes as they come", () =>
    hostile(
      (request) => changed(request, {}, request.n === 0 ? { cut: half } : {}),
      async (url) => {
        const reports: number[] = [];
        const onBytes = (received: number, total: number | undefined) => {
          assert.equal(total, data.length);
          reports.push(received);
        };
        same(await fetchAll(url, { onBytes }), data);
        assert.equal(reports.at(-1), data.length);
        assert.deepEqual(
          reports,
          reports.toSorted((a, b) => a - b),
        );
      },
    ));
});

describe("responseSource", () => {
  it("responseSource() reads a body that was fetched or made", async () => {
    same(await take(await responseSource(new Response(data)), 10, 5000), data.subarray(10, 5010));
    const named = await responseSource(new Response(data, { headers: { "content-length": "300000" } }));
    assert.deepEqual([named.name, named.size], ["response", data.length]);
    await serving(
      (response) => response.setHeader("content-length", data.length).end(data),
      async (url) => {
        const source = await responseSource(await fetch(url));
        assert.deepEqual([source.name, source.size], [url, data.length]);
        same(await take(source, 0, data.length), data);
      },
    );
  });

  it("responseSource() compares a SHA-256", async () => {
    const right = await responseSource(new Response(data), { sha256: digest(data) });
    await right.finish?.();
    const wrong = await responseSource(new Response(data), { sha256: "1".repeat(64) });
    await refused(
      wrong.finish?.() ?? Promise.resolve(),
      /^Cannot load response: Expected SHA-256 1{64}/,
      SourceError,
    );
  });

  it("responseSource() refuses a body that was read or is read, none, a page and a failure", async () => {
    const used = new Response(data);
    await used.arrayBuffer();
    const locked = new Response(data);
    locked.body?.getReader();
    for (const response of [used, locked]) {
      await refused(
        responseSource(response),
        /Expected a response whose body was not read, got one that was$/,
        SourceError,
      );
    }
    await refused(responseSource(new Response(null)), /The answer has no body$/, SourceError);
    const page = new Response("<html>", { headers: { "content-type": "text/html" } });
    await refused(responseSource(page), /got a web page/, SourceError);
    let cancelled = false;
    const body = chunked(data, 10, () => {
      cancelled = true;
    });
    await refused(
      responseSource(new Response(body, { status: 404 })),
      /^Cannot read response: Expected status 200, got 404/,
      SourceError,
    );
    assert.ok(cancelled);
  });
});

describe("retryAfterMs", () => {
  it("retryAfterMs() reads seconds and dates, and nothing else", () => {
    const now = Date.parse("2026-12-01T00:00:00Z");
    const of = (value?: string) =>
      retryAfterMs(new Headers(value === undefined ? {} : { "retry-after": value }), now);
    assert.equal(of(), undefined);
    assert.equal(of("0"), 0);
    assert.equal(of("120"), 120_000);
    assert.equal(of("Tue, 01 Dec 2026 00:00:30 GMT"), 30_000);
    assert.equal(of("Tue, 01 Dec 2020 00:00:30 GMT"), 0);
    assert.equal(of("soon"), undefined);
    assert.equal(of("99999999999999999999"), undefined);
  });
});

describe("readAnswer", () => {
  /** An answer as a runtime shows it. */
  const shown = (type: ResponseType, headers: Record<string, string>, url = "https://example.com/m") => {
    const response = new Response(new Uint8Array(1), { headers: { "content-length": "1", ...headers } });
    return Object.defineProperties(response, { type: { value: type }, url: { value: url } });
  };
  const sizeOf = (response: Response, hidesHeaders?: boolean) => {
    const answer = readAnswer(response, { hidesHeaders });
    return typeof answer === "string" ? answer : answer.size;
  };
  const date = { date: "Tue, 01 Dec 2026 00:00:00 GMT" };

  it("readAnswer() believes no length of another origin unless its encoding would show", () => {
    assert.equal(sizeOf(shown("cors", {})), undefined);
    assert.equal(sizeOf(shown("cors", date)), undefined);
    assert.equal(sizeOf(shown("cors", { "content-encoding": "identity" })), 1);
    for (const exposed of ["*", "ETag, Content-Encoding", "content-encoding,access-control-expose-headers"]) {
      assert.equal(sizeOf(shown("cors", { "access-control-expose-headers": exposed })), 1, exposed);
    }
    assert.equal(sizeOf(shown("cors", { "access-control-expose-headers": "ETag" })), undefined);
  });

  it("readAnswer() believes no length in a browser that somebody may have copied, and any elsewhere", () => {
    for (const type of ["basic", "default"] as const) {
      assert.equal(sizeOf(shown(type, {})), 1);
      assert.equal(sizeOf(shown(type, {}), true), undefined);
      assert.equal(sizeOf(shown(type, date), true), 1);
    }
    assert.equal(sizeOf(shown("basic", {}, "blob:https://example.com/1"), true), 1);
  });

  it("readAnswer() believes no length of compressed bytes", () => {
    for (const coding of ["gzip", "BR", "identity, zstd", "x-unknown"]) {
      assert.equal(sizeOf(shown("basic", { ...date, "content-encoding": coding })), undefined, coding);
    }
    for (const coding of ["", "Identity", "identity, identity"]) {
      assert.equal(sizeOf(shown("basic", { "content-encoding": coding })), 1, coding);
    }
  });
});
