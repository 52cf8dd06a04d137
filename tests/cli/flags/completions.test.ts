// Completions, asked for as the shells ask.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { runCli, testFolder } from "../../support/cli.ts";
import { itUnless } from "../../support/skip.ts";

const folder = testFolder();
const shells = ["bash", "zsh", "fish"] as const;

const missing = (shell: string) => spawnSync(shell, ["-c", ":"]).status !== 0 && `needs ${shell}`;

/** The path of the script that `cria completions` prints. */
async function script(shell: string): Promise<string> {
  const { status, stdout, stderr } = await runCli(["completions", shell]);
  assert.deepEqual([status, stderr], [0, ""]);
  return folder.write(`completions.${shell}`, new TextEncoder().encode(stdout));
}

function output(shell: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(shell, args, { encoding: "utf8", cwd: folder.path(".") });
  assert.deepEqual([status, stderr], [0, ""], stdout);
  return stdout;
}

/** Words that complete a line, sorted. The last word of the line is the one to complete. */
const complete: Record<(typeof shells)[number], (file: string, line: string) => string[]> = {
  bash(file, line) {
    // Bash splits words at "=" too.
    const words = line.split(/ |(=)/).filter((word) => word !== undefined);
    const program = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cria; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines(output("bash", ["-c", program, file, ...words]));
  },
  fish(file, line) {
    const found = output("fish", ["--no-config", "-c", `source ${file}; complete -C '${line}'`]);
    return lines(found).map((text) => text.split("\t")[0] as string);
  },
  zsh(file, line) {
    // Zsh completes on a terminal only: one inside of zsh, whose lists are read. It gives completion up if more is typed
    // meanwhile, so nothing is.
    const program = `
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z "PS1= PROMPT_EOL_MARK= ; unsetopt zle_bracketed_paste 2>/dev/null; autoload -U compinit; compinit -u -D"
      zpty -w z "source $1; LISTMAX=1000; zstyle ':completion:*' list-colors ''; bindkey '^X' list-choices"
      zpty -w z "compadd() { if [[ \\\${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd \\"\\$@\\"; return; fi; typeset -a hits; builtin compadd -O hits \\"\\$@\\"; for h in \\$hits; do print -r -- \\"HIT:\\$h:\\"; done; builtin compadd \\"\\$@\\"; }"
      zpty -w z "settle() { zle expand-or-complete; print -r -- SET''TLED }; zle -N settle; bindkey '^I' settle"
      zpty -w z "print READY"
      zpty -r z out '*READY*READY*'
      zpty -n -w z "$2"$'\\t'
      zpty -r z out '*SETTLED*'
      print -r -- "$out"
      zpty -d z`;
    const found = output("zsh", ["-f", "-c", program, "zsh", file, line]);
    return [...new Set([...found.matchAll(/HIT:([^:\r\n]*):/g)].map((match) => match[1] as string))].sort();
  },
};

function lines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

const commands = [
  "chat",
  "completions",
  "convert",
  "generate",
  "help",
  "list",
  "perplexity",
  "pull",
  "quantize",
  "remove",
  "serve",
  "show",
  "tokenize",
  "train-tokenizer",
];

for (const shell of shells) {
  describe(`cria completions ${shell}`, () => {
    itUnless(missing(shell), "is a script without mistakes", async () => {
      output(shell, ["-n", await script(shell)]);
    });

    itUnless(missing(shell), "completes commands, flags and choices", async () => {
      const file = await script(shell);
      const words = (line: string) => complete[shell](file, line);
      const all = words("cria ").filter((word) => !word.startsWith("-"));
      assert.deepEqual(all, commands);
      assert.deepEqual(words("cria gen"), ["generate"]);
      assert.deepEqual(words("cria generate --max"), ["--max-tokens"]);
      assert.deepEqual(words("cria generate --kv "), ["f16", "f32", "q8"]);
      assert.deepEqual(words("cria train-tokenizer --model-type b"), ["bpe", "byte-bpe"]);
      assert.deepEqual(words("cria tokenize --c"), ["--count"]);
      assert.deepEqual(words("cria completions "), ["bash", "fish", "zsh"]);
      assert.deepEqual(words("cria help tok"), ["tokenize"]);
    });
  });
}

describe("cria completions bash", () => {
  itUnless(missing("bash"), "completes the value after =, and leaves files to the shell", async () => {
    const file = await script("bash");
    assert.deepEqual(complete.bash(file, "cria generate --kv="), ["f16", "f32", "q8"]);
    assert.deepEqual(complete.bash(file, "cria generate --kv=q"), ["q8"]);
    assert.deepEqual(complete.bash(file, "cria generate --model "), []);
    assert.deepEqual(complete.bash(file, "cria train-tokenizer "), []);
  });

  itUnless(missing("bash"), "knows every flag that the help lists", async () => {
    const file = await script("bash");
    for (const command of ["generate", "tokenize", "train-tokenizer"]) {
      const { stdout } = await runCli(["help", command]);
      const listed = [...stdout.matchAll(/^ {2}(?:(-\w), )?(--[a-z0-9-]+)/gm)].flatMap((match) =>
        match.slice(1),
      );
      const flags = complete.bash(file, `cria ${command} -`);
      for (const flag of listed)
        if (flag !== undefined) assert.ok(flags.includes(flag), `${command} ${flag}`);
    }
  });
});

describe("cria completions", () => {
  it("refuses other shells, and none", async () => {
    for (const [args, got] of [
      [["tcsh"], "tcsh"],
      [[], "nothing"],
      [["bash", "zsh"], "bash zsh"],
    ] as const) {
      const { status, stdout, stderr } = await runCli(["completions", ...args]);
      assert.deepEqual([status, stdout], [2, ""]);
      assert.ok(stderr.startsWith(`error: Expected one of bash, zsh, fish, got ${got}\n`), stderr);
    }
  });
});
