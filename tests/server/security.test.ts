// Who may ask a server, and with what: keys, hosts, origins, sizes, times.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createServer, type ServerOptions } from "../../src/server/create_server.ts";
import { ask, askChat, hi } from "../support/ask.ts";
import { begin, ended, fakeModel, said } from "../support/fake_model.ts";

function serverOf(options: Partial<ServerOptions> = {}) {
  return createServer({ model: fakeModel(), ...options });
}

async function refused(response: Response, status: number, code: string): Promise<void> {
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  assert.deepEqual([response.status, error.code], [status, code]);
  assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
}

const get = (server: ReturnType<typeof serverOf>, path: string, headers: Record<string, string> = {}) =>
  server.fetch(new Request(`http://localhost${path}`, { headers }));

describe("keys", () => {
  const server = serverOf({ apiKeys: ["one", "two"] });

  it("are taken from both headers, and wrong or missing ones are refused", async () => {
    for (const headers of [
      { authorization: "Bearer one" },
      { authorization: "bearer two" },
      { "x-api-key": "two" },
      { authorization: "Basic b25lOg==", "x-api-key": "two" },
    ] as Record<string, string>[]) {
      assert.equal((await get(server, "/v1/models", headers)).status, 200);
    }
    for (const headers of [
      {},
      { authorization: "Bearer on" },
      { authorization: "Bearer one two" },
      { authorization: "one" },
      { authorization: "Bearer ONE" },
      // A bearer counts before the other header.
      { authorization: "Bearer three", "x-api-key": "two" },
      { "x-api-key": "" },
    ] as Record<string, string>[]) {
      const response = await get(server, "/v1/models", headers);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      await refused(response, 401, "invalid_api_key");
    }
  });

  it("are needed by every route but /health, also by those that do not exist", async () => {
    assert.equal((await get(server, "/health")).status, 200);
    for (const path of ["/metrics", "/slots", "/props", "/v1/models", "/nothing"]) {
      await refused(await get(server, path), 401, "invalid_api_key");
    }
    await refused(await askChat(server), 401, "invalid_api_key");
  });

  it("make owners, which names of nobody", async () => {
    const model = fakeModel();
    const keyed = createServer({ model, apiKeys: ["one", "two"] });
    for (const key of ["one", "two", "one"]) await askChat(keyed, {}, { headers: { "x-api-key": key } });
    const [first, second, third] = model.jobs.map(({ owner }) => owner);
    assert.equal(first, third);
    assert.notEqual(first, second);
    assert.doesNotMatch(`${first}`, /one/);
  });
});

describe("options", () => {
  it("of a wrong type are named, and so is a model that is not loaded yet", () => {
    const wrong: Record<string, unknown[]> = {
      llama: [1, {}, Promise.resolve({})],
      deadlineMs: [0, -1, Number.NaN, "5"],
      idleMs: [0, "5"],
      maxBodyBytes: [0, 1.5],
      apiKeys: ["k", [1], [""], ["a b"], ["k\n"], ["ключ"]],
      cors: [5, ["x"]],
      hosts: ["all", [1], []],
      port: [80],
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        const base = name === "llama" ? {} : { model: fakeModel() };
        assert.throws(
          () => createServer({ ...base, [name]: value } as ServerOptions),
          { name: "UsageError", message: new RegExp(name) },
          `${name}: ${String(value)}`,
        );
      }
    }
    const named = { llama: { tokenizer: { vocabSize: 1 } }, name: "" } as unknown as ServerOptions;
    assert.throws(() => createServer(named), /Expected name to be/);
  });
});

