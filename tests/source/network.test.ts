// Models over a network that breaks: the same bits, or an error that says why. Never another model.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { CriaError, FormatError, Llama, type LoadOptions, SourceError } from "../../src/mod.ts";
import { tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { llama2cFile, tokenizerBin } from "../support/llama2c_writer.ts";
import { memoriesOf } from "../support/memory_spy.ts";
import { refused } from "../support/refused.ts";
import { fileReply, hostile, type RawReply, type RawRequest } from "../support/server.ts";

const root = mkdtempSync(join(tmpdir(), "cria-network-"));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

const { bytes, dataBegin } = tinyLlamaGguf();
const { bytes: otherBytes } = tinyLlamaGguf({ seed: 99 });
const digest = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
const http = { retryMs: 0, retries: 30, idleMs: 100 };

async function logitsOf(source: string, options: LoadOptions = {}): Promise<Float32Array> {
  await using llama = await Llama.load(source, { threads: 1, http, ...options });
  return await llama.logits([1, 5, 9]);
}

async function localLogits(content: Uint8Array): Promise<Float32Array> {
  await using llama = await Llama.load(content, { threads: 1 });
  return await llama.logits([1, 5, 9]);
}

const expected = await localLogits(bytes);
const otherExpected = await localLogits(otherBytes);

/** What a server does to one request. */
const mischief: fc.Arbitrary<(request: RawRequest) => RawReply | "drop"> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .integer({ min: 0, max: bytes.length })
      .map((cut) => (request: RawRequest) => ({ ...fileReply(bytes, request), cut })),
  },
  { weight: 2, arbitrary: fc.constant(() => "drop" as const) },
  { weight: 2, arbitrary: fc.constantFrom(429, 503).map((status) => () => ({ status })) },
  {
    weight: 1,
    arbitrary: fc.constant((request: RawRequest) => ({ ...fileReply(bytes, request), stall: 50_000 })),
  },
  // Another version, under its own name; the whole file in place of a range; a page; nothing; a range of elsewhere.
  { weight: 1, arbitrary: fc.constant((request: RawRequest) => fileReply(otherBytes, request, '"v2"')) },
  { weight: 1, arbitrary: fc.constant(() => ({ headers: { etag: '"v1"' }, body: bytes })) },
  {
    weight: 1,
    arbitrary: fc.constant(() => ({
      headers: { "content-type": "text/html" },
      body: new TextEncoder().encode("<html>"),
    })),
  },
  { weight: 1, arbitrary: fc.constantFrom(403, 404, 416, 500).map((status) => () => ({ status })) },
  {
    weight: 1,
    arbitrary: fc.constant((request: RawRequest) =>
      fileReply(bytes, { ...request, first: (request.first ?? 0) + 1 }),
    ),
  },
  // Lengths that are too large and too small.
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(bytes.length + 1, bytes.length - 1, 10, 2 ** 50)
      .map((length) => () => ({ headers: { etag: '"v1"', "content-length": length }, body: bytes })),
  },
);

