// The input of /v1/responses as a conversation: texts, messages, calls of tools and their results.
import * as v from "valibot";
import type { Message, Tool, ToolCall } from "../../chat/messages.ts";
import { describeValue } from "../../util/describe.ts";
import { boolean, integer, text, unsupported, wrong } from "./check.ts";
import { functionFields, toolOf } from "./messages.ts";

const TEXTS = '"input_text" or "output_text": images, audio and files are not supported';

const textPart = v.pipe(
  v.object({ type: v.picklist(["input_text", "output_text", "text"]), text }),
  v.transform((part) => ({ type: "text" as const, text: part.text })),
);
const refusalPart = v.pipe(
  v.object({ type: v.literal("refusal"), refusal: text }),
  v.transform(({ refusal }) => ({ type: "text" as const, text: refusal })),
);
const parts = v.array(
  v.variant("type", [textPart, refusalPart], (issue) =>
    issue.expected === "Object" ? "a part of a message" : TEXTS,
  ),
  "a text or an array of parts",
);
const content = v.lazy((input) => (typeof input === "string" ? text : parts));

const message = v.object({
  type: v.optional(v.literal("message", "message, function_call, function_call_output or reasoning")),
  role: v.picklist(["user", "assistant", "system", "developer"], "user, assistant, system or developer"),
  content,
});
const call = v.object({ type: v.literal("function_call"), call_id: text, name: text, arguments: text });
const result = v.object({ type: v.literal("function_call_output"), call_id: text, output: content });
const reasoning = v.object({ type: v.literal("reasoning") });

const item = v.lazy((input) => {
  const { type = "message" } = Object(input) as { type?: unknown };
  if (type === "function_call") return call;
  if (type === "function_call_output") return result;
  if (type === "reasoning") return reasoning;
  return v.object(message.entries, "a message, a call of a function, or its result");
});

const functionTool = v.pipe(
  v.object(
    { ...functionFields, type: v.literal("function", '"function": other tools are not supported') },
    'a tool such as {type: "function", name}',
  ),
  v.transform((tool) => ({ tool: toolOf(tool), strict: tool.strict ?? null })),
);

const textFormat = v.object(
  { type: v.literal("text", '"text": other formats are not supported yet') },
  'an object such as {type: "text"}',
);

/** Fields of a request for a response. */
export const responseSchema = v.object({
  model: v.optional(text),
  input: v.lazy((input) =>
    typeof input === "string"
      ? text
      : v.pipe(v.array(item, "a text or an array of items"), v.nonEmpty("a text or at least one item")),
  ),
  instructions: v.optional(text),
  max_output_tokens: v.optional(integer(1)),
  metadata: v.optional(v.record(text, text, "an object of texts")),
  stream: v.optional(boolean),
  store: v.optional(v.literal(false, "false: nothing is stored here")),
  previous_response_id: v.optional(
    v.never("absent: nothing is stored here, so send the whole conversation as input"),
  ),
  conversation: v.optional(
    v.never("absent: nothing is stored here, so send the whole conversation as input"),
  ),
  prompt: v.optional(v.never("absent: no prompts are stored here")),
  background: v.optional(v.literal(false, "false: nothing is stored here")),
  text: v.optional(v.object({ format: v.nullish(textFormat) }, "an object")),
  tools: v.optional(v.array(functionTool, "an array of tools")),
  truncation: v.optional(v.literal("disabled", '"disabled": nothing is left out in silence')),
  reasoning: v.optional(v.object({ effort: v.nullish(text) }, 'an object such as {effort: "low"}')),
  top_logprobs: v.optional(v.literal(0, "0: log-probabilities are given by /v1/chat/completions")),
});

/** A checked request. */
export type ResponseRequest = v.InferOutput<typeof responseSchema>;

/** A tool that a response may call, and whether it was said to be strict. */
export type ResponseTool = { readonly tool: Tool; readonly strict: boolean | null };

/**
 * The conversation that input and instructions are.
 * @throws HttpError 400 for a result without its call
 */
export function conversationOf({ input, instructions }: ResponseRequest): readonly Message[] {
  const messages: Message[] = instructions === undefined ? [] : [{ role: "system", content: instructions }];
  if (typeof input === "string") return [...messages, { role: "user", content: input }];
  // Calls that follow each other, or what the model said before them, are of one message.
  let calls: ToolCall[] | undefined;
  for (const [i, given] of input.entries()) {
    if ("call_id" in given && "name" in given) {
      const { call_id: id, name, arguments: args } = given;
      const one: ToolCall = { id, type: "function", function: { name, arguments: args } };
      if (calls) calls.push(one);
      else {
        calls = [one];
        const last = messages.at(-1);
        if (last?.role === "assistant") messages.splice(-1, 1, { ...last, tool_calls: calls });
        else messages.push({ role: "assistant", content: null, tool_calls: calls });
      }
      continue;
    }
    if (given.type === "reasoning") continue;
    calls = undefined;
    if ("output" in given) {
      const isKnown = messages.some(({ tool_calls = [] }) =>
        tool_calls.some(({ id }) => id === given.call_id),
      );
      if (!isKnown) throw wrong("input", `input[${i}].call_id`, "the id of a call before it", given.call_id);
      messages.push({ role: "tool", tool_call_id: given.call_id, content: given.output });
    } else if ("role" in given) {
      const role = given.role === "developer" ? "system" : given.role;
      messages.push({ role, content: given.content });
    }
  }
  return messages;
}

/** Refuses what would add to the answer and is not done. @throws HttpError 400 */
export function refuseIncludes(include: unknown): void {
  if (include === undefined) return;
  // What there is none of is left out of any answer.
  const known = ["reasoning.encrypted_content"];
  const list = Array.isArray(include) ? include : [include];
  const other = list.find((one) => !known.includes(one));
  if (other !== undefined) {
    throw unsupported("include", `Expected include of ${known.join(", ")}, got ${describeValue(other)}`);
  }
}
