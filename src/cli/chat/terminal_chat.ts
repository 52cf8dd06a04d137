// A chat on a terminal: prompts, answers as they come, and commands that begin with a slash.
import process from "node:process";
import type { Chat, ChatAnswer, ChatOptions, ChatPiece, Llama, Message, SendOptions } from "../../mod.ts";
import { CriaError } from "../../util/errors.ts";
import { oneLine, suggestion } from "../flags/args.ts";
import { Interrupted } from "../terminal/interrupt.ts";
import { writeErr } from "../terminal/output.ts";
import { canRedraw, canStyle, columnsOf, dim } from "../terminal/terminal.ts";
import { WordWrap } from "../terminal/word_wrap.ts";
import { endText, showAnswer, speedText } from "./answer_view.ts";
import { LineEditor } from "./line_editor.ts";
import { onOneLine } from "./pasted_keys.ts";
import { readTranscript, writeTranscript } from "./transcript.ts";

/** How a chat is begun. */
export interface ChatStart {
  readonly llama: Llama;
  readonly chat: ChatOptions;
  readonly send: SendOptions;
  readonly showsStats: boolean;
  /** Puts flags in place of the library's options. */
  readonly rename: (message: string) => string;
}

interface ChatCommand {
  readonly name: string;
  readonly operand?: string;
  readonly help: string;
  /** A status ends the program. @param operand what stands behind the name */
  run(chat: TerminalChat, operand: string): Promise<number | undefined> | number | undefined;
}

const commands: readonly ChatCommand[] = [
  { name: "help", help: "list these", run: (chat) => chat.help() },
  {
    name: "system",
    operand: "TEXT",
    help: 'who the model is to be; without TEXT shows it, "-" takes it away',
    run: (chat, text) => chat.system(text),
  },
  { name: "retry", help: "another answer to the last message", run: (chat) => chat.retry() },
  {
    name: "result",
    operand: "TEXT",
    help: "what came of a tool that the model has called",
    run: (chat, text) => chat.result(text),
  },
  { name: "undo", help: "forget the last message and its answer", run: (chat) => chat.undo() },
  { name: "clear", help: "forget all but the system's message", run: (chat) => chat.clear() },
  {
    name: "save",
    operand: "FILE",
    help: "write the conversation, as JSON",
    run: (chat, file) => chat.save(file),
  },
  {
    name: "load",
    operand: "FILE",
    help: "go on from a conversation that was saved",
    run: (chat, file) => chat.load(file),
  },
  {
    name: "stats",
    help: "tokens and speed after each answer, or not any more",
    run: (chat) => chat.stats(),
  },
  { name: "quit", help: "leave, as Ctrl-D does (also /exit, /bye)", run: () => 0 },
];

const aliases: Readonly<Record<string, string>> = { exit: "quit", bye: "quit", "?": "help" };

const nameWidth = Math.max(...commands.map(({ name, operand = "" }) => name.length + operand.length + 2));

/** What may be entered beside messages. */
export const commandsHelp: string = [
  ...commands.map(({ name, operand = "", help }) => {
    const usage = operand === "" ? name : `${name} ${operand}`;
    return `  /${usage.padEnd(nameWidth)}  ${help}\n`;
  }),
  `  //TEXT${" ".repeat(nameWidth - 4)} a message that begins with a slash\n`,
  "Ctrl-C stops an answer, and leaves at the prompt. A line that ends with a backslash goes on in the next one;\n",
  "pasted lines are one message.\n",
].join("");

/** A conversation at a prompt. */
export class TerminalChat {
  readonly #start: ChatStart;
  readonly #editor: LineEditor;
  readonly #isStyled: boolean;
  #chat: Chat;
  #showsStats: boolean;
  /** Answers to the last message but the first. */
  #retries = 0;

  constructor(start: ChatStart) {
    const screen = process.stdout.isTTY ? process.stdout : process.stderr;
    this.#start = start;
    this.#showsStats = start.showsStats;
    this.#isStyled = canStyle(screen);
    this.#chat = this.#begin(start.chat);
    this.#editor = new LineEditor(screen);
  }

  /** Talks until the user leaves. Returns the exit status. @param greeting what stands before the first prompt */
  async run(greeting: string): Promise<number> {
    try {
      await writeErr(`${wrapped(greeting)}\n`);
      for (;;) {
        const message = await this.#read();
        if (typeof message === "number") return message;
        if (message.trim() === "") continue;
        const status = await this.#enter(message);
        if (status !== undefined) return status;
      }
    } finally {
      this.#editor.close();
      this.#chat.dispose();
    }
  }

  async help(): Promise<undefined> {
    await writeErr(wrapped(commandsHelp));
  }

  async system(text: string): Promise<undefined> {
    if (text !== "") this.#chat.system = text === "-" ? undefined : text;
    const { system } = this.#chat;
    await this.#note(system === undefined ? "no message of the system" : `system: ${onOneLine(system)}`);
  }

