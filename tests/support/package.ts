// The package as users get it: built, packed and installed. Built once for each state of the sources, in
// .cache/, so that no test needs an earlier step.
import assert from "node:assert/strict";
import { type SpawnOptions, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { Llama } from "../../src/mod.ts";
import { embeddedModel } from "./models.ts";

/** The folder of the repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The path of a tool that is installed with the repository. */
export const tool = (name: string) => join(root, "node_modules", ".bin", name);

/** The embedded model on disk. */
export const modelPath = fileURLToPath(embeddedModel);

/** What no test waits for. */
const LIMIT_MS = 110_000;

/** What a process left behind. */
export interface ProcessResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: "1", ...options.env };
    const child = spawn(command, args, { ...options, env, stdio: ["ignore", "pipe", "pipe"] });
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk) => (stdout += chunk));
    child.stderr?.on("data", (chunk) => (stderr += chunk));
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(limit);
      resolve({ status, stdout, stderr });
    });
  });
}

/** Runs a program that must end well; the result is its standard output. */
export async function output(
  command: string,
  args: readonly string[],
  options?: SpawnOptions,
): Promise<string> {
  const { status, stdout, stderr } = await runProcess(command, args, options);
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A folder that is removed after the tests of a file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "cria-package-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const inputs = ["src", "assembly/layout", "models", "scripts", "package.json", "README.md", "LICENSE"];

function filesOf(path: string): string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path)).flatMap((name) => filesOf(`${path}/${name}`));
}

function sourceHash(): string {
  const hash = createHash("sha256");
  for (const path of inputs.flatMap(filesOf).sort()) {
    hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  }
  return hash.digest("hex").slice(0, 16);
}

const DAY_MS = 86_400_000;

function removeOld(cache: string): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (Date.now() - statSync(path).mtimeMs > DAY_MS) rmSync(path, { recursive: true, force: true });
  }
}

async function buildPackage(): Promise<string> {
  const cache = join(root, ".cache/package");
  mkdirSync(cache, { recursive: true });
  const done = join(cache, sourceHash());
  if (existsSync(done)) return done;
  removeOld(cache);
  const folder = mkdtempSync(`${done}-`);
  try {
    await fillPackage(folder);
    renameSync(folder, done);
  } catch (error) {
    rmSync(folder, { recursive: true });
    // Another process may have been first.
    if (!existsSync(done)) throw error;
  }
  return done;
}

async function fillPackage(folder: string): Promise<void> {
  for (const name of ["package.json", "README.md", "LICENSE", "models", "src"]) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  await output("node", [join(root, "scripts/dist.mjs"), join(folder, "dist")]);
  await output("npm", ["pack", "--ignore-scripts", "--silent"], { cwd: folder });
}

let built: Promise<string> | undefined;

/** The folder of the built package: package.json, dist/, models/, and the packed tarball. */
export function packageFolder(): Promise<string> {
  built ??= buildPackage();
  return built;
}

/** Puts a project into `folder` that has installed the packed tarball, and nothing else. */
export async function installPackage(folder: string): Promise<void> {
  const from = await packageFolder();
  const tarball = readdirSync(from).find((name) => name.endsWith(".tgz")) as string;
  await output("npm", ["init", "-y", "--silent"], { cwd: folder });
  await output("npm", ["install", "--offline", "--no-audit", "--no-fund", join(from, tarball)], {
    cwd: folder,
  });
}

/** What a program must print, whatever runs it and however it was built. */
export interface Bits {
  readonly text: string;
  /** SHA-256 of the logits after the text. */
  readonly logits: string;
  readonly threads: number;
}

/** Source text of a function `bits(Llama, source, options)`, for programs that tests write. */
export const bitsFunction = `
async function bits(Llama, source, options) {
  const llama = await Llama.load(source, options);
  const { text, ids } = await llama.complete("Once upon a time", { maxTokens: 60, temperature: 0.8, seed: 7 });
  const logits = (await llama.logits(ids)).slice();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", logits));
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const result = { text, logits: hex, threads: llama.threads };
  llama.dispose();
  return result;
}
`;

let expected: Promise<Omit<Bits, "threads">> | undefined;

/** What the sources themselves compute in the runtime of the tests, in one thread. */
export function expectedBits(): Promise<Omit<Bits, "threads">> {
  expected ??= (async () => {
    const bits = new Function(`${bitsFunction} return bits;`)();
    const { text, logits } = await bits(Llama, modelPath, { threads: 1 });
    return { text, logits };
  })();
  return expected;
}

/** Asserts that a program's output has the expected bits, computed by `threads` threads. */
export async function assertBits(stdout: string, threads: number): Promise<void> {
  assert.deepEqual(JSON.parse(stdout), { ...(await expectedBits()), threads });
}
