// wrangler, Cloudflare's bundler, in an install of its own: it is heavy, and needs a newer Node than cria.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { output, type ProcessResult, root, runProcess, tool } from "./package.ts";

const manifest = join(root, "tests/package/wrangler");

async function install(): Promise<string> {
  const lock = readFileSync(join(manifest, "bun.lock"));
  const done = join(
    root,
    ".cache",
    `wrangler-${createHash("sha256").update(lock).digest("hex").slice(0, 16)}`,
  );
  if (existsSync(done)) return done;
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(`${done}-`);
  for (const name of ["package.json", "bun.lock"]) cpSync(join(manifest, name), join(folder, name));
  // Its esbuild and workerd come as packages: no script has to run.
  await output(tool("bun"), ["install", "--frozen-lockfile", "--ignore-scripts", "--silent"], {
    cwd: folder,
  });
  try {
    renameSync(folder, done);
  } catch (error) {
    rmSync(folder, { recursive: true });
    // Another process may have been first.
    if (!existsSync(done)) throw error;
  }
  return done;
}

let prepared: Promise<readonly [string, string]> | undefined;

async function prepare(): Promise<readonly [string, string]> {
  const node = (await output("node", [join(root, "scripts/current_node.mjs")])).trim();
  return [node, join(await install(), "node_modules/wrangler/bin/wrangler.js")];
}

/** Runs `wrangler ...args` in a project. It asks nobody on the network: no news, no statistics, no account. */
export async function runWrangler(project: string, args: readonly string[]): Promise<ProcessResult> {
  prepared ??= prepare();
  const [node, script] = await prepared;
  return runProcess(node, [script, ...args], {
    cwd: project,
    env: { HOME: project, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CI: "1" },
  });
}
