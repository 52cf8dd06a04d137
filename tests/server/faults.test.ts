// Clients that vanish, stall, send half a request or garbage: the server stays as it was, and others notice nothing.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { listen } from "../../src/cli/serving/listen.ts";
import { createServer } from "../../src/server/create_server.ts";
import { testModel } from "../support/test_model.ts";

const model = await testModel();
const server = createServer({ model, hosts: "loopback" });
const listener = await listen(server.fetch, { hostname: "127.0.0.1", port: 0 });
const url = `http://127.0.0.1:${listener.port}`;
after(async () => {
  await server.close();
  await listener.stop();
});

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function request(body: string, length = body.length): string {
  return `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

const long = JSON.stringify({ prompt: "Once", max_tokens: 250, stream: true, temperature: 2, seed: 1 });
const whole = JSON.stringify({ prompt: "Once", max_tokens: 250, temperature: 2, n: 4 });

/** What each kind of client sends, and how long it stays. */
const clients: readonly { readonly sends: string; readonly staysMs: number; readonly reads: boolean }[] = [
  // Vanish at once, in the middle of a stream, and while a whole answer is computed.
  { sends: "", staysMs: 0, reads: false },
  { sends: request(long), staysMs: 60, reads: true },
  { sends: request(whole), staysMs: 30, reads: true },
  // Read nothing.
  { sends: request(long), staysMs: 400, reads: false },
  // Half a body, half of the headers, a body that is no JSON.
  { sends: request(long.slice(0, 30), long.length), staysMs: 100, reads: true },
  { sends: "POST /v1/completions HTTP/1.1\r\nHost: local", staysMs: 100, reads: true },
  { sends: request('{"prompt": [[[[[['), staysMs: 100, reads: true },
  // Garbage, and what is no HTTP.
  { sends: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), staysMs: 50, reads: true },
  { sends: "GET / HTTP/9.9\r\nHost: \0\r\nX: \r\n\r\n", staysMs: 50, reads: true },
  { sends: `GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`, staysMs: 50, reads: true },
];

async function misbehave(kind: number): Promise<void> {
  const { sends, staysMs, reads } = clients[kind % clients.length] as (typeof clients)[number];
  const socket: Socket = connect(listener.port, "127.0.0.1");
  socket.on("error", () => {});
  if (reads) socket.resume();
  else socket.pause();
  await new Promise((resolve) => {
    socket.once("connect", resolve);
    socket.once("error", resolve);
  });
  socket.write(sends);
  await delay(staysMs);
  socket.destroy();
}

async function complete(): Promise<string> {
  const body = JSON.stringify({ prompt: "Once upon", max_tokens: 20, temperature: 1, seed: 9 });
  for (;;) {
    const response = await fetch(`${url}/v1/completions`, { method: "POST", body });
    const answer = (await response.json()) as { choices: { text: string }[] };
    if (response.status === 200) return answer.choices[0]?.text as string;
    // The others have filled the queue.
    assert.equal(response.status, 429);
    await delay(20);
  }
}

describe("a server among 200 clients that misbehave", () => {
  it("answers others as if they were alone, and keeps no slot and no job", async () => {
    const alone = await complete();
    const all = Array.from({ length: 200 }, async (_, i) => {
      await delay(5 * i);
      await misbehave(i);
    });
    const texts: string[] = [];
    for (let i = 0; i < 4; i++) texts.push(await complete());
    await Promise.all(all);
    assert.deepEqual(new Set(texts), new Set([alone]));
    for (let i = 0; ; i++) {
      const { slots, waiting, state } = await model.status();
      assert.equal(state, "ready");
      if (waiting === 0 && slots.every(({ busy }) => !busy)) break;
      if (i === 200) assert.fail("a slot stays busy");
      await delay(25);
    }
    assert.equal(await complete(), alone);
  });
});