describe("hosts", () => {
  it("of other names are refused at the own machine", async () => {
    const server = serverOf({ hosts: "loopback" });
    const request = (url: string, host?: string) =>
      new Request(`${url}/v1/models`, host === undefined ? {} : { headers: { host } });
    for (const url of ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:9"])
      assert.equal((await server.fetch(request(url))).status, 200, url);
    for (const url of [
      "http://evil.com",
      "http://localhost.evil.com",
      "http://notlocalhost:8080",
      "http://127.0.0.1.nip.io",
      "http://0.0.0.0:8080",
    ])
      await refused(await server.fetch(request(url)), 403, "host_not_allowed");
    // Also for routes that need no key, and for what browsers ask first.
    await refused(await server.fetch(new Request("http://evil.com/health")), 403, "host_not_allowed");
    const preflight = new Request("http://evil.com/v1/models", { method: "OPTIONS" });
    await refused(await server.fetch(preflight), 403, "host_not_allowed");
  });

  it("may be left out by HTTP/1.0, of which Bun gives the path alone; an empty one may not", async () => {
    const request = (url: string, headers: Record<string, string> = {}) =>
      ({ url, method: "GET", headers: new Headers(headers) }) as Request;
    const server = serverOf({ hosts: "loopback" });
    assert.equal((await server.fetch(request("/v1/models"))).status, 200);
    await refused(await server.fetch(request("//evil.com/v1/models")), 404, "unknown_url");
    await refused(await server.fetch(request("/v1/models", { host: "" })), 400, "invalid_url");
    await refused(await server.fetch(request("/v1/models", { host: "evil.com" })), 400, "invalid_url");
    const named = serverOf({ hosts: ["Example.com"] });
    assert.equal(
      (await named.fetch(request("http://example.COM:80/v1/models", { host: "EXAMPLE.com" }))).status,
      200,
    );
    await refused(await named.fetch(request("/v1/models")), 403, "host_not_allowed");
  });

  it("are any if nothing is said, but those of the own machine if the runtime listens there", async () => {
    const server = serverOf();
    const request = () => new Request("http://example.com/v1/models");
    assert.equal((await server.fetch(request())).status, 200);
    assert.equal((await server.fetch(request(), { hostname: "0.0.0.0" })).status, 200);
    await refused(await server.fetch(request(), { hostname: "127.0.0.1" }), 403, "host_not_allowed");
    assert.equal(server.hostname, "127.0.0.1");
  });
});

describe("origins", () => {
  const allowOrigin = "access-control-allow-origin";
  const preflight = (origin: string) =>
    new Request("http://localhost/v1/chat/completions", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
      },
    });

  it("are none by default", async () => {
    const server = serverOf();
    const answer = await server.fetch(preflight("http://localhost:3000"));
    assert.deepEqual([answer.status, answer.headers.get(allowOrigin)], [204, null]);
    const response = await get(server, "/v1/models", { origin: "http://localhost:3000" });
    assert.equal(response.headers.get(allowOrigin), null);
  });

  it("are reflected if they are given, and no others; the preflight needs no key", async () => {
    const cors = ["https://chat.example.com", "http://localhost:3000"];
    const server = serverOf({ cors, apiKeys: ["one"] });
    for (const origin of cors) {
      const { status, headers } = await server.fetch(preflight(origin));
      assert.deepEqual([status, headers.get(allowOrigin), headers.get("vary")], [204, origin, "origin"]);
      assert.match(headers.get("access-control-allow-methods") ?? "", /POST/);
      assert.match(headers.get("access-control-allow-headers") ?? "", /authorization/);
      // Errors are for the page to read, too.
      const unknown = await get(server, "/v1/models", { origin });
      assert.deepEqual([unknown.status, unknown.headers.get(allowOrigin)], [401, origin]);
    }
    for (const origin of [
      "http://localhost.evil.com",
      "http://notlocalhost:3000",
      "http://localhost:3001",
      "https://chat.example.com.evil.com",
      "null",
    ]) {
      const { headers } = await server.fetch(preflight(origin));
      assert.equal(headers.get(allowOrigin), null, origin);
    }
  });

  it("cannot be given wrongly", () => {
    for (const cors of ["localhost", "https://example.com/", "https://example.com/path", ""])
      assert.throws(() => serverOf({ cors }), /Expected cors to be/, cors);
  });

  it("of pages send nothing that browsers send without asking", async () => {
    const server = serverOf({ cors: "https://chat.example.com" });
    const body = JSON.stringify({ messages: hi });
    const send = (headers: Record<string, string>) =>
      server.fetch(new Request("http://localhost/v1/chat/completions", { method: "POST", body, headers }));
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const page = { "content-type": type, origin: "https://evil.com" };
      await refused(await send(page), 415, "unsupported_media_type");
      assert.equal((await send({ "content-type": type })).status, 200);
    }
  });
});

