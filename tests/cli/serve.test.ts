// cria serve, seen from outside: the line with its address, requests, signals, a port that is taken.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Readable } from "node:stream";
import { describe, it } from "node:test";
import { runCli, sendSignal, startCli, testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";

const folder = testFolder();
const path = folder.write("tiny.gguf", tinyLlamaGguf().bytes);
const model = ["--model", path, "--threads", "1"];

interface Serving {
  readonly url: string;
  readonly port: number;
  readonly process: ReturnType<typeof startCli>;
}

/** Starts a server at a free port, and waits for its line; then until it is ready. */
async function serve(...flags: string[]): Promise<Serving> {
  return whenReady(startCli(["serve", "--port", "0", ...model, ...flags]));
}

async function whenReady(started: ReturnType<typeof startCli>): Promise<Serving> {
  const [line] = await once(started.child.stdout as Readable, "data");
  const [, url, port] = /^listening at (http:\/\/127\.0\.0\.1:(\d+))\n$/.exec(String(line)) ?? [];
  assert.ok(url !== undefined, String(line));
  for (let i = 0; ; i++) {
    const { status }: Response = await fetch(`${url}/health`);
    if (status === 200) break;
    assert.equal(status, 503);
    if (i === 400) assert.fail("the model is not loaded");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return { url, port: Number(port), process: started };
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

// Hot and without an end, so that it runs until something ends it.
const long = { prompt: "in the", max_tokens: 100_000, temperature: 2, top_p: 1, top_k: 0, stream: true };

describe("cria serve", () => {
  it("answers at the address that it prints, under the name of its file, and Ctrl-C ends it at once", async () => {
    const { url, process } = await serve();
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
    assert.deepEqual(
      data.map(({ id }) => id),
      ["tiny"],
    );
    const answer = await post(url, { prompt: "in the", max_tokens: 3, seed: 1 });
    const { usage } = (await answer.json()) as { usage: { completion_tokens: number } };
    assert.equal(usage.completion_tokens, 3);
    const stream = await post(url, { ...long, n: 4 });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const begin = Date.now();
    sendSignal(process.child, "SIGINT");
    const { status, stderr } = await process.result;
    assert.equal(status, 130);
    assert.ok(Date.now() - begin < 3000);
    assert.match(stderr, /^ready: tiny; base URL of OpenAI clients: http:\S+\/v1\n$/);
    await reader.cancel().catch(() => {});
  });

  it("lets answers end after SIGTERM, and exits with 0", async () => {
    const { url, process } = await serve();
    const stream = await post(url, { ...long, max_tokens: 300, ignore_eos: false, logit_bias: { 2: -100 } });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = new TextDecoder().decode((await reader.read()).value);
    sendSignal(process.child, "SIGTERM");
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      text += new TextDecoder().decode(read.value);
    }
    assert.match(text, /\[DONE\]\n\n$/);
    assert.equal((await process.result).status, 0);
  });

  it("gives up answers that take longer than --drain", async () => {
    const { url, process } = await serve("--drain", "0.1");
    const text = post(url, { ...long, n: 128, logit_bias: { 2: -100 } })
      .then((response) => response.text())
      .catch(() => "");
    await new Promise((resolve) => setTimeout(resolve, 200));
    sendSignal(process.child, "SIGTERM");
    assert.equal((await process.result).status, 0);
    assert.doesNotMatch(await text, /\[DONE\]/);
  });

  it("talks without a model of one's own, and takes keys of the flag and of the environment", async () => {
    const { env } = globalThis.process;
    env.CRIA_API_KEY = "two";
    const started = startCli([
      "serve",
      "--port",
      "0",
      "--api-key",
      "one",
      "--name",
      "mine",
      "--threads",
      "1",
    ]);
    delete env.CRIA_API_KEY;
    const { url, process } = await whenReady(started);
    for (const [key, status] of [
      ["", 401],
      ["three", 401],
      ["two", 200],
    ] as const) {
      const answer = await post(url, { prompt: "in", max_tokens: 1 }, { "x-api-key": key });
      assert.equal(answer.status, status, key);
    }
    // biome-ignore lint/suspicious/noExplicitAny: an answer
    const talk = async (messages: unknown): Promise<any> => {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ messages, max_tokens: 5, seed: 1 }),
        headers: { "content-type": "application/json", authorization: "Bearer one" },
      });
      return response.json();
    };
    const messages = [{ role: "user", content: "Tell me a story about a cat named Mia." }];
    const { model, choices, usage } = await talk(messages);
    assert.equal(model, "mine");
    assert.match(choices[0].message.content, /\w/);
    // What both have in common is not computed again.
    const second = await talk([...messages, choices[0].message, { role: "user", content: "Go on." }]);
    const { cached_tokens } = second.usage.prompt_tokens_details;
    assert.ok(cached_tokens >= usage.prompt_tokens - 2, JSON.stringify(second.usage));
    sendSignal(process.child, "SIGINT");
    await process.result;
  });

  it("refuses names that lead here from elsewhere, and takes HTTP/1.0 without a name", async () => {
    const { port, process } = await serve();
    for (const [head, status] of [
      ["HTTP/1.1\r\nHost: evil.example", 403],
      ["HTTP/1.0\r\nHost: evil.example", 403],
      // No browser sends a request like this one.
      ["HTTP/1.0", 200],
    ] as const) {
      const socket = connect(port, "127.0.0.1");
      socket.write(`GET /v1/models ${head}\r\nConnection: close\r\n\r\n`);
      let text = "";
      for await (const chunk of socket) text += chunk;
      assert.match(text, new RegExp(`^HTTP/1\\.[01] ${status} `), head);
    }
    sendSignal(process.child, "SIGINT");
    await process.result;
  });

  it("knows other spellings of this machine, and of names that are allowed", async () => {
    const rows: readonly (readonly [readonly string[], string, number])[] = [
      // Linux alone has it without being told.
      ...(process.platform === "linux"
        ? ([[["--host", "127.0.0.2", "--no-api-key"], "evil.example", 403]] as const)
        : []),
      [["--host", "[127.0.0.1]", "--allow-host", "Proxy.Example"], "proxy.example", 200],
      [["--host", "0.0.0.0", "--no-api-key", "--allow-host", "proxy.example"], "evil.example", 403],
    ];
    for (const [flags, host, expected] of rows) {
      const { child, result } = startCli(["serve", "--port", "0", ...model, ...flags]);
      const [line] = await once(child.stdout as Readable, "data");
      const [, hostname, port] = /^listening at http:\/\/([\d.]+):(\d+)\n$/.exec(String(line)) ?? [];
      const socket = connect(Number(port), hostname);
      socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      let text = "";
      for await (const chunk of socket) text += chunk;
      // The model may not be loaded yet.
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
      assert.equal(status === 503 ? 200 : status, expected, `${flags}: ${text}`);
      sendSignal(child, "SIGINT");
      await result;
    }
  });

  it("says what to do if the port is taken", async () => {
    const { port, process } = await serve();
    const { status, stdout, stderr } = await runCli(["serve", "--port", String(port), ...model]);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(
      stderr,
      /^error: Cannot listen at 127\.0\.0\.1 port \d+: another program has the port; .*--port/,
    );
    sendSignal(process.child, "SIGINT");
    await process.result;
  });

  it("refuses to serve other machines without a key, and wrong flags", async () => {
    const rows: readonly [string[], RegExp][] = [
      [["--host", "0.0.0.0"], /Expected a key, .*--api-key or CRIA_API_KEY.*--no-api-key/],
      [["model.gguf"], /--model/],
      [["--port", "65536"], /Cannot read --port/],
      [["--cors", "localhost"], /Expected --cors to be origins/],
      [["--api-key", "a b"], /Expected --api-key to be ASCII.* got one with a space/],
    ];
    for (const [flags, message] of rows) {
      const { status, stdout, stderr } = await runCli(["serve", ...flags]);
      assert.deepEqual([status, stdout], [2, ""], stderr);
      assert.match(stderr, message);
    }
  });

  it("ends with the error of a model that cannot be loaded", async () => {
    const { status, stderr } = await runCli(["serve", "--port", "0", "--model", folder.path("none.gguf")]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: .*none\.gguf/);
  });
});
