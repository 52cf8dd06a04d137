// What messages and tools are to a template: checked, and in the form that templates expect.
import { describeValue } from "../../util/describe.ts";
import { UsageError } from "../../util/errors.ts";
import type { Message, Tool } from "../messages.ts";

type Fields = Record<string, unknown>;

/** How templates differ in what they take. */
export interface InputStyle {
  /** Whether arguments of calls are JSON texts; usually they are objects. */
  readonly textArguments: boolean;
  /** What no tools are; usually null. */
  readonly noTools: null | [];
}

/** Roles whose messages have a content. An assistant's may have calls alone, and templates know roles of their own. */
const speakers = ["system", "developer", "user", "tool"];

/**
 * Messages as templates take them: content parts joined to one text, arguments of calls as objects.
 * @throws UsageError that names the message and its field
 */
export function templateMessages(messages: readonly Message[], style: InputStyle): Fields[] {
  if (!Array.isArray(messages)) throw wrong("messages", "an array of messages", messages);
  if (messages.length === 0)
    throw new UsageError("Cannot render messages: Expected at least one message, got none");
  return messages.map((message: unknown, i) => {
    const at = `messages[${i}]`;
    const fields = object(message, at);
    if (typeof fields.role !== "string") throw wrong(`${at}.role`, "a text", fields.role);
    const out: Fields = { ...fields };
    if ("content" in fields) out.content = contentText(fields.content, `${at}.content`);
    // Templates would write "None", or fail in the words of their language.
    if ((out.content ?? null) === null && speakers.includes(fields.role))
      throw wrong(`${at}.content`, "a text or an array of parts", fields.content);
    if (fields.tool_calls !== undefined) out.tool_calls = calls(fields.tool_calls, `${at}.tool_calls`, style);
    return out;
  });
}

/** @throws UsageError for what is no list of functions, naming the tool and its field */
export function templateTools(tools: readonly Tool[] | null | undefined, style: InputStyle): Fields[] | null {
  if (tools === undefined || tools === null) return style.noTools;
  if (!Array.isArray(tools)) throw wrong("tools", "an array of tools", tools);
  const checked = tools.map((tool: unknown, i) => {
    const fields = object(tool, `tools[${i}]`);
    const called = object(fields.function, `tools[${i}].function`);
    if (typeof called.name !== "string") throw wrong(`tools[${i}].function.name`, "a text", called.name);
    return fields;
  });
  return checked.length === 0 ? style.noTools : checked;
}

/** A content as one text; null and undefined stay. @throws UsageError for anything else, naming its place */
export function contentText(content: unknown, at: string): unknown {
  if (content === null || content === undefined || typeof content === "string") return content;
  if (!Array.isArray(content)) throw wrong(at, "a text, null, or an array of parts", content);
  const parts = content.map((part: unknown, i) => {
    const { type, text } = object(part, `${at}[${i}]`);
    if (type !== "text") throw wrong(`${at}[${i}].type`, '"text"', type);
    if (typeof text !== "string") throw wrong(`${at}[${i}].text`, "a text", text);
    return text;
  });
  return parts.join("\n");
}

function calls(given: unknown, at: string, style: InputStyle): unknown {
  if (given === null) return given;
  if (!Array.isArray(given)) throw wrong(at, "an array of calls", given);
  return given.map((call: unknown, i) => {
    const fields = object(call, `${at}[${i}]`);
    const called = object(fields.function, `${at}[${i}].function`);
    if (typeof called.name !== "string") throw wrong(`${at}[${i}].function.name`, "a text", called.name);
    const place = `${at}[${i}].function.arguments`;
    const checked = callArguments(called.arguments, place);
    const written = typeof called.arguments === "string" ? called.arguments : JSON.stringify(checked);
    return { ...fields, function: { ...called, arguments: style.textArguments ? written : checked } };
  });
}

function callArguments(given: unknown, at: string): unknown {
  if (typeof given !== "string") {
    if (given === undefined || given === null) return {};
    return object(given, at);
  }
  if (given.trim() === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(given, asWritten as never);
  } catch {
    throw wrong(at, "JSON of an object", given);
  }
  return object(parsed, at);
}

// Numbers that JavaScript would change are written as the model wrote them: 2.0 is an object of Number, and what is too
// large for one a BigInt. Older runtimes do not say how a number was written; there they change.
function asWritten(_: string, value: unknown, context?: { source?: string }): unknown {
  const { source } = context ?? {};
  if (source === undefined || !Number.isInteger(value)) return value;
  if (/[.e]/i.test(source)) return Object(value);
  return Number.isSafeInteger(value) ? value : BigInt(source);
}

function object(value: unknown, at: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(at, "an object", value);
}

function wrong(at: string, expected: string, value: unknown): UsageError {
  return new UsageError(
    `Cannot render messages: Expected ${at} to be ${expected}, got ${describeValue(value)}`,
  );
}
