// A peer in a process of its own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { builtFolder, program } from "./install.ts";
import {
  ANSWER_MARK,
  type Answer,
  type LoadRequest,
  type Memory,
  type NllRequest,
  type Peer,
} from "./protocol.ts";

/** Peers by name. `memory` is not an engine: its threads only read. */
export const peerNames = ["native", "deno", "bun", "chromium", "wllama", "fugood", "memory"] as const;
export type PeerName = (typeof peerNames)[number];

/** Peers that run in a page. */
export const inBrowser: ReadonlySet<PeerName> = new Set(["chromium", "wllama", "fugood"]);

const CALL_MS = 300_000;
const END_MS = 5_000;

const criaProcess = fileURLToPath(new URL("adapters/cria_process.ts", import.meta.url));
const commands: Readonly<Record<PeerName, readonly string[]>> = {
  native: ["node", `${builtFolder}native.js`],
  deno: [program("deno"), "run", "--allow-all", "--no-check", criaProcess],
  bun: [program("bun"), criaProcess],
  chromium: ["node", `${builtFolder}chromium.js`, "cria"],
  wllama: ["node", `${builtFolder}chromium.js`, "wllama"],
  fugood: ["node", `${builtFolder}chromium.js`, "fugood"],
  memory: [program("bun"), fileURLToPath(new URL("adapters/memory_process.ts", import.meta.url))],
};

// Through this addon llama.cpp starts its second thread again for each token, and Linux often starts it on the core of the
// first. Small models then decode ten times slower. Linux spreads real-time threads over the cores at once. One thread in
// Node's pool means that all calls come from the same thread.
const environments: Readonly<Partial<Record<PeerName, Record<string, string>>>> = {
  native: { UV_THREADPOOL_SIZE: "1" },
};
const REAL_TIME = ["chrt", "--rr", "1"];

function canRunInRealTime(): boolean {
  if (process.env.CRIA_NO_REALTIME) return false;
  try {
    const [command = "", ...args] = REAL_TIME;
    execFileSync(command, [...args, "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether peers run with real-time threads: if `chrt` exists and may be used. Other programs get no time beside them, so
 * CRIA_NO_REALTIME switches them off on a machine that others need.
 */
export const inRealTime: boolean = canRunInRealTime();

const running = new Set<ChildProcess>();

// An interrupted run ends every peer: a peer ends, with its browser, when its input ends.
process.on("SIGINT", () => {
  for (const child of running) child.stdin?.end();
  setTimeout(() => process.exit(130), 1000);
});

/** One peer, started and waiting for calls. */
export class PeerProcess {
  readonly name: PeerName;
  readonly #child: ChildProcess;
  #settle: ((answer: Answer) => void) | undefined;
  #dead: string | undefined;

  constructor(name: PeerName) {
    this.name = name;
    const prefix = inRealTime ? REAL_TIME : [];
    const [command = "", ...args] = [...prefix, ...commands[name]];
    const env = { ...process.env, ...environments[name] };
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#child = child;
    running.add(child);
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (line.startsWith(ANSWER_MARK)) this.#settle?.(JSON.parse(line.slice(ANSWER_MARK.length)));
      else console.error(`${name}: ${line}`);
    });
    child.on("error", (error) => this.#die(error.message));
    child.on("exit", (code, signal) => this.#die(`the process ended with ${signal ?? code}`));
    child.stdin!.on("error", () => {});
  }

  /** Name and versions of the engine. */
  async about(): Promise<string> {
    return (await this.#call<{ version: string }>("about")).version;
  }

  /** Returns milliseconds. */
  async load(request: LoadRequest): Promise<number> {
    const { ms, threads } = await this.#call<{ ms: number; threads: number }>("load", request);
    if (threads !== request.threads) {
      throw new Error(`${this.name}: Expected ${request.threads} threads, got ${threads}`);
    }
    return ms;
  }

  /** Returns milliseconds. */
  async prefill(tokens: number): Promise<number> {
    return (await this.#call<{ ms: number }>("prefill", { tokens })).ms;
  }

  /** Returns milliseconds per token. */
  async decode(tokens: number, position: number): Promise<number> {
    return (await this.#call<{ ms: number }>("decode", { tokens, position })).ms;
  }

  /** What it occupies so far. */
  async memory(): Promise<Memory> {
    return this.#call<Memory>("memory");
  }

  /** Returns nats per token. */
  async nll(request: NllRequest): Promise<number> {
    return (await this.#call<{ nll: number }>("nll", request)).nll;
  }

  /** Ends the process and waits until it has exited. */
  async end(): Promise<void> {
    if (this.#dead !== undefined) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await gone;
    clearTimeout(timer);
  }

  #die(reason: string): void {
    this.#dead ??= reason;
    running.delete(this.#child);
    this.#settle?.({ error: reason });
  }

  async #call<T>(op: keyof Peer, request?: unknown): Promise<T> {
    if (this.#dead !== undefined) throw new Error(`${this.name}: ${this.#dead}`);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const answer = await new Promise<Answer>((resolve) => {
      this.#settle = resolve;
      timer = setTimeout(() => resolve({ error: `no answer within ${CALL_MS} ms` }), CALL_MS);
      this.#child.stdin!.write(`${JSON.stringify({ op, request })}\n`);
    });
    clearTimeout(timer);
    this.#settle = undefined;
    if ("error" in answer) throw new Error(`${this.name} cannot ${op}: ${answer.error}`);
    return answer.ok as T;
  }
}
