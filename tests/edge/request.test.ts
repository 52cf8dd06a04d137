// What requests may say.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBase64, toBase64 } from "../../src/edge/base64.ts";
import { checkHeaders, readBody, readGenerateRequest } from "../../src/edge/request.ts";
import { RequestError } from "../../src/edge/responses.ts";
import { samplingParams } from "../../src/sample/registry.ts";

function refused(run: () => unknown, status: number, message: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof RequestError, String(error));
    assert.equal(error.status, status);
    assert.match(error.message, message);
    return true;
  });
}

const wish = (body: unknown, maxTokens = Number.POSITIVE_INFINITY) =>
  readGenerateRequest(JSON.stringify(body), maxTokens);

describe("readGenerateRequest()", () => {
  it("readGenerateRequest() takes a prompt and every sampling field of the registry", () => {
    assert.deepEqual(wish({ prompt: "" }), { prompt: "", options: { logprobs: false } });
    for (const param of samplingParams) {
      const value = param.kind === "value" ? { 5: 0.5 } : param.integer ? 1 : 0.5;
      assert.deepEqual(wish({ prompt: "x", [param.openai]: value }), {
        prompt: "x",
        options: { [param.key]: value, logprobs: false },
      });
    }
    assert.deepEqual(wish({ prompt: "x", stop: "a", max_tokens: 7 }), {
      prompt: "x",
      options: { stop: ["a"], maxTokens: 7, logprobs: false },
    });
    assert.deepEqual(wish({ resume: "abc" }), { resume: "abc" });
  });

  it("readGenerateRequest() caps max_tokens", () => {
    for (const [asked, most, expected] of [
      [undefined, 5, 5],
      [3, 5, 3],
      [1e15, 5, 5],
    ]) {
      const { options } = wish({ prompt: "x", max_tokens: asked }, most) as {
        options: { maxTokens?: number };
      };
      assert.equal(options.maxTokens, expected);
    }
  });

  it("readGenerateRequest() refuses sampling values outside their intervals", () => {
    for (const { openai, key, kind } of samplingParams) {
      for (const value of [-3, "0.5", [], kind === "value" ? { 5: 101 } : {}, true]) {
        refused(
          () => readGenerateRequest(`{"prompt":"x","${openai}":${JSON.stringify(value)}}`, 9),
          400,
          new RegExp(key),
        );
      }
    }
    refused(() => wish({ prompt: "x", top_p: 1.5 }), 400, /Expected topP in \[0, 1\], got 1.5/);
    refused(() => wish({ prompt: "x", repeat_penalty: 0 }), 400, /repeatPenalty/);
  });

  it("readGenerateRequest() refuses unknown fields, prototypes among them", () => {
    for (const name of ["n", "best_of", "logprobs", "constructor", "toString", "__proto__"]) {
      refused(
        () => readGenerateRequest(`{"prompt":"x","${name}":1}`, 9),
        400,
        new RegExp(`Unknown field "${name}"; known are prompt`),
      );
    }
    refused(() => readGenerateRequest(`{"prompt":"x","${"n".repeat(10_000)}":1}`, 9), 400, /^.{0,400}$/);
  });

  it("readGenerateRequest() names the nearest field of a mistyped one", () => {
    for (const [name, nearest] of [
      ["max_token", "max_tokens"],
      ["maxTokens", "max_tokens"],
      ["Prompt", "prompt"],
      ["topK", "top_k"],
    ]) {
      for (const value of ["1", "null"]) {
        refused(
          () => readGenerateRequest(`{"prompt":"x","${name}":${value}}`, 9),
          400,
          new RegExp(`Unknown field "${name}"; did you mean ${nearest}\\?`),
        );
      }
    }
  });

  it("readGenerateRequest() takes ids and special, and null for the default", () => {
    assert.deepEqual(wish({ prompt: [1, 5, 9], special: true }), {
      prompt: [1, 5, 9],
      options: { special: true, logprobs: false },
    });
    const nulls = Object.fromEntries(samplingParams.map(({ openai }) => [openai, null]));
    assert.deepEqual(
      wish({ prompt: "x", max_tokens: null, stop: null, resume: null, special: null, ...nulls }),
      {
        prompt: "x",
        options: { logprobs: false },
      },
    );
    assert.deepEqual(wish({ resume: "abc", prompt: null, stop: null }), { resume: "abc" });
    for (const special of [1, "true", {}]) {
      refused(() => wish({ prompt: "x", special }), 400, /special to be true or false/);
    }
    refused(
      () => wish({ prompt: [{ role: "user", content: "hi" }] }),
      400,
      /Chat messages are not supported yet/,
    );
    refused(() => wish({ prompt: ["x"] }), 400, /a string or an array of token ids, got an array/);
    for (const prompt of [[1.5], [null], [[1]], [{}], [1e300]]) {
      refused(() => wish({ prompt }), 400, /a string or an array of token ids/);
    }
  });

  it("readGenerateRequest() refuses what is no request", () => {
    for (const text of ["", "{", "null", "7", '"x"', "[]", "[".repeat(60_000), `${'{"a":'.repeat(10_000)}`]) {
      refused(() => readGenerateRequest(text, 9), 400, /^Cannot generate: Expected a/);
    }
    for (const prompt of [undefined, null, 7, ["x"], {}])
      refused(() => wish({ prompt }), 400, /prompt to be a string/);
    for (const tokens of [0, -1, 1.5, "7", {}, 2 ** 60]) {
      refused(() => wish({ prompt: "x", max_tokens: tokens }), 400, /max_tokens to be an integer/);
    }
    for (const stop of [7, "", [""], ["a", 7], Array(17).fill("a"), "a".repeat(257), { length: 1 }]) {
      refused(() => wish({ prompt: "x", stop }), 400, /stop to be a string/);
    }
    for (const resume of [7, {}]) refused(() => wish({ resume }), 400, /resume to be a string/);
    refused(() => wish({ resume: "x", prompt: "y" }), 400, /nothing beside resume/);
    refused(() => wish({ resume: "x", temperature: 1 }), 400, /nothing beside resume/);
  });
});

