// Messages and tools of a request, checked.
import * as v from "valibot";
import type { Message, Tool } from "../../chat/messages.ts";
import { boolean, text } from "./check.ts";

const ROLES = "one of system, developer, user, assistant, tool";
const TEXT_PART = '"text": images, audio and files are not supported';

const isObject = (issue: v.BaseIssue<unknown>, other: string, object: string) =>
  issue.expected === "Object" ? object : other;

const textPart = v.object({ type: v.literal("text"), text });
// What the model declined to say before was text too.
const refusalPart = v.pipe(
  v.object({ type: v.literal("refusal"), refusal: text }),
  v.transform(({ refusal }) => ({ type: "text" as const, text: refusal })),
);

const part = v.variant("type", [textPart, refusalPart], (issue) =>
  isObject(issue, TEXT_PART, 'a part such as {type: "text", text}'),
);
const parts = v.pipe(
  v.array(part, "a text or an array of parts"),
  v.nonEmpty("a text or an array of at least one part"),
);
const content = v.lazy((input) => (typeof input === "string" ? text : parts));

const call = v.object(
  {
    id: v.optional(text),
    type: v.optional(v.literal("function", '"function"')),
    function: v.object({ name: text, arguments: text }, "a function with name and arguments"),
  },
  'a call such as {id, type: "function", function: {name, arguments}}',
);

const name = v.optional(text);

// Templates know no developer; OpenAI's models take it for what "system" was before.
const system = v.pipe(
  v.object({ role: v.picklist(["system", "developer"]), content, name }),
  v.transform((message) => ({ ...message, role: "system" })),
);
const user = v.object({ role: v.literal("user"), content, name });
const assistant = v.object({
  role: v.literal("assistant"),
  content: v.nullish(content),
  reasoning_content: v.nullish(text),
  tool_calls: v.optional(v.array(call, "an array of calls")),
  name,
});
const tool = v.object({
  role: v.literal("tool"),
  content,
  tool_call_id: v.string("the id of the call that it is the result of"),
  name,
});

const message = v.variant("role", [system, user, assistant, tool], (issue) =>
  isObject(issue, ROLES, 'a message such as {role: "user", content: "Hi"}'),
);

/** A conversation of at least one message. */
export const messagesSchema = v.pipe(
  v.array(message, "an array of messages"),
  v.nonEmpty("an array of at least one message"),
  v.transform((messages): readonly Message[] => messages),
);

const parameters = v.record(v.string(), v.unknown(), "a JSON Schema");

/** What a tool of any route needs. */
export const functionFields = {
  name: v.pipe(v.string("a name"), v.nonEmpty("a name")),
  description: v.nullish(text),
  parameters: v.nullish(parameters),
  strict: v.nullish(boolean),
};

/** A function that a request offers, without what is null. */
export function toolOf({
  name,
  description,
  parameters,
}: v.InferOutput<v.ObjectSchema<typeof functionFields, undefined>>): Tool {
  return {
    type: "function",
    function: {
      name,
      ...(description != null && { description }),
      ...(parameters != null && { parameters }),
    },
  };
}

const toolType = v.literal("function", '"function": other tools are not supported');

/** Tools as chat completions have them. */
export const toolsSchema = v.array(
  v.pipe(
    v.object(
      { type: toolType, function: v.object(functionFields, "a function with a name") },
      'a tool such as {type: "function", function: {name}}',
    ),
    v.transform(({ function: named }) => toolOf(named)),
  ),
  "an array of tools",
);
