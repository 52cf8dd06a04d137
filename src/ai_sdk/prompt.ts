// The SDK's prompts as messages, and its tools as tools.
import type { Message, Tool, ToolCall } from "../chat/messages.ts";
import { UnsupportedError } from "../util/errors.ts";
import type { CallOptions, PromptMessage, PromptPart, ToolOutput } from "./protocol.ts";

/**
 * Messages of a prompt. A message with several results of tools becomes several.
 * @throws UnsupportedError for anything but text: files, images
 */
export function messagesOf(prompt: readonly PromptMessage[]): Message[] {
  return prompt.flatMap(({ role, content }): Message[] => {
    if (typeof content === "string") return [{ role, content }];
    if (role === "tool") return content.filter(({ type }) => type === "tool-result").map(resultOf);
    const text = (type: string) =>
      content
        .filter((part) => part.type === type)
        .map((part) => part.text ?? "")
        .join("");
    checkParts(content, KNOWN);
    const calls = content.filter(({ type }) => type === "tool-call").map(callOf);
    const reasoning = text("reasoning");
    return [
      {
        role,
        content: text("text"),
        ...(reasoning !== "" && { reasoning_content: reasoning }),
        ...(calls.length > 0 && { tool_calls: calls }),
      },
    ];
  });
}

const KNOWN = ["text", "reasoning", "tool-call"];

function checkParts(parts: readonly PromptPart[], known: readonly string[]): void {
  const other = parts.find(({ type }) => !known.includes(type));
  if (!other) return;
  const what = other.mediaType === undefined ? other.type : `${other.type} (${other.mediaType})`;
  throw new UnsupportedError(
    `Cannot answer: Expected messages of text, got a part ${what}; leave it out, or put its text into the message`,
  );
}

/** Functions that may be called; undefined for none. */
export function toolsOf({ tools, toolChoice }: CallOptions): Tool[] | undefined {
  if (toolChoice?.type === "none") return undefined;
  const functions = (tools ?? []).filter(({ type }) => type === "function");
  if (functions.length === 0) return undefined;
  return functions.map(({ name, description, inputSchema, strict }) => ({
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: inputSchema as Record<string, unknown>,
      ...(strict !== undefined && { strict }),
    },
  }));
}

function callOf({ toolCallId = "", toolName = "", input }: PromptPart): ToolCall {
  const isObject = typeof input === "object" && input !== null && !Array.isArray(input);
  return {
    id: toolCallId,
    type: "function",
    function: {
      name: toolName,
      arguments: isObject
        ? (input as Record<string, unknown>)
        : typeof input === "string"
          ? input
          : JSON.stringify(input ?? {}),
    },
  };
}

function resultOf({ toolCallId = "", toolName = "", output }: PromptPart): Message {
  return {
    role: "tool",
    tool_call_id: toolCallId,
    name: toolName,
    content: output ? outputText(output) : "",
  };
}

function outputText({ type, value, reason }: ToolOutput): string {
  if (type === "execution-denied") return reason ?? "The call was denied.";
  if (type === "content" && Array.isArray(value)) {
    checkParts(value, ["text"]);
    return value.map((part: PromptPart) => part.text ?? "").join("");
  }
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
