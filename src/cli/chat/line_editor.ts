// Reads lines from a terminal: editing and history of node:readline, pasted text as one line, Ctrl-C by itself.
import { Buffer } from "node:buffer";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { onCtrlC } from "../terminal/interrupt.ts";
import { canRedraw } from "../terminal/terminal.ts";
import { PastedKeys, type Typed, withLineEnds } from "./pasted_keys.ts";

/** What the prompt was answered with. */
export type Entry = { readonly line: string } | "interrupt" | "end";

/** Marks of pasted text on and off. */
const MARK_PASTES = "\x1b[?2004h";
const MARK_NO_PASTES = "\x1b[?2004l";

const ENTER = /[\r\n]/;

/** The terminal on standard input, while it is ours. */
export class LineEditor {
  /** Called at Ctrl-C while no line is read. */
  onInterrupt: () => void = () => {};
  readonly #output: NodeJS.WriteStream;
  readonly #isRaw: boolean;
  readonly #keys = Object.assign(new PassThrough(), {
    // Ctrl-Z gives the terminal back while the program is stopped.
    setRawMode: (on: boolean) => process.stdin.setRawMode(on),
  });
  readonly #pastes = new PastedKeys();
  readonly #lines: Interface;
  /** What was typed while no line was read. */
  #ahead: string[] = [];
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

  /** Gives the terminal back. Safe to call twice. */
  close(): void {
    this.#isClosed = true;
    this.#lines.close();
    if (this.#isRaw) restore(this.#output);
    process.stdin.pause();
  }

  #begin(): void {
    process.stdin.setRawMode(true);
    this.#output.write(MARK_PASTES);
    // Also when a signal, or an error that nobody caught, ends the process.
    process.on("exit", () => restore(this.#output));
    process.stdin.on("data", (bytes: Uint8Array | string) => {
      const text = typeof bytes === "string" ? Buffer.from(bytes).toString("latin1") : latin1(bytes);
      for (const typed of this.#pastes.push(text)) this.#take(typed);
    });
    process.stdin.on("end", () => this.#lines.close());
    process.stdin.resume();
  }

  #take(typed: Typed): void {
    if (typed === "interrupt") {
      this.#ahead = [];
      this.#interrupt();
      return;
    }
    this.#ahead.push(typed.keys);
    this.#feed();
  }

  #interrupt(): void {
    if (this.#answer) this.#settle("interrupt");
    else this.onInterrupt();
  }

  /** Hands what was typed over, up to the end of the line that is read. */
  #feed(): void {
    while (this.#answer && this.#ahead.length > 0) {
      const [keys = "", ...rest] = this.#ahead;
      const enter = ENTER.exec(keys);
      const end = enter ? enter.index + 1 : keys.length;
      this.#ahead = end < keys.length ? [keys.slice(end), ...rest] : rest;
      this.#keys.write(Buffer.from(keys.slice(0, end), "latin1"));
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
