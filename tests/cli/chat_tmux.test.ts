// `cria chat` in tmux: what stands on the screen of a real terminal, lines that are edited, text that is pasted, Ctrl-Z.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, describe } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { cliCommand, testFolder } from "../support/cli.ts";
import { itUnless } from "../support/skip.ts";

// Servers of its own: nobody else's sessions are touched.
let server = "";
let servers = 0;
const noTmux = spawnSync("tmux", ["-V"]).status === 0 ? false : "needs tmux";
const folder = testFolder();

function tmux(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("tmux", ["-L", server, "-f", "/dev/null", ...args], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

const screen = () => tmux("capture-pane", "-p").trimEnd();
/** Begins a terminal of its own. */
function begin(shell: string): void {
  end();
  server = `cria-${process.pid}-${++servers}`;
  tmux("new-session", "-d", "-x", "70", "-y", "30", shell);
}

const end = () => spawnSync("tmux", ["-L", server, "kill-server"]);
const command = cliCommand(["chat", "--temp", "0", "-n", "12"]).join(" ");
const type = (...keys: readonly string[]) => tmux("send-keys", ...keys);

/** Waits until the screen ends so. */
async function until(end: RegExp): Promise<string> {
  for (let i = 0; i < 200; i++) {
    const shown = screen();
    if (end.test(shown)) return shown;
    await delay(50);
  }
  throw new Error(`Expected ${end}, the screen has\n${screen()}`);
}

describe("cria chat in tmux", () => {
  after(() => {
    if (noTmux === false) end();
  });

  itUnless(
    noTmux,
    "edits lines, pastes several as one, repeats what was said, and leaves a clean screen",
    async () => {
      const file = folder.path("said.json");
      begin(`${command} ; echo LEFT $?; sleep 60`);
      await until(/Ctrl-D leaves\n>$/);
      type("Helo", "Left", "l", "End", "!", "BSpace", "!", "Enter");
      await until(/^.*\n> Hello!\nHello!.*\n(\(cut off.*\n)?>$/);
      tmux("set-buffer", "Tell me a story\nabout a cat\u00e9.\tPlease");
      tmux("paste-buffer", "-p");
      await until(/> Tell me a story\u2424about a cat\u00e9\.\u2409Please$/);
      type("Enter");
      await until(/Please\nOnce.*\n\(cut off after 12 tokens.*\n>$/);
      type("Up", "Up");
      await until(/\n> Hello!$/);
      type("C-u", `/save ${file}`, "Enter");
      await until(/\(saved 4 messages to .*\n?.*\)\n>$/);
      type("C-d");
      await until(/\n>\nLEFT 0$/);
      const { messages } = JSON.parse(readFileSync(file, "utf8"));
      assert.equal(messages[2].content, "Tell me a story\nabout a cat\u00e9.\tPlease");
    },
  );

  itUnless(noTmux, "Ctrl-Z stops it with the script that runs it, and fg goes on with the line", async () => {
    const script = folder.write("run.sh", new TextEncoder().encode(`${command}; exit $?\n`));
    begin("PS1='$ ' bash --norc -i");
    await until(/\$$/);
    type(`bash ${script}`, "Enter");
    await until(/Ctrl-D leaves\n>$/);
    type("Hel", "C-z");
    await until(/Stopped.*\n\$$/);
    type("echo meanwhile", "Enter");
    await until(/\nmeanwhile\n\$$/);
    type("fg", "Enter");
    await until(/\n> Hel$/);
    type("lo!", "Enter");
    await until(/\n> Hello!\nHello!.*\n(\(cut off.*\n)?>$/);
    type("C-c");
    await until(/\n\$$/);
  });
});