describe("checkHeaders()", () => {
  const check = (headers: Record<string, string>) => checkHeaders(new Headers(headers), 100);
  it("checkHeaders() takes JSON up to the limit only", () => {
    for (const type of ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"]) {
      check({ "content-type": type, "content-length": "100" });
    }
    for (const type of [
      "application/jsonx",
      "multipart/form-data; boundary=x",
      "text/html",
      "x".repeat(5000),
    ]) {
      refused(() => check({ "content-type": type }), 415, /^(?=.*application\/json).{0,400}$/);
    }
    refused(() => check({ "content-type": "application/json", "content-encoding": "gzip" }), 415, /gzip/);
    refused(
      () => check({ "content-type": "application/json", "content-length": "101" }),
      413,
      /at most 100 bytes/,
    );
  });
});

describe("checkHeaders() of a body that is not called JSON", () => {
  const check = (headers: Record<string, string>) => checkHeaders(new Headers(headers), 100);
  const types = {
    "curl -d": "application/x-www-form-urlencoded",
    "a form with a charset": "Application/X-WWW-Form-Urlencoded; charset=utf-8",
    "fetch() of a string": "text/plain;charset=UTF-8",
    nothing: undefined,
  };
  for (const [name, type] of Object.entries(types)) {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
    it(`checkHeaders() takes ${name}, but not from a page`, () => {
      check({ ...headers, "content-length": "100" });
      refused(() => check({ ...headers, "content-length": "101" }), 413, /at most 100 bytes/);
      refused(() => check({ ...headers, "content-encoding": "br" }), 415, /br/);
      // What browsers send with a request of a page, its own server's included; old ones know the first only.
      const fromPages: Record<string, string>[] = [
        { origin: "https://example.com" },
        { origin: "null" },
        { "sec-fetch-site": "cross-site" },
      ];
      for (const from of fromPages) {
        refused(() => check({ ...headers, ...from }), 415, /application\/json/);
        check({ "content-type": "application/json", ...from });
      }
    });
  }
});

describe("readBody()", () => {
  const request = (body: BodyInit | ReadableStream) =>
    new Request("http://x/", { method: "POST", body, duplex: "half" } as RequestInit);
  const chunks = (...parts: Uint8Array[]) =>
    new ReadableStream({
      pull(controller) {
        const part = parts.shift();
        if (part) controller.enqueue(part);
        else controller.close();
      },
    });
  const status = async (body: BodyInit | ReadableStream, expected: number, ms = 10_000) => {
    await assert.rejects(readBody(request(body), 10, ms), (error) => {
      assert.ok(error instanceof RequestError, String(error));
      assert.equal(error.status, expected);
      return true;
    });
  };

  it("readBody() puts characters together that came apart", async () => {
    const bytes = new TextEncoder().encode("aé€😀");
    const parts = Array.from(bytes, (byte) => new Uint8Array([byte]));
    assert.equal(await readBody(request(chunks(...parts)), 10, 10_000), "aé€😀");
    assert.equal(await readBody(request("x".repeat(10)), 10, 10_000), "x".repeat(10));
    assert.equal(await readBody(new Request("http://x/", { method: "POST" }), 10, 10_000), "");
  });

  it("readBody() refuses a body that is too long, however long it says it is", async () => {
    await status("x".repeat(11), 413);
    await status(chunks(new Uint8Array(6), new Uint8Array(6)), 413);
    let cancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(4)),
      cancel: () => {
        cancelled = true;
      },
    });
    await status(endless, 413);
    assert.ok(cancelled);
  });

  it("readBody() refuses a body that stalls, breaks off or is no UTF-8", async () => {
    let cancelled = false;
    const half = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array([123])),
      cancel: () => {
        cancelled = true;
      },
    });
    await status(half, 408, 30);
    assert.ok(cancelled);
    await status(new Uint8Array([123, 255]), 400);
    await status(new Uint8Array([0xe2, 0x82]), 400);
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    await status(broken, 400);
  });
});

describe("toBase64() and fromBase64()", () => {
  it("are the inverse of each other at every length", () => {
    for (const n of [0, 1, 2, 3, 4, 255, 32767, 32768, 32769, 100_000]) {
      const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 31) >>> 3);
      assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
    }
    assert.equal(fromBase64("no base64!"), undefined);
  });
});
