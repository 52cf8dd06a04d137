// What people see: styles, progress and Ctrl-C on a real terminal.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  bold,
  canRedraw,
  canStyle,
  columnsOf,
  fitWidth,
  textWidth,
} from "../../../src/cli/terminal/terminal.ts";
import { runCli, startCli, testFolder, wordyModel } from "../../support/cli.ts";
import { embeddedModel } from "../../support/models.ts";
import { itUnless } from "../../support/skip.ts";
import { noTerminal, runInTerminal } from "../../support/terminal.ts";

const args = ["generate", "-n", "8", "--temp", "0"];
const prompt = "Once upon a time";

describe("cria generate on a terminal", () => {
  itUnless(
    noTerminal,
    "shows the prompt in bold and the continuation without, then ends the line",
    async () => {
      const { stdout } = await runCli([...args, prompt]);
      const continuation = stdout.slice(prompt.length);
      for (const options of [{}, { stdin: prompt }]) {
        const given = "stdin" in options ? [] : [prompt];
        const { status, output } = await runInTerminal([...args, ...given], options);
        assert.equal(status, 0);
        const shown = withoutProgress(output);
        assert.equal(shown, `\x1b[1m${prompt}\x1b[22m${continuation}\r\n`);
      }
    },
  );

  itUnless(noTerminal, "uses no style with NO_COLOR or on a terminal that has none", async () => {
    const { stdout } = await runCli([...args, prompt]);
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }] as Record<string, string>[]) {
      const { output } = await runInTerminal([...args, prompt], { env });
      assert.equal(withoutProgress(output), `${stdout}\r\n`, JSON.stringify(env));
    }
  });

  itUnless(noTerminal, "leaves no style behind when Ctrl-C ends it", async () => {
    const wordy = wordyModel(testFolder());
    const type = { after: "word1", keys: "\x03" };
    const { status, output } = await runInTerminal(["generate", "Once", ...wordy], { type });
    assert.equal(status, 130);
    const styles = withoutProgress(output).split("\x1b").slice(1);
    assert.deepEqual(
      styles.map((text) => text.slice(0, 4)),
      ["[1mO", "[22m"],
    );
    assert.match(output, /\n$/);
  });

  itUnless(noTerminal, "writes no escape sequence into a file", async () => {
    const { status, output } = await runInTerminal([...args, prompt], { stdout: false });
    assert.equal(status, 0);
    assert.equal(withoutProgress(output), "");
    const { stdout } = await runCli([...args, prompt]);
    assert.ok(!stdout.includes("\x1b"));
  });
});

const model = readFileSync(embeddedModel);

/** A model that never comes: its first bytes, and then nothing more. */
async function withSlowServer(body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": model.length });
    response.write(model.subarray(0, 500_000));
    request.on("close", () => response.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe("progress of a download", () => {
  for (const columns of [80, 30]) {
    itUnless(noTerminal, `is a line of a terminal with ${columns} columns, gone before the end`, () =>
      withSlowServer(async (url) => {
        const type = { after: "loading", keys: "\x03" };
        const { status, output } = await runInTerminal(["generate", "Once", "-m", url], { columns, type });
        assert.equal(status, 130);
        // Typed as ^C by the terminal itself.
        const drawn = output.replace("^C", "").split("\r").slice(1);
        assert.equal(drawn.at(-1), "\x1b[K", "the line is cleared");
        for (const line of drawn.slice(0, -1)) {
          assert.ok(line.startsWith("loading ") && line.endsWith("\x1b[K"), line);
          assert.ok(textWidth(line.replace("\x1b[K", "")) < columns, line);
        }
      }),
    );
  }

  it("is lines without escape sequences elsewhere", () =>
    withSlowServer(async (url) => {
      const { child, result } = startCli(["generate", "Once", "-m", url], { progress: true });
      await Promise.race([
        once(child.stderr as NonNullable<typeof child.stderr>, "data"),
        result,
        delay(30_000),
      ]);
      process.kill(child.pid as number, "SIGINT");
      const { status, stderr } = await result;
      assert.equal(status, 130);
      assert.match(stderr, /^(?:loading model\.gguf [ -~]*\n)+$/);
    }));

  it("leaves standard error to --stats", () =>
    withSlowServer(async (url) => {
      const { child, result } = startCli(["generate", "Once", "-m", url, "--stats"], { progress: true });
      await delay(1500);
      process.kill(child.pid as number, "SIGINT");
      const { status, stderr } = await result;
      assert.deepEqual([status, stderr], [130, ""]);
    }));
});

describe("terminal streams", () => {
  it("have styles and redraw when they are terminals", () => {
    for (const isTTY of [false, undefined]) {
      const stream = isTTY === undefined ? {} : { isTTY };
      assert.equal(canRedraw(stream), false);
      assert.equal(canStyle(stream), false);
    }
    assert.deepEqual([{}, { columns: 0 }, { columns: 33 }].map(columnsOf), [80, 80, 33]);
  });

  it("fit a text by what its characters take", () => {
    assert.equal(textWidth("aé模e\u0301🙂"), 7);
    assert.equal(fitWidth("abcdef", 6), "abcdef");
    assert.equal(fitWidth("abcdef", 5), "abcd…");
    assert.equal(fitWidth("模型模型", 6), "模型…");
    assert.deepEqual([fitWidth("ab", 1), fitWidth("ab", 0)], ["…", ""]);
  });

  it("get no style around nothing", () => {
    assert.equal(bold(""), "");
  });
});

/** Loading may take long enough to be told. */
function withoutProgress(output: string): string {
  const redrawn = output
    .replaceAll("\x1b[K", "")
    .replace(/\r(?:loading[^\r\n]*)?(?=\r(?!\n)|[^\r\n]|$)/g, "");
  return redrawn.replace(/^(?:loading[^\r\n]*\r\n)+/, "");
}
