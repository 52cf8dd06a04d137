// `cria chat`: in a pipe, and on a terminal.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { runCli, startCli, testFolder } from "../support/cli.ts";
import { chatModel } from "../support/models.ts";
import { itUnless } from "../support/skip.ts";
import { noTerminal, runInTerminal } from "../support/terminal.ts";

const folder = testFolder();
const greedy = ["chat", "--temp", "0", "--threads", "1"];

const llama = await Llama.load(chatModel, { threads: 1 });

/** What the library answers to messages in turn. */
async function answers(messages: readonly string[], system?: string): Promise<string[]> {
  using chat = llama.chat(system === undefined ? {} : { system });
  const texts: string[] = [];
  for (const message of messages) texts.push((await chat.ask(message, { temperature: 0 })).text);
  return texts;
}

describe("cria chat in a pipe", () => {
  it("answers each line, and writes nothing else", async () => {
    const messages = ["Hello!", "Tell me a story about a cat.", "Who was the story about?"];
    const { status, stdout, stderr } = await runCli(
      greedy,
      `${messages[0]}\r\n\n${messages[1]}\n${messages[2]}`,
    );
    assert.deepEqual([status, stderr], [0, ""]);
    assert.equal(stdout, (await answers(messages)).map((text) => `${text}\n`).join(""));
  });

  it("takes a message for the system, and says on standard error what was asked for", async () => {
    const system = "You are Rose, a storyteller.";
    const args = [...greedy, "--system", system, "--stats"];
    const { status, stdout, stderr } = await runCli(args, "Who are you?\nWho are you?\n");
    assert.equal(status, 0);
    assert.equal(
      stdout,
      (await answers(["Who are you?", "Who are you?"], system)).map((text) => `${text}\n`).join(""),
    );
    assert.match(
      stderr,
      /^prompt \d+ tokens.*\nprompt \d+ tokens \(\d+ cached\).*; answer \d+ tokens.*, ended by eos; \d+ of 512 in the context\n$/,
    );
  });

  it("answers a line while the next one is not there yet", async () => {
    const { child, result } = startCli(greedy);
    child.stdin?.write("Hello!\n");
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.stdin?.end("Thank you!\n");
    const { status, stdout } = await result;
    assert.equal(status, 0);
    assert.equal(stdout, (await answers(["Hello!", "Thank you!"])).map((text) => `${text}\n`).join(""));
  });

  it("says what it had to leave out or cut off", async () => {
    const args = [...greedy, "--ignore-eos", "-n", "20", "--context", "96"];
    const { status, stderr } = await runCli(args, "Tell me a story about a cat.\n".repeat(4));
    assert.equal(status, 0);
    const cut = "warning: the answer was cut off after 20 tokens; --max-tokens sets the limit\n";
    const left = /warning: the context is full: the first (turn was|2 turns were) left out\n/;
    assert.match(stderr, left);
    assert.equal(stderr.replace(new RegExp(left, "g"), ""), cut.repeat(4));
  });

  it("ends with an error for what it cannot answer, in the words of flags", async () => {
    const long = await runCli(greedy, `${"long ".repeat(600)}\n`);
    assert.deepEqual([long.status, long.stdout], [1, ""]);
    assert.match(
      long.stderr,
      /^error: Cannot answer: Expected a prompt of at most 511 tokens, .*larger --context, or send less\n$/,
    );
    const binary = await runCli(greedy, Uint8Array.of(0xff, 0x0a));
    assert.deepEqual(
      [binary.status, binary.stderr],
      [1, "error: Cannot read standard input: Expected UTF-8 text\n"],
    );
  });

  it("ends when its reader leaves, and has nothing to say to nothing", async () => {
    const { child, result } = startCli([...greedy, "--ignore-eos", "-n", "400"]);
    child.stdin?.on("error", () => {});
    child.stdin?.end("Hello!\n".repeat(12));
    child.stdout?.once("data", () => child.stdout?.destroy());
    assert.equal((await result).status, 0);
    const nothing = await runCli(greedy, "", { stdin: "ignore" });
    assert.deepEqual([nothing.status, nothing.stdout, nothing.stderr], [0, "", ""]);
  });

  it("refuses a model without a template, and names some that have one", async () => {
    const { status, stdout, stderr } = await runCli([...greedy, "-m", "cria:tales"], "Hello!\n");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(
      stderr,
      /^error: Cannot chat: The model has no chat template, .* \(cria chat -m hf:\S+, or -m hf:\S+\), .*--chat-template FILE.*cria generate\n$/,
    );
  });

  it("refuses files without a template, naming the flag and what is wrong", async () => {
    const write = (name: string, text: string) => folder.write(name, new TextEncoder().encode(text));
    for (const [file, message] of [
      [folder.path("."), "a folder; name a file in it, such as chat_template.jinja"],
      [write("empty.jinja", "\n"), "an empty file"],
      [write("plain.jinja", "Hello"), "a text without a tag"],
    ] as const) {
      const { status, stdout, stderr } = await runCli([...greedy, "--chat-template", file], "Hello!\n");
      assert.deepEqual([status, stdout], [1, ""]);
      assert.ok(
        stderr.startsWith(`error: Cannot read --chat-template ${file}: Expected a file with`),
        stderr,
      );
      assert.ok(stderr.includes(`, got ${message}`), stderr);
    }
  });

  it("refuses operands, and tools that are none", async () => {
    const { status, stderr } = await runCli(["chat", "Hello!"]);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^error: Expected flags only; a single message goes through a pipe: echo "TEXT" \| cria chat\n/,
    );
    const file = folder.write("tools.json", new TextEncoder().encode('{"a": }'));
    const tools = await runCli([...greedy, "--tools", file], "Hello!\n");
    assert.equal(tools.status, 1);
    assert.match(tools.stderr, /^error: Cannot read .*tools\.json: Expected JSON, /);
  });
});

