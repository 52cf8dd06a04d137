// Runs the command line as a process of its own, in the runtime that runs the tests.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { llama2cFile, tokenizerBin } from "./llama2c_writer.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** What a process left behind. */
export interface CliResult {
  /** Exit status; null where a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command line. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
}

/** What no test waits for. */
const LIMIT_MS = 60_000;

// The packages that are installed, and not those of Deno's own cache, which may need the network.
const config = fileURLToPath(new URL("../../deno.json", import.meta.url));

function runtimeArgs(denoFlags: readonly string[]): readonly string[] {
  return "deno" in process.versions ? ["run", "--quiet", "--config", config, ...denoFlags] : [];
}

export interface CliOptions {
  /** A file descriptor for standard input, or none at all, instead of a pipe. */
  readonly stdin?: number | "ignore";
  /** A file descriptor for standard output instead of a pipe. */
  readonly stdout?: number;
  /** What Deno is started with. Default: all permissions. */
  readonly denoFlags?: readonly string[];
  /** Whether lines about progress stay in standard error. */
  readonly progress?: boolean;
}

/** What starts `cria ...args`: a program and its arguments. */
export function cliCommand(args: readonly string[], denoFlags: readonly string[] = ["-A"]): string[] {
  return [process.execPath, ...runtimeArgs(denoFlags), main, ...args];
}

/** Starts `cria ...args`. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const { stdin = "pipe", stdout: fd = "pipe", denoFlags = ["-A"], progress = false } = options;
  const [program, ...programArgs] = cliCommand(args, denoFlags);
  const child = spawn(program as string, programArgs, { stdio: [stdin, fd, "pipe"] });
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const end = async () => {
    const status = await closed;
    clearTimeout(limit);
    const messages = await stderr;
    return { status, stdout: await stdout, stderr: progress ? messages : withoutProgress(messages) };
  };
  return { child, result: end() };
}

/** Lines about progress come from a machine that is slow at the moment: no test of something else sees them. */
function withoutProgress(text: string): string {
  return text.replace(/^(?:loading|pulling|scoring|training)\b.*\n/gm, "");
}

/** All that a stream gives until it ends or is destroyed. Bun and Deno end processes before paused streams. */
function collect(stream: Readable | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  const text = () => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(chunks));
  return new Promise((resolve) => {
    if (!stream) return resolve("");
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve(text()));
    stream.on("close", () => resolve(text()));
  });
}

/** Sends a signal. Deno's child.kill() would make the signal the result, whatever the process does with it. */
export function sendSignal(child: ChildProcess, signal: "SIGINT" | "SIGTERM"): void {
  process.kill(child.pid as number, signal);
}

/** Runs `cria ...args` to its end, with `stdin` as all its input. */
export function runCli(
  args: readonly string[],
  stdin: string | Uint8Array = "",
  options: CliOptions = {},
): Promise<CliResult> {
  const { child, result } = startCli(args, options);
  // A process that has ended reads no input.
  child.stdin?.on("error", () => {});
  child.stdin?.end(stdin);
  return result;
}

/** A folder for the files of one test file; it is removed after the tests. */
export function testFolder(): { path(name: string): string; write(name: string, bytes: Uint8Array): string } {
  const folder = mkdtempSync(join(tmpdir(), "cria-"));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  const write = (name: string, bytes: Uint8Array) => {
    writeFileSync(path(name), bytes);
    return path(name);
  };
  return { path, write };
}

/**
 * Arguments for a tiny random model whose tokens are very long: what it generates is far more than a pipe
 * holds, so that a process whose output nobody reads cannot come to its end.
 */
export function wordyModel(folder: ReturnType<typeof testFolder>): string[] {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const words = Array.from({ length: 256 }, (_, i) => `▁word${i}`.repeat(200));
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, ...words];
  const scores = pieces.map((_, i) => -i);
  const { bytes: model } = llama2cFile({ config: { vocab_size: pieces.length, seq_len: 4000 } });
  return [
    ...["--model", folder.write("wordy.bin", model)],
    ...["--tokenizer", folder.write("wordy_tokenizer.bin", tokenizerBin({ pieces, scores }))],
    ...[
      "--ignore-eos",
      "--temperature",
      "2",
      "--top-k",
      "0",
      "--top-p",
      "1",
      "--seed",
      "7",
      "--threads",
      "1",
    ],
  ];
}