describe("Llama.load() over a network that breaks", () => {
  for (const [title, options] of [
    ["as it comes", () => ({})],
    ["into a cache", () => ({ cache: join(root, `d${folders++}`) })],
    ["with its SHA-256", () => ({ sha256: digest(bytes) })],
  ] as [string, () => LoadOptions][]) {
    it(`gives the same bits or an error, ${title}`, async () => {
      let whole = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(mischief, { maxLength: 6 }), async (plan) => {
          await hostile(
            (request) => plan[request.n]?.(request) ?? fileReply(bytes, request),
            async (url) => {
              const result = await logitsOf(url, options()).catch((error) => {
                assert.ok(error instanceof SourceError || error instanceof FormatError, `${error?.stack}`);
                assert.ok(error.message.includes(url), error.message);
                return undefined;
              });
              if (!result) return;
              // The other version is a model of its own, where it is all that came.
              const isOther = result[0] !== expected[0];
              assert.deepEqual(result, isOther ? otherExpected : expected);
              if (isOther) assert.ok(!options().sha256);
              else whole++;
            },
          );
        }),
        { numRuns: 40 },
      );
      assert.ok(whole > 5, `${whole} models came through`);
    });
  }

  it("loads through a server that loses every connection after a while", async () => {
    // On a busy machine Bun may see a loss before the answer that came with it, many times in a row.
    for (const sha256 of [undefined, digest(bytes)]) {
      await hostile(
        (request) => ({ ...fileReply(bytes, request), cut: 70_000 }),
        async (url, requests) => {
          assert.deepEqual(await logitsOf(url, { sha256, http: { retryMs: 0, retries: 10_000 } }), expected);
          assert.ok(requests.length >= bytes.length / 70_000);
        },
      );
    }
  });

  it("refuses a model that another took the place of under the same version, by its SHA-256", () =>
    hostile(
      (request) =>
        request.n === 0
          ? { ...fileReply(bytes, request), cut: dataBegin + 50_000 }
          : fileReply(otherBytes, request),
      (url) =>
        refused(
          logitsOf(url, { sha256: digest(bytes) }),
          /^Cannot load http:.*: Expected SHA-256/,
          SourceError,
        ),
    ));

  it("believes no length before the bytes are there", async () => {
    for (const length of [2 ** 31, 2 ** 40, 2 ** 52]) {
      const headers = {
        etag: '"v1"',
        "content-range": `bytes 0-${length - 1}/${length}`,
        "content-length": undefined,
      };
      for (const body of [new Uint8Array(0), bytes.subarray(0, 1000)]) {
        const made = await memoriesOf(() =>
          hostile(
            (request) => (request.n === 0 ? { status: 206, headers, body } : { status: 404 }),
            async (url) => {
              await assert.rejects(logitsOf(url), CriaError);
              const model = llama2cFile({ config: { vocab_size: tinyVocab().pieces.length } }).bytes;
              await assert.rejects(Llama.load(model, { tokenizer: url, threads: 1, http }), CriaError);
            },
          ),
        );
        assert.ok(
          made.every((size) => size === 65536),
          `made memories of ${made}`,
        );
      }
    }
  });

  it("takes what a captive portal sends for what it is", async () => {
    const page = new TextEncoder().encode("<!DOCTYPE html><title>Sign in</title>");
    await hostile(
      () => ({ headers: { "content-type": "text/html; charset=utf-8" }, body: page }),
      (url) =>
        refused(
          logitsOf(url),
          /Expected a model file, got a web page \(text\/html; charset=utf-8\)/,
          SourceError,
        ),
    );
    await hostile(
      () => ({ headers: { "content-type": "application/octet-stream" }, body: page }),
      (url) => refused(logitsOf(url), /the file begins with "<!DO" \(a web page\)/),
    );
  });

  it("sends headers for the model to the tokenizer's server only where that is the same", async () => {
    const tokenizer = tokenizerBin(tinyVocab());
    const model = llama2cFile({ config: { vocab_size: tinyVocab().pieces.length } }).bytes;
    const answer = (request: RawRequest) =>
      fileReply(request.path.endsWith("t.bin") ? tokenizer : model, request);
    const headers = { authorization: "Bearer secret" };
    await hostile(answer, (other, seen) =>
      hostile(answer, async (url, asked) => {
        for (const place of [url, other]) {
          const address = place.replace("m.gguf", "t.bin");
          (await Llama.load(url, { tokenizer: address, threads: 1, http: { headers } })).dispose();
        }
        assert.ok(
          asked.length === 3 &&
            asked.every((request) => request.headers.get("authorization") === "Bearer secret"),
        );
        assert.ok(seen.length === 1 && !seen[0]?.headers.has("authorization"));
      }),
    );
  });
});