describe("bodies", () => {
  it("are limited while they are read, whatever their length says", async () => {
    const server = serverOf({ maxBodyBytes: 1000 });
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 100;
        controller.enqueue(new Uint8Array(100).fill(32));
        if (sent > 100_000) controller.close();
      },
    });
    const request = new Request("http://localhost/v1/completions", {
      method: "POST",
      body,
      duplex: "half",
    } as RequestInit);
    await refused(await server.fetch(request), 413, "body_too_large");
    assert.ok(sent < 50_000, `${sent} bytes were read`);
  });

  it("of a megabyte are taken, and no more", async () => {
    const server = serverOf();
    const text = (n: number) => JSON.stringify({ prompt: "x", user: "y".repeat(n) });
    assert.equal((await ask(server, "/v1/completions", text((1 << 20) - 100))).status, 200);
    await refused(await ask(server, "/v1/completions", text(1 << 20)), 413, "body_too_large");
  });

  it("that are deep, cut, no JSON or no UTF-8 are refused with four fields", async () => {
    const server = serverOf();
    const deep = `{"messages":${"[".repeat(200)}${"]".repeat(200)}}`;
    for (const body of [deep, "{", "", "nul", '{"a":', "[]", "1", '"x"', "null"]) {
      const response = await ask(server, "/v1/chat/completions", body);
      assert.equal(response.status, 400, body.slice(0, 20));
      assert.deepEqual(Object.keys(((await response.json()) as { error: object }).error).length, 4);
    }
    const quoted = { messages: hi, user: `${"[".repeat(500)}\\"${"[".repeat(500)}` };
    assert.equal((await ask(server, "/v1/chat/completions", quoted)).status, 200);
    const bytes = new Request("http://localhost/v1/completions", {
      method: "POST",
      body: new Uint8Array([0x7b, 0xff, 0x7d]),
    });
    await refused(await server.fetch(bytes), 400, "invalid_body");
  });
});

describe("methods and paths", () => {
  it("that do not exist are refused, HEAD is GET without a body, OPTIONS says what there is", async () => {
    const server = serverOf();
    const send = (path: string, method: string) =>
      server.fetch(new Request(`http://localhost${path}`, { method }));
    for (const method of ["GET", "PUT", "DELETE", "PATCH"]) {
      const response = await send("/v1/chat/completions", method);
      assert.equal(response.headers.get("allow"), "POST, OPTIONS");
      await refused(response, 405, "method_not_allowed");
    }
    assert.equal((await send("/health", "POST")).status, 405);
    for (const path of ["/v1", "/v1/chat", "/v1/nothing"])
      await refused(await send(path, "POST"), 404, "unknown_url");
    const head = await send("/health", "HEAD");
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const front = await send("/", "GET");
    assert.match(await front.text(), /fake\nbase URL {2}http:\/\/localhost\/v1\n/);
    const options = await send("/v1/models", "OPTIONS");
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
  });
});

describe("errors", () => {
  it("that nobody expected tell the operator and not the client", async () => {
    const told: unknown[] = [];
    const model = fakeModel({
      run: () => {
        throw new TypeError("secret of the machine");
      },
    });
    const server = createServer({ model, onError: (error) => told.push(error) });
    const response = await askChat(server);
    const text = await response.text();
    assert.equal(response.status, 500);
    assert.doesNotMatch(text, /secret/);
    assert.match(String((told[0] as Error).cause), /secret/);
  });

  it("of a full queue say when to come again", async () => {
    const full = Object.assign(new Error("Cannot run the job: 8 are computed"), {
      code: "QUEUE",
      reason: "full",
      retryAfter: 7,
    });
    const model = fakeModel({
      // biome-ignore lint/correctness/useYield: it fails before
      async *run() {
        throw full;
      },
    });
    for (const stream of [false, true]) {
      const response = await askChat(createServer({ model }), { stream });
      assert.equal(response.headers.get("retry-after"), "7");
      await refused(response, 429, "queue_full");
    }
  });
});

describe("a model that is loaded", () => {
  it("answers 503 until it is there, and says why it could not be", async () => {
    let finish: ((model: ReturnType<typeof fakeModel>) => void) | undefined;
    const server = createServer({
      model: new Promise((resolve) => {
        finish = resolve;
      }),
    });
    for (const path of ["/health", "/v1/models", "/slots"]) {
      const response = await get(server, path);
      assert.ok(Number(response.headers.get("retry-after")) > 0);
      await refused(response, 503, "loading");
    }
    await refused(await askChat(server), 503, "loading");
    assert.equal((await get(server, "/metrics")).status, 200);
    finish?.(fakeModel());
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(await (await get(server, "/health")).json(), { status: "ok" });

    const broken = createServer({ model: Promise.reject(new Error("no such file /home/me/x.gguf")) });
    await new Promise((resolve) => setTimeout(resolve, 0));
    const response = await get(broken, "/health");
    assert.doesNotMatch(await response.clone().text(), /home/);
    await refused(response, 503, "model_failed");
  });
});

describe("a model that is in the middle of a long step", () => {
  it("is healthy", async () => {
    const never = new Promise<never>(() => {});
    const server = createServer({ model: { ...fakeModel(), status: () => never } });
    assert.deepEqual(await (await get(server, "/health")).json(), { status: "ok" });
  });
});

