// What a chat takes and gives.
import type { TokenLogprob } from "../sample/chain.ts";
import type { Completion, GenerateOptions, Usage } from "../session/options.ts";
import { checkFunction, checkOptions, type OptionNames, wrongOption } from "../util/options.ts";
import type { Message, Tool, ToolCall } from "./messages.ts";

/** Options of `llama.chat`. Unknown ones are UsageErrors. */
export interface ChatOptions {
  /** Who the model is to be and what it is to do: a message of the system before all others. */
  system?: string;
  /** Functions that the model may call, if its template shows them. */
  tools?: readonly Tool[];
  /** A chat template instead of the model's: its text, or the name of a known one. */
  template?: string;
  /** What was said before. */
  messages?: readonly Message[];
  /** Values for names that the template knows: `{ enable_thinking: false }`. */
  variables?: Readonly<Record<string, unknown>>;
  /** The date that templates write. Default: when the chat begins, so that its prompt keeps its beginning. */
  now?: Date;
  /** Told of turns that were left out because the context is full, oldest message first. */
  onTrim?: (dropped: readonly Message[]) => void;
}

/** Options of an answer: those of `generate`, but `special`. `maxTokens` defaults to what suits the model. */
export type SendOptions = Omit<GenerateOptions, "special">;

/** A part of a tool call that the model is writing. */
export interface ToolCallDelta {
  /** Which call of the answer, from 0 on. */
  readonly index: number;
  /** With the first part of a call only. */
  readonly id?: string;
  /** With the first part of a call only. */
  readonly name?: string;
  /** More of the arguments: JSON text. */
  readonly arguments: string;
}

/** What one token made certain of an answer. As a string it is its text. */
export interface ChatPiece {
  /** Text of the answer; "" if there is none yet. */
  readonly text: string;
  /** What the model thinks before it answers. */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCallDelta[];
  /** The token; undefined of a last piece with what was held back. */
  readonly id: number | undefined;
  /** As of pieces of `generate`; NaN if not asked for. */
  readonly logprob: number;
  readonly alternatives: readonly TokenLogprob[];
  /** The text. */
  toString(): string;
}

/** A whole answer. */
export interface ChatAnswer extends Completion {
  /** What the model thought before; "" if its template has no such part. */
  readonly reasoning: string;
  /** What it wants to be called. `chat.result(id, value)` tells it what came of each. */
  readonly toolCalls: readonly ToolCall[];
  /** The answer as it stands in the conversation. */
  readonly message: Message;
  /** Tokens: those of the whole prompt, those of them that were in memory and not computed again, and those of the answer. */
  readonly usage: Usage;
}

const chatNames: OptionNames<ChatOptions> = {
  system: true,
  tools: true,
  template: true,
  messages: true,
  variables: true,
  now: true,
  onTrim: true,
};

/** @throws UsageError for an unknown option of `llama.chat` or a wrong value */
export function checkChatOptions(options: ChatOptions): void {
  checkOptions("chat", options, chatNames);
  const { system, template, messages = [], tools = [], variables = {}, now, onTrim } = options;
  checkText("system", system);
  checkText("template", template);
  checkMessages("chat", messages);
  checkTools(tools);
  if (typeof variables !== "object" || variables === null || Array.isArray(variables)) {
    throw wrongOption("chat", "variables", "an object", variables);
  }
  if (now !== undefined && !(now instanceof Date && !Number.isNaN(now.getTime()))) {
    throw wrongOption("chat", "now", "a valid Date", now);
  }
  checkFunction("chat", "onTrim", onTrim);
}

/** @throws UsageError for what is no list of messages; what else a message may be is the template's concern */
export function checkMessages(action: string, messages: unknown): asserts messages is readonly Message[] {
  if (!Array.isArray(messages)) throw wrongOption(action, "messages", "an array of messages", messages);
  for (const [i, message] of messages.entries()) {
    const { role, tool_calls: calls } = Object(message) as Partial<Message>;
    const at = `messages[${i}]`;
    if (typeof role !== "string" || role === "")
      throw wrongOption(action, at, "an object with a role", message);
    const isCall = (call: Partial<ToolCall> | null) => typeof call?.function?.name === "string";
    if ((calls ?? null) === null || (Array.isArray(calls) && calls.every(isCall))) continue;
    throw wrongOption(action, `${at}.tool_calls`, "an array of { function: { name, ... } }", calls);
  }
}

function checkTools(tools: unknown): void {
  if (!Array.isArray(tools)) throw wrongOption("chat", "tools", "an array of tools", tools);
  for (const [i, tool] of tools.entries()) {
    const { type, function: called } = Object(tool) as Partial<Tool>;
    if (type === "function" && typeof called?.name === "string" && called.name !== "") continue;
    throw wrongOption("chat", `tools[${i}]`, '{ type: "function", function: { name, ... } }', tool);
  }
}

function checkText(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") throw wrongOption("chat", name, "a text", value);
}
