// Reads lines from a terminal: editing and history of node:readline, pasted text as one line, Ctrl-C and Ctrl-Z by themselves.
import { Buffer } from "node:buffer";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { onCtrlC } from "../terminal/interrupt.ts";
import { canRedraw } from "../terminal/terminal.ts";
import { PastedKeys, type Typed, type TypedKeys, withLineEnds } from "./pasted_keys.ts";

/** What the prompt was answered with. */
export type Entry = { readonly line: string } | "interrupt" | "end";

/** Marks of pasted text on and off. */
const MARK_PASTES = "\x1b[?2004h";
const MARK_NO_PASTES = "\x1b[?2004l";

/** Within this time a program that is told to stop has stopped. */
const STOP_MS = 100;

const ENTER = /[\r\n]/;

/** The terminal on standard input, while it is ours. */
export class LineEditor {
  /** Called at Ctrl-C while no line is read. */
  onInterrupt: () => void = () => {};
  readonly #output: NodeJS.WriteStream;
  readonly #isRaw: boolean;
  readonly #keys = new PassThrough();
  readonly #pastes = new PastedKeys();
  readonly #lines: Interface;
  /** What was typed while no line was read. */
  #ahead: TypedKeys[] = [];
  /** Lines that a terminal without editing gave meanwhile. */
  readonly #waiting: string[] = [];
  #answer: ((entry: Entry) => void) | undefined;
  #isClosed = false;

  /** @param output where lines are shown: a terminal too */
  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#isRaw = canRedraw(output) && typeof process.stdin.setRawMode === "function";
    this.#lines = createInterface({
      input: this.#isRaw ? this.#keys : process.stdin,
      output,
      terminal: this.#isRaw,
      historySize: 1000,
      removeHistoryDuplicates: true,
    });
    this.#lines.on("line", (line) => this.#settle({ line: withLineEnds(line) }));
    this.#lines.on("close", () => this.#settle("end"));
    onCtrlC(() => this.#interrupt());
    if (this.#isRaw) this.#begin();
  }

  /** Shows a prompt, and reads what is entered. @param after what is written behind it: the end of a style */
  async read(prompt: string, after: string): Promise<Entry> {
    const entry = await this.#entry(prompt);
    this.#output.write(typeof entry === "object" ? after : `${after}\n`);
    return entry;
  }

  #entry(prompt: string): Promise<Entry> {
    const line = this.#waiting.shift();
    if (line !== undefined) return Promise.resolve({ line });
    if (this.#isClosed) return Promise.resolve("end");
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#lines.setPrompt(prompt);
      this.#lines.prompt();
      this.#feed();
    });
  }

  /** Ends the program in the middle of a line: the shell's prompt stands on one of its own. */
  leave(status: number): never {
    if (this.#isRaw) process.on("exit", () => this.#output.write("\n"));
    process.exit(status);
  }

  /** Gives the terminal back. Safe to call twice. */
  close(): void {
    this.#isClosed = true;
    this.#lines.close();
    if (this.#isRaw) restore(this.#output);
    process.stdin.pause();
  }

  #begin(): void {
    this.#occupy();
    // Whoever stopped the program: the shell has changed the terminal meanwhile.
    process.on("SIGCONT", () => this.#resume());
    // Also when a signal, or an error that nobody caught, ends the process.
    process.on("exit", () => restore(this.#output));
    process.stdin.on("data", (bytes: Uint8Array | string) => {
      const text = typeof bytes === "string" ? Buffer.from(bytes).toString("latin1") : latin1(bytes);
      for (const typed of this.#pastes.push(text)) this.#take(typed);
    });
    process.stdin.on("end", () => this.#lines.close());
    process.stdin.resume();
  }

  #occupy(): void {
    process.stdin.setRawMode(true);
    this.#output.write(MARK_PASTES);
  }

  /** Stops the program as the terminal itself would: with all that its shell waits for, such as a script runner. */
  #suspend(): void {
    if (process.platform === "win32") return;
    restore(this.#output);
    try {
      process.kill(0, "SIGTSTP");
    } catch {
      // Deno may forbid it.
    }
    // Without a shell that could continue the program the system does not stop it.
    setTimeout(() => this.#resume(), STOP_MS);
  }

  #resume(): void {
    if (this.#isClosed) return;
    this.#occupy();
    if (this.#answer) this.#lines.prompt(true);
  }

  #take(typed: Typed): void {
    if (typed === "suspend") {
      this.#suspend();
      return;
    }
    if (typed === "interrupt") {
      this.#ahead = [];
      this.#interrupt();
      return;
    }
    this.#ahead.push(typed);
    this.#feed();
  }

  #interrupt(): void {
    if (this.#answer) this.#settle("interrupt");
    else this.onInterrupt();
  }

  /** Hands what was typed over, up to the end of the line that is read. */
  #feed(): void {
    while (this.#answer && this.#ahead.length > 0) {
      const [{ keys, isPasted }, ...rest] = this.#ahead as [TypedKeys];
      const enter = isPasted ? null : ENTER.exec(keys);
      const end = enter ? enter.index + 1 : keys.length;
      this.#ahead = end < keys.length ? [{ keys: keys.slice(end), isPasted }, ...rest] : rest;
      const bytes = Buffer.from(keys.slice(0, end), "latin1");
      // At once: after each key the line is measured, which takes long in the end. Keys are taken now, too, to stay in order.
      if (isPasted) this.#lines.write(bytes.toString());
      else this.#keys.emit("data", bytes);
      // Its line comes as an event: what is behind it belongs to the next one.
      if (enter) return;
    }
  }

  #settle(entry: Entry): void {
    if (entry === "end") this.#isClosed = true;
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer) answer(entry);
    else if (typeof entry === "object") this.#waiting.push(entry.line);
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function restore(output: NodeJS.WriteStream): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  output.write(`${MARK_NO_PASTES}\x1b[22m`);
}