describe("a model whose engine has failed", () => {
  it("is told by /health, and requests are answered 503 until it is loaded again", async () => {
    for (const [state, code] of [
      ["loading", "loading"],
      ["failed", "model_failed"],
    ] as const) {
      const server = createServer({ model: fakeModel({ status: { state } }) });
      await refused(await get(server, "/health"), 503, code);
    }
    const failing = (error: object) =>
      createServer({
        model: fakeModel({
          // biome-ignore lint/correctness/useYield: it fails before
          async *run() {
            throw Object.assign(new Error("trap"), error);
          },
        }),
      });
    const rows = [
      [{ code: "ENGINE" }, "engine_failed"],
      [{ code: "QUEUE", reason: "loading", retryAfter: 2 }, "loading"],
    ] as const;
    for (const [error, code] of rows) {
      const response = await askChat(failing(error));
      assert.ok(Number(response.headers.get("retry-after")) > 0);
      await refused(response, 503, code);
    }
  });
});

describe("a server that ends", () => {
  it("lets answers end that are under way, and takes no others", async () => {
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const model = fakeModel({
      async *run() {
        yield [begin(), said("Once")];
        await held;
        yield [ended()];
      },
    });
    const server = createServer({ model });
    const running = await askChat(server, { stream: true });
    const drained = server.drain();
    await refused(await get(server, "/health"), 503, "server_draining");
    const late = await askChat(server);
    assert.ok(Number(late.headers.get("retry-after")) > 0);
    await refused(late, 503, "server_draining");
    release?.();
    assert.match(await running.text(), /\[DONE\]/);
    await drained;
    await server.close();
    assert.ok(model.isClosed);
  });

  it("ends what takes longer than it may", async () => {
    const model = fakeModel({
      async *run(_, signal) {
        yield [begin(), said("Once")];
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    });
    const server = createServer({ model });
    const running = await askChat(server, { stream: true });
    const text = running.text();
    await server.drain(20);
    assert.match(await text, /server_closed/);
    assert.doesNotMatch(await text, /\[DONE\]/);
    // One that nobody reads holds nothing up.
    const silent = createServer({ model });
    await askChat(silent, { stream: true });
    await silent.drain(20);
    assert.ok(model.signals.at(-1)?.aborted);
  });
});

describe("clients that leave", () => {
  it("end their job at once, before, in and after the first event", async () => {
    const endless = fakeModel({
      async *run(_, signal) {
        yield [begin()];
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          signal.throwIfAborted();
          yield [said("x")];
        }
      },
    });
    const server = createServer({ model: endless });
    // A stream that is cancelled.
    const reader = ((await askChat(server, { stream: true })).body as ReadableStream).getReader();
    await reader.read();
    await reader.cancel();
    // One whose request is aborted.
    const controller = new AbortController();
    const { signal } = controller;
    const response = await askChat(server, { stream: true }, { signal });
    controller.abort();
    await response.text().catch(() => {});
    // A whole answer that nobody waits for.
    const other = new AbortController();
    const whole = askChat(server, {}, { signal: other.signal });
    setTimeout(() => other.abort(), 5);
    assert.equal((await whole).status, 499);
    assert.deepEqual(
      endless.signals.map(({ aborted }) => aborted),
      [true, true, true],
    );
  });

  it("do not read: their job is given up after a while, and buffers no more than a batch", async () => {
    let batches = 0;
    const model = fakeModel({
      async *run(_, signal) {
        yield [begin()];
        for (; ; batches++) {
          signal.throwIfAborted();
          yield [said("x")];
        }
      },
    });
    const server = createServer({ model, idleMs: 30 });
    const response = await askChat(server, { stream: true });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(batches <= 2, `${batches} batches`);
    assert.ok(model.signals[0]?.aborted);
    await assert.rejects(response.text(), /does not read/);
  });
});

describe("a stream in which nothing happens", () => {
  it("has comments", async () => {
    const { eventStream } = await import("../../src/server/http/event_stream.ts");
    const { Metrics } = await import("../../src/server/http/metrics.ts");
    async function* slow() {
      yield "data: 1\n\n";
      await new Promise((resolve) => setTimeout(resolve, 100));
      yield "data: 2\n\n";
    }
    const exchange = {
      metrics: new Metrics(),
      limits: { keepAliveMs: 20, idleMs: 1000, deadlineMs: undefined },
    };
    const work = { signal: new AbortController().signal, abort() {}, end() {} };
    const writer = { write: (text: string) => text, end: () => "", fail: () => "" };
    const response = await eventStream(exchange as never, work, slow(), writer);
    assert.match(await response.text(), /^data: 1\n\n(: still here\n\n)+data: 2\n\n$/);
  });
});
