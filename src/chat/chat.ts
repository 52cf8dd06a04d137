// A conversation with a model by its chat template: the class `Chat` of the public API.
import { resolveGeneration, wholeOptions } from "../session/generation.ts";
import type { Session } from "../session/session.ts";
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import { inspectSymbol, oneLine } from "../util/inspect.ts";
import { wrongOption } from "../util/options.ts";
import { AnswerParser } from "./answer/answer_parser.ts";
import { AnswerBuilder } from "./answer_builder.ts";
import { encodeChat } from "./chat_bytes.ts";
import type { ChatDefaults } from "./defaults.ts";
import { type ChatPrompt, type FittedHistory, fitHistory, headLength, lastTurn } from "./history.ts";
import type { Message, Tool, ToolCall } from "./messages.ts";
import {
  type ChatAnswer,
  type ChatOptions,
  type ChatPiece,
  checkMessages,
  type SendOptions,
} from "./options.ts";

/** How a chat writes its prompts. */
export interface ChatRenderer {
  /** How the model writes tool calls and reasoning; undefined for plain text. */
  readonly format: string | undefined;
  render(
    messages: readonly Message[],
    options: {
      readonly tools?: readonly Tool[] | undefined;
      readonly variables?: Readonly<Record<string, unknown>> | undefined;
      readonly now?: Date | undefined;
      readonly addGenerationPrompt?: boolean | undefined;
    },
  ): ChatPrompt;
}

/** What a chat has of its model, and how it was begun. */
export interface ChatSetup extends Pick<ChatOptions, "tools" | "variables" | "onTrim"> {
  readonly contextLength: number;
  readonly defaults: ChatDefaults;
  readonly renderer: ChatRenderer;
  /** The template that the caller gave instead of the model's. */
  readonly template: string | undefined;
  readonly now: Date;
}

/**
 * A conversation by the model's chat template. Its keys and values stay in memory: of each prompt only what is new is
 * computed. Made by `llama.chat()`, `llama.restoreChat()` and `fork()`.
 *
 * ```ts
 * using chat = llama.chat({ system: "You are Rose, a storyteller." });
 * for await (const piece of chat.send("Tell me a story about a cat.")) write(piece.text);
 * const { text } = await chat.ask("Another one, please.");
 * ```
 */
export class Chat implements Disposable {
  readonly #setup: ChatSetup;
  readonly #session: Session;
  #messages: readonly Message[];
  #isBusy = false;
  #promptEnd: string | undefined;

  /** @internal `llama.chat()` makes chats, of options that it has checked. */
  constructor(setup: ChatSetup, session: Session, messages: readonly Message[]) {
    this.#setup = setup;
    this.#session = session;
    this.#messages = messages;
  }