const ready = "Ctrl-D leaves";
const prompt = "> ";
const ends = "(cut off after 12 tokens";

describe("cria chat on a terminal", () => {
  itUnless(noTerminal, "answers, runs commands, and leaves at Ctrl-D", async () => {
    const file = folder.path("saved.json");
    const [hello] = await answers(["Hello!"]);
    const { status, output } = await runInTerminal(greedy, {
      env: { NO_COLOR: "1" },
      type: [
        { after: ready, keys: "Hello!\r" },
        { after: `${hello}\r\n`, keys: "/nothing\r" },
        { after: "Unknown command /nothing; /help lists what there is", keys: "/stts\r" },
        { after: "did you mean /stats?", keys: `/save ${file}\r` },
        { after: "(saved 2 messages to ", keys: "/undo\r" },
        { after: "(forgotten: Hello!)", keys: `/load ${file}\r` },
        { after: "(loaded 2 messages)", keys: "/system You are Rose, a storyteller.\r" },
        { after: "(system: You are Rose", keys: "Who are you?\r" },
        { after: "I am Rose", keys: "/load nowhere.json\r" },
        { after: "error: Cannot open nowhere.json: no such file", keys: "/help\r" },
        { after: "/quit", keys: "\x04" },
      ],
    });
    assert.equal(status, 0, output);
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    assert.deepEqual(messages, [
      { role: "user", content: "Hello!" },
      { role: "assistant", content: hello },
    ]);
    assert.ok(!output.includes("\x1b[1m") && !output.includes("\x1b[2m"), "no style");
  });

  itUnless(noTerminal, "Ctrl-C stops an answer, and leaves at the prompt", async () => {
    const args = [...greedy, "--ignore-eos", "-n", "480"];
    const { status, output } = await runInTerminal(args, {
      type: [
        { after: ready, keys: "Tell me a story about a cat.\r" },
        { after: "Once upon a time", keys: "\x03" },
        { after: "(stopped)", keys: "half a li\x03" },
      ],
    });
    assert.equal(status, 130, output);
    // The prompt is bold, what is said of the answer dim, and nothing stays so.
    assert.ok(output.includes("\x1b[1m> ") && output.includes("\x1b[2m(stopped)\x1b[22m"), output);
    assert.ok(output.endsWith("\x1b[?2004l\x1b[22m"), JSON.stringify(output.slice(-40)));
  });

  itUnless(noTerminal, "a second Ctrl-C leaves at once, on a line of its own", async () => {
    const { status, output } = await runInTerminal([...greedy, "--ignore-eos", "-n", "480"], {
      type: [
        { after: ready, keys: "Tell me a story about a cat.\r" },
        { after: "Once upon a time", keys: "\x03\x03" },
      ],
    });
    assert.equal(status, 130, output);
    assert.ok(output.endsWith("\x1b[?2004l\x1b[22m\r\n"), JSON.stringify(output.slice(-40)));
  });

  itUnless(noTerminal, "goes on after Ctrl-Z if no shell could continue it", async () => {
    const type = [
      { after: ready, keys: "Hel\x1a" },
      // The line is shown again.
      { after: "\x1b[?2004h", keys: "" },
      { after: "Hel", keys: "lo!\r" },
      { after: "Hello!", keys: "\x04" },
    ];
    const { status, output } = await runInTerminal(greedy, { type });
    assert.equal(status, 0, output);
    const [hello] = await answers(["Hello!"]);
    assert.ok(output.includes(`${hello}\r\n`), output);
  });

  itUnless(
    noTerminal,
    "retries with another answer, also with a seed, and shows numbers on request",
    async () => {
      const file = folder.path("retried.json");
      const args = ["chat", "--seed", "7", "--temp", "2", "-n", "12", "--threads", "1"];
      const first = { after: ready, keys: "Tell me a story.\r" };
      const said: string[] = [];
      for (const more of [[], [{ after: ends, keys: "/retry\r" }]]) {
        const type = [
          ...[
            first,
            ...more,
            { after: ends, keys: "/stats\r" },
            { after: "are shown)", keys: `/save ${file}\r` },
          ],
          ...[
            { after: "(saved 2 messages", keys: "Thank you!\r" },
            { after: "in the context)", keys: "/exit\r" },
          ],
        ];
        const { status, output } = await runInTerminal(args, { type });
        assert.equal(status, 0, output);
        said.push(JSON.parse(readFileSync(file, "utf8")).messages[1].content);
      }
      assert.notEqual(said[0], said[1]);
    },
  );

  itUnless(noTerminal, "takes pasted lines as one message, keys that come early, and history", async () => {
    const file = folder.path("pasted.json");
    const type = [
      { after: ready, keys: "\x1b[200~Tell me a story\r\nabout a cat.\x1b[201~\r" },
      // Typed while it answers, then entered again by the arrow.
      { after: "Once", keys: "Thank you!\r\x1b[A\r" },
      { after: prompt, keys: "" },
      { after: prompt, keys: "" },
      { after: prompt, keys: "Hel\\\rlo\r" },
      { after: prompt, keys: "A story \x1b[200~about\u2028é" },
      { after: "A story ", keys: "!\x1b[201~, please\r" },
      { after: prompt, keys: `/save ${file}\r` },
      { after: "(saved ", keys: "/quit\r" },
    ];
    const { status, output } = await runInTerminal([...greedy, "-n", "40"], { type });
    assert.equal(status, 0, output);
    const { messages } = JSON.parse(readFileSync(file, "utf8"));
    const said = messages.filter(({ role }: { role: string }) => role === "user");
    assert.deepEqual(
      said.map(({ content }: { content: string }) => content),
      ["Tell me a story\nabout a cat.", "Thank you!", "Thank you!", "Hel\nlo", "A story about\né!, please"],
    );
  });
});
