// llama.cpp in a process of its own, with several sequences.
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../peers/native_streams.mjs", import.meta.url));
// One thread of Node's pool makes all calls: see peers/peer_process.ts.
const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };

/** What native_streams.mjs is asked. */
export type NativeCall =
  | { readonly streams: number; readonly tokens: number; readonly position: number }
  | { readonly prefill: number };

/** A process that decodes with llama.cpp. */
export class Native {
  /** The release of llama.cpp. */
  readonly release: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, release: string) {
    this.#child = child;
    this.#lines = lines;
    this.release = release;
  }

  /** Loads a model. @throws if node-llama-cpp is not installed */
  static async load(
    file: string,
    threads: number,
    sequences: number,
    contextLength: number,
  ): Promise<Native> {
    const args = [program, file, `${threads}`, `${sequences}`, `${contextLength}`];
    const child = spawn("node", args, { stdio: ["pipe", "pipe", "pipe"], env });
    let errors = "";
    child.stderr?.on("data", (text) => {
      errors += text;
    });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error(`native_streams.mjs ended: ${errors.trim().split("\n").at(-1)}`);
    return new Native(child, lines, JSON.parse(value).ready);
  }

  /** Milliseconds of what is asked. */
  async ms(call: NativeCall): Promise<number> {
    this.#child.stdin?.write(`${JSON.stringify(call)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("native_streams.mjs ended");
    return JSON.parse(value).ms;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}
