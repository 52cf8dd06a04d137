// The examples of clients: each holds a conversation with `cria serve`, in Bun, Deno and a current Node.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { sendSignal, startCli } from "../support/cli.ts";
import { output, root, tool } from "../support/package.ts";
import { itUnless } from "../support/skip.ts";

const example = (name: string) => join(root, "examples/clients", name);

/** What every client hears at temperature 0, in whatever runtime. */
const heard = `streamed: Hello! Shall I tell you a story? Who should be in it?
tokens: 12 + 19
stopped: Once upon a time, there was a little cat named Kitty (stop)
sure: Once 85 % (or One), upon 92 % (or there), a 100 % (or an)
left after N pieces
`;

const needs: Record<string, string> = {
  openai: "openai",
  langchain: "@langchain/openai",
  ai_sdk: "@ai-sdk/openai-compatible",
};

describe("examples/clients", () => {
  let url = "";
  let node = "";
  let server: ReturnType<typeof startCli>;

  before(async () => {
    node = (await output("node", [join(root, "scripts/current_node.mjs")])).trim();
    server = startCli(["serve", "--port", "0", "--model", "cria:tales-chat", "--threads", "1"]);
    const [line] = await once(server.child.stdout as Readable, "data");
    url = `${/http:\/\/127\.0\.0\.1:\d+/.exec(String(line))?.[0]}`;
    while ((await fetch(`${url}/health`)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 25));
  });

  after(async () => {
    sendSignal(server.child, "SIGINT");
    await server.result;
  });

  for (const [name, dependency] of Object.entries(needs)) {
    const missing = !existsSync(join(root, "node_modules", dependency)) && `${dependency} is not installed`;
    itUnless(missing, `${name}.mjs talks in Bun, Deno and Node`, async () => {
      const path = example(`${name}.mjs`);
      for (const [program, ...args] of [
        [tool("bun"), path],
        [tool("deno"), "run", "-A", "--no-check", path],
        [node, path],
      ] as const) {
        const said = await output(program, [...args, `${url}/v1`]);
        // Clients see what had come before they left.
        assert.equal(said.replace(/after \d pieces/, "after N pieces"), heard, program);
      }
    });
  }

  it("curl.sh talks", async () => {
    const lines = (await output("sh", [example("curl.sh"), `${url}/v1`]))
      .split("\n")
      .filter((line) => line !== "");
    const done = lines.indexOf("data: [DONE]");
    const said = lines
      .slice(0, done)
      .map((line) => JSON.parse(line.slice("data: ".length)).choices[0].delta.content);
    assert.equal(said.join("").trim(), "Hello! Shall I tell you a story? Who should be in it?");
    const { message, finish_reason, logprobs } = JSON.parse(lines[done + 1] as string).choices[0];
    assert.equal(message.content.trim(), "Once upon a time, there was a little cat named Kitty");
    assert.equal(finish_reason, "stop");
    assert.equal(logprobs.content[0].top_logprobs.length, 2);
    assert.match(lines[done + 2] as string, /^data: \{/);
  });

  it("leave no slot of the server taken", async () => {
    for (;;) {
      const slots = (await (await fetch(`${url}/slots`)).json()) as { is_processing: boolean }[];
      assert.ok(slots.length > 0);
      if (slots.every((slot) => !slot.is_processing)) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  });
});