  async retry(): Promise<undefined> {
    // With a seed, the same choice would give the same answer.
    const choice = (this.#start.send.choice ?? 0) + ++this.#retries;
    await this.#show((options) => this.#chat.retry({ ...options, choice }));
  }

  async result(content: string): Promise<undefined> {
    const [call, ...others] = this.#chat.openCalls;
    if (!call?.id) await this.#note("no call waits for a result");
    else if (others.length > 0) await this.#chat.result(call.id, content);
    else {
      const { id, function: called } = call;
      const message = { role: "tool", tool_call_id: id, name: called.name, content };
      await this.#show((options) => this.#chat.send(message, options));
      return;
    }
    await this.#noteCalls();
  }

  async undo(): Promise<undefined> {
    const [message] = this.#chat.undo();
    const text = message === undefined ? undefined : contentOf(message);
    await this.#note(text === undefined ? "nothing to forget" : `forgotten: ${onOneLine(shortened(text))}`);
  }

  async clear(): Promise<undefined> {
    const { system } = this.#chat;
    this.#replace({ ...this.#start.chat, system });
    await this.#note("a new conversation");
  }

  async save(file: string): Promise<undefined> {
    if (!(await this.#isNamed("save", file))) return;
    await writeTranscript(file, this.#chat.messages);
    await this.#note(`saved ${count(this.#chat.messages.length, "message")} to ${file}`);
  }

  async load(file: string): Promise<undefined> {
    if (!(await this.#isNamed("load", file))) return;
    const { system, ...options } = this.#start.chat;
    this.#replace({ ...options, messages: await readTranscript(file) });
    await this.#note(`loaded ${count(this.#chat.messages.length, "message")}`);
  }

  async stats(): Promise<undefined> {
    this.#showsStats = !this.#showsStats;
    await this.#note(this.#showsStats ? "tokens and speed are shown" : "tokens and speed are not shown");
  }

  /** Reads a message, which may have several lines; a status if the user leaves instead. */
  async #read(): Promise<string | number> {
    const [bold, plain] = this.#isStyled ? ["\x1b[1m", "\x1b[22m"] : ["", ""];
    const lines: string[] = [];
    for (;;) {
      const entry = await this.#editor.read(`${bold}${lines.length === 0 ? ">" : "."} `, plain);
      if (entry === "interrupt") return 130;
      if (entry === "end") return 0;
      const [, continued] = /^(.*[^\\]|)\\$/s.exec(entry.line) ?? [];
      lines.push(continued ?? entry.line);
      if (continued === undefined) return lines.join("\n");
    }
  }

  /** Does what was entered. What goes wrong is said, and the conversation goes on. */
  async #enter(message: string): Promise<number | undefined> {
    try {
      const [, name, operand = ""] = /^\/([^\s/]*)(?:\s+(.*))?$/s.exec(message.trim()) ?? [];
      if (name === undefined) {
        const text = message.startsWith("//") ? message.slice(1) : message;
        this.#retries = 0;
        await this.#show((options) => this.#chat.send(text, options));
        return undefined;
      }
      const names = commands.map((command) => command.name);
      const command = commands.find((command) => command.name === (aliases[name] ?? name));
      if (command) return await command.run(this, operand.trim());
      const hint = suggestion(name, names).replace("mean ", "mean /") || "; /help lists what there is";
      await writeErr(`Unknown command /${oneLine(name)}${hint}\n`);
    } catch (error) {
      if (!(error instanceof CriaError) || this.#start.llama.failed) throw error;
      await writeErr(`${wrapped(`error: ${oneLine(this.#start.rename(error.message))}`)}\n`);
    }
    return undefined;
  }

  /** Shows an answer, which Ctrl-C stops; a second one leaves at once. */
  async #show(answer: (options: SendOptions) => AsyncGenerator<ChatPiece, ChatAnswer>): Promise<void> {
    const stop = new AbortController();
    this.#editor.onInterrupt = () => {
      const reason = new Interrupted("SIGINT");
      if (stop.signal.aborted) this.#editor.leave(reason.status);
      stop.abort(reason);
    };
    try {
      const { send, llama } = this.#start;
      const pieces = answer({ ...send, signal: stop.signal, stopOnAbort: true });
      const isTerminal = process.stdout.isTTY === true;
      const aside = canStyle(process.stdout) ? dim : (text: string) => text;
      const wrap = canRedraw(process.stdout) ? new WordWrap(() => columnsOf(process.stdout)) : undefined;
      const whole = await showAnswer(pieces, { isTerminal, wrap, aside });
      const end = endText(whole);
      if (end !== undefined) await this.#note(end);
      await this.#noteCalls();
      if (this.#showsStats) await this.#note(speedText(whole, llama.contextLength));
    } finally {
      this.#editor.onInterrupt = () => {};
    }
  }

  #begin(options: ChatOptions): Chat {
    return this.#start.llama.chat({
      ...options,
      onTrim: (dropped) => void this.#note(trimText(dropped)),
    });
  }

  #replace(options: ChatOptions): void {
    const chat = this.#begin(options);
    this.#chat.dispose();
    this.#chat = chat;
  }

  async #isNamed(command: string, file: string): Promise<boolean> {
    if (file === "") await writeErr(`Cannot ${command}: Expected /${command} FILE\n`);
    return file !== "";
  }

  async #noteCalls(): Promise<void> {
    const names = this.#chat.openCalls.map((call) => call.function.name);
    if (names.length > 0) await this.#note(`${names.join(", ")}: /result TEXT says what came of it`);
  }

  #note(text: string): Promise<void> {
    const line = wrapped(`(${oneLine(text)})`);
    return writeErr(`${canStyle(process.stderr) ? dim(line) : line}\n`);
  }
}

/** What is said of turns that were left out. */
export function trimText(dropped: readonly Message[]): string {
  const turns = dropped.filter(({ role }) => role === "user").length;
  return `the context is full: the first ${turns === 1 ? "turn was" : `${turns} turns were`} left out`;
}

/** A text for standard error, whose lines break between words on a terminal. */
function wrapped(text: string): string {
  return canRedraw(process.stderr) ? new WordWrap(() => columnsOf(process.stderr)).push(text) : text;
}

function contentOf({ content }: Message): string {
  return typeof content === "string" ? content : JSON.stringify(content);
}

function shortened(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

const MAX_SHOWN = 60;