  /** What was said, the message of the system first: a copy. Turns that were left out are not among it. */
  get messages(): Message[] {
    return structuredClone(this.#messages) as Message[];
  }

  /** The message of the system that stands first; undefined if there is none. Setting it keeps the conversation. */
  get system(): string | undefined {
    const [first] = this.#messages;
    if (first === undefined || headLength([first]) === 0) return undefined;
    const { content } = first;
    return typeof content === "string" ? content : content?.map(({ text }) => text).join("");
  }

  set system(text: string | undefined) {
    if (text !== undefined && typeof text !== "string") throw wrongOption("chat", "system", "a text", text);
    this.#check("set the system's message");
    const rest = this.#messages.slice(headLength(this.#messages));
    this.#messages = text === undefined ? rest : [{ role: "system", content: text }, ...rest];
  }

  /**
   * Says something, and streams the answer. A text is the user's; a message or several may be anybody's, such as results of
   * tools; an empty list asks for an answer to what there is. If the context is full, the oldest turns are left out.
   * Ended early (`break`, an abort), what was said until then is the answer; what is refused, or ended before its first token,
   * leaves the conversation as it was.
   * @throws UsageError for what the template refuses, with its own words, and for unknown options; UnsupportedError if the
   *   model has no template; ContextError if the message fills the context; SamplingError, EngineError; the signal's reason
   *   when it is aborted, unless `stopOnAbort`
   */
  async *send(
    message: string | Message | readonly Message[],
    options: SendOptions = {},
  ): AsyncGenerator<ChatPiece, ChatAnswer> {
    return yield* this.#answer([...this.#messages, ...messagesOf(message)], options);
  }

  /** The whole answer. Errors as {@link send}. */
  async ask(message: string | Message | readonly Message[], options: SendOptions = {}): Promise<ChatAnswer> {
    return answerOf(this.send(message, wholeOptions(options)));
  }

  /**
   * Tells what came of a tool call: a text, or a value that is written as JSON. Once no call is open, the model answers.
   * @param id the call's
   * @returns the answer; undefined while another call is open
   * @throws UsageError if no such call is open; errors as {@link send}
   */
  async result(id: string, value: unknown, options: SendOptions = {}): Promise<ChatAnswer | undefined> {
    const open = this.openCalls;
    const call = open.find((call) => call.id === id);
    if (!call) {
      const ids = open.map((call) => describeValue(call.id)).join(", ") || "no call at all";
      throw new UsageError(
        `Cannot tell a tool's result: Expected the id of an open call, got ${describeValue(id)}; open: ${ids}`,
      );
    }
    const message: Message = {
      role: "tool",
      tool_call_id: id,
      name: call.function.name,
      content: textOf(value),
    };
    if (open.length === 1) return this.ask(message, options);
    this.#check("tell a tool's result");
    this.#messages = [...this.#messages, message];
    return undefined;
  }

  /** Calls of the last answer whose results were not told: see {@link result}. */
  get openCalls(): ToolCall[] {
    const at = this.#messages.findLastIndex(({ role }) => role === "assistant");
    const told = this.#messages.slice(at + 1).map((message) => message.tool_call_id);
    const calls = this.#messages[at]?.tool_calls ?? [];
    return structuredClone(calls.filter(({ id }) => !told.includes(id)));
  }

  /** Forgets the last message of the user and all that followed it. Returns what it has forgotten. */
  undo(): Message[] {
    this.#check("undo");
    const begin = lastTurn(this.#messages);
    if (begin < 0) return [];
    const forgotten = this.#messages.slice(begin);
    this.#messages = this.#messages.slice(0, begin);
    return forgotten;
  }

  /**
   * Streams another answer instead of the last one, which it forgets once there is a new one. Errors as {@link send}.
   * @throws UsageError if there is no answer
   */
  async *retry(options: SendOptions = {}): AsyncGenerator<ChatPiece, ChatAnswer> {
    const before = this.#messages.findLastIndex(({ role }) => role !== "assistant") + 1;
    if (before === this.#messages.length) {
      throw new UsageError("Cannot retry: Expected an answer as the last message, got none");
    }
    return yield* this.#answer(this.#messages.slice(0, before), options);
  }

  /** A second chat with the same past; both go on apart, and share the memory of what they have in common. */
  fork(): Chat {
    this.#check("fork");
    return new Chat(this.#setup, this.#session.fork(), this.#messages);
  }

  /**
   * The chat as bytes, without the weights: messages, tools and settings, and the session's snapshot.
   * `llama.restoreChat(bytes)` goes on with nothing to compute. Whoever has the bytes can read the conversation.
   * @throws UsageError while it answers
   */
  save(): Uint8Array<ArrayBuffer> {
    this.#check("save");
    const { tools, variables, template, now } = this.#setup;
    return encodeChat(
      { messages: this.#messages, tools, variables, template, now: now.toISOString() },
      this.#session.save(),
    );
  }

  /** Gives the memory back. An answer that still runs fails. Safe to call twice. */
  dispose(): void {
    this.#session.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The chat on one line: messages, and how many tokens are in memory, of how many. */
  toString(): string {
    const { contextLength } = this.#setup;
    return oneLine("Chat", { messages: this.#messages.length, pos: this.#session.pos, contextLength });
  }

  /** @internal What consoles print. */
  [inspectSymbol](): string {
    return this.toString();
  }

  get [Symbol.toStringTag](): string {
    return "Chat";
  }

  async *#answer(messages: readonly Message[], options: SendOptions): AsyncGenerator<ChatPiece, ChatAnswer> {
    this.#check("answer");
    resolveGeneration(options);
    if ("special" in options) {
      throw new UsageError('Cannot answer: Unknown option "special"; messages are text, whatever they say');
    }
    const maxTokens = options.maxTokens ?? this.#setup.defaults.maxTokens;
    this.#isBusy = true;
    try {
      const fitted = this.#fit(messages, maxTokens);
      return yield* this.#generate(fitted, { ...options, ...(maxTokens !== undefined && { maxTokens }) });
    } finally {
      this.#isBusy = false;
    }
  }

  async *#generate(
    { messages, prompt, dropped }: FittedHistory,
    options: SendOptions,
  ): AsyncGenerator<ChatPiece, ChatAnswer> {
    const begin = this.#rollBack(prompt.ids);
    // If the whole prompt is there, its last token is computed again.
    const kept = Math.min(begin, this.#session.cached, prompt.ids.length - 1);
    const builder = new AnswerBuilder(this.#parser(messages, prompt));
    const keep = () => {
      if (builder.hasBegun) this.#messages = [...messages, builder.message];
    };
    const tokens = this.#session.generate(prompt.ids.slice(begin), options);
    let isWhole = false;
    try {
      let next = await tokens.next();
      if (!next.done && dropped.length > 0) this.#setup.onTrim?.(structuredClone(dropped) as Message[]);
      for (; !next.done; next = await tokens.next()) yield builder.push(next.value);
      isWhole = true;
      const rest = builder.end(!["eos", "stop"].includes(next.value.finishReason));
      keep();
      if (rest) yield rest;
      const { usage } = next.value;
      const cachedTokens = kept + usage.cachedTokens;
      const whole = { ...usage, promptTokens: prompt.ids.length, cachedTokens };
      return { ...next.value, ...builder.parts, usage: whole };
    } finally {
      if (!isWhole) {
        // Left, aborted or failed: what was said until then is the answer.
        await tokens.return(undefined as never);
        builder.end(true);
        keep();
      }
    }
  }

  /** Forgets what the session has beyond the beginning of a prompt; returns how many tokens stay. */
  #rollBack(ids: readonly number[]): number {
    const own = this.#session.ids;
    let common = 0;
    while (common < own.length && own[common] === ids[common]) common++;
    this.#session.rollback(common);
    return common;
  }

  /** Takes apart what the model writes. Without tools what looks like a call is text. */
  #parser(messages: readonly Message[], prompt: ChatPrompt): AnswerParser {
    const { renderer, tools = [] } = this.#setup;
    const { format } = renderer;
    const promptEnd = this.#promptEndOf(messages, prompt);
    return new AnswerParser({ ...(format !== undefined && { format }), tools, promptEnd });
  }

  /** What the template has begun the answer with: a model may be thinking already. It seldom changes within a chat. */
  #promptEndOf(messages: readonly Message[], prompt: ChatPrompt): string {
    if (this.#promptEnd === undefined || !prompt.text.endsWith(this.#promptEnd)) {
      const { renderer, tools, variables, now } = this.#setup;
      const { text } = renderer.render(messages, { tools, variables, now, addGenerationPrompt: false });
      this.#promptEnd = prompt.text.startsWith(text) ? prompt.text.slice(text.length) : "";
    }
    return this.#promptEnd;
  }

  #fit(messages: readonly Message[], maxTokens: number | undefined): FittedHistory {
    const { contextLength, renderer, tools, variables, now } = this.#setup;
    const room = Math.max(1, Math.min(maxTokens ?? contextLength >> 2, contextLength >> 1));
    return fitHistory(messages, contextLength, room, (messages) =>
      renderer.render(messages, { tools, variables, now }),
    );
  }

  #check(doing: string): void {
    if (!this.#isBusy) return;
    throw new UsageError(
      `Cannot ${doing}: Expected a chat that is idle, this one answers; read the answer to its end, or leave it with break or an abort`,
    );
  }
}

function messagesOf(message: string | Message | readonly Message[]): readonly Message[] {
  if (typeof message === "string") return [{ role: "user", content: message }];
  const messages = Array.isArray(message) ? message : [message];
  checkMessages("send", messages);
  return structuredClone(messages);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const text = JSON.stringify(value);
  if (text !== undefined) return text;
  throw wrongOption("tell a tool's result", "value", "a text or a value that JSON can write", value);
}

async function answerOf(answers: AsyncGenerator<ChatPiece, ChatAnswer>): Promise<ChatAnswer> {
  for (;;) {
    const { done, value } = await answers.next();
    if (done) return value;
  }
}
