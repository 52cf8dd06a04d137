// What a clone of the repository can do before anything is installed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { testFolder } from "../support/cli.ts";
import { itUnless } from "../support/skip.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const clone = testFolder();
const copied = [
  ...["src", "assembly/layout", "models", "examples/bun", "examples/deno"],
  ...["package.json", "bun.lock", "bunfig.toml", "deno.json", "tsconfig.json"],
];

const bin = (name: string) => `${root}node_modules/.bin/${name}`;
const configs = ["deno.json", "src/deno.json", "examples/deno/deno.json"];
const json = (name: string) => JSON.parse(readFileSync(root + name, "utf8"));
const packages = Object.entries(json("src/deno.json").imports as Record<string, string>).filter(
  ([, target]) => target.startsWith("npm:"),
);

/** Runs a program in the clone. */
function run(command: string, args: readonly string[], env: Record<string, string> = {}, input?: string) {
  for (const name of copied) {
    if (!existsSync(clone.path(name))) cpSync(root + name, clone.path(name), { recursive: true });
  }
  return spawnSync(command, args, {
    cwd: clone.path("."),
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    ...(input !== undefined && { input }),
  });
}

// Without a network Deno must have the packages from before.
const targets = packages.map(([, target]) => target);
const { status: known } = run(bin("deno"), ["cache", "--quiet", "--no-config", ...targets]);
const noPackages = known !== 0 && `neither a network nor Deno's cache has ${targets.join(", ")}`;

describe("a clone without node_modules", () => {
  itUnless(noPackages, "runs the command line in Deno", () => {
    const args = ["run", "--quiet", "-A", "src/cli/main.ts", "generate", "Once upon", "-n", "4"];
    const { status, stdout, stderr } = run(bin("deno"), args);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Once upon./s);
    assert.ok(!existsSync(clone.path("node_modules")), "nothing else was installed");
  });

  itUnless(noPackages, "runs the example in Deno, from any folder", () => {
    const script = clone.path("examples/deno/generate.ts");
    const { status, stdout, stderr } = run(bin("deno"), ["run", "--quiet", "--allow-read", script]);
    assert.equal(status, 0, stderr);
    assert.ok(stdout.length > 100, stdout);
  });

  it("has one version of each dependency of src/", () => {
    const { devDependencies } = json("package.json");
    for (const config of configs) {
      for (const [name, target] of Object.entries(json(config).imports as Record<string, string>)) {
        if (target.startsWith("npm:")) assert.equal(target, `npm:${name}@${devDependencies[name]}`, config);
      }
    }
  });
});

describe("bun run", () => {
  // The script calls `bun`, as it does on the machine of whoever installed it.
  const env = { PATH: `${root}node_modules/.bin:${process.env.PATH}` };

  it("leaves standard error to the program", () => {
    for (const [name] of packages) {
      const folder = `node_modules/${name}`;
      cpSync(root + folder, clone.path(folder), { recursive: true, dereference: true });
    }
    const { status, stdout, stderr } = run(
      bin("bun"),
      ["run", "generate", "Once", "-n", "4", "--stats"],
      env,
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Once./s);
    assert.equal(JSON.parse(stderr).generatedTokens, 4);
    assert.deepEqual(stderr.split("\n").slice(1), [""], "one line");
  });

  it("chat talks with the model that is there", () => {
    const { status, stdout, stderr } = run(bin("bun"), ["run", "chat", "--temp", "0"], env, "Hello!\n");
    assert.deepEqual(
      [status, stdout, stderr],
      [0, "Hello! Shall I tell you a story? Who should be in it?\n", ""],
    );
  });

  it("says of a failure what the program says", () => {
    const { status, stdout, stderr } = run(bin("bun"), ["run", "generate", "-m", "absent.gguf"], env);
    assert.deepEqual([status, stdout, stderr], [1, "", "error: Cannot open absent.gguf: no such file\n"]);
  });
});
