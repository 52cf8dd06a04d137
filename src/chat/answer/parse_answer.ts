// Reads a whole answer: content, reasoning and tool calls of a message.
import type { ToolCall } from "../messages.ts";
import { type AnswerOptions, AnswerParser } from "./answer_parser.ts";
import type { AnswerDelta, BrokenCall } from "./output.ts";

/** How to read a whole answer. */
export interface ParseAnswerOptions extends AnswerOptions {
  /** Whether it was cut off, and calls that are not complete are wanted all the same. By default their text is content. */
  readonly partial?: boolean;
}

/** What an answer says. */
export interface ParsedAnswer {
  /** Text for the reader; "" if there is none. */
  readonly content: string;
  /** What the model thought first; "" if nothing. */
  readonly reasoning: string;
  /** Calls in order, with ids. Their arguments are JSON text. */
  readonly toolCalls: readonly (ToolCall & { readonly id: string })[];
}

/**
 * What a model wrote, as a message.
 *
 * ```ts
 * import { parseAnswer } from "cria";
 *
 * parseAnswer('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>', { format: "hermes" }).toolCalls;
 * ```
 *
 * @param text what came after the prompt
 * @throws UsageError for a format that nobody knows
 */
export function parseAnswer(text: string, options: ParseAnswerOptions = {}): ParsedAnswer {
  const parser = new AnswerParser(options);
  const deltas = [...parser.push(text), ...parser.end({ cut: options.partial === true })];
  return collectAnswer(deltas, options.partial ? [] : parser.brokenCalls);
}

/**
 * Puts the deltas of an answer together.
 * @param broken calls whose text is to be content instead
 */
export function collectAnswer(
  deltas: Iterable<AnswerDelta>,
  broken: readonly BrokenCall[] = [],
): ParsedAnswer {
  let content = "";
  let reasoning = "";
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const delta of deltas) {
    if (delta.kind === "content") content += delta.text;
    else if (delta.kind === "reasoning") reasoning += delta.text;
    else if (delta.kind === "call") calls.push({ id: delta.id, name: delta.name, arguments: "" });
    else (calls.at(-1) as { arguments: string }).arguments += delta.text;
  }
  let whole = "";
  let from = 0;
  for (const { text, at } of broken) {
    whole += content.slice(from, at) + text;
    from = at;
  }
  const dropped = new Set(broken.map(({ index }) => index));
  const kept = calls.filter((_, index) => !dropped.has(index));
  const toolCalls = kept.map(({ id, name, arguments: json }) => ({
    id,
    type: "function" as const,
    function: { name, arguments: json },
  }));
  return { content: whole + content.slice(from), reasoning, toolCalls };
}
