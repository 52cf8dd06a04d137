// Tools that answers in tests may call.
import type { Tool } from "../../../src/chat/messages.ts";

function tool(name: string, properties: Record<string, unknown>): Tool {
  return { type: "function", function: { name, parameters: { type: "object", properties } } };
}

/** A forecast, a note to write, a switch and a thing that takes anything. */
export const tools: readonly Tool[] = [
  tool("forecast", { city: { type: "string" }, days: { type: "integer" } }),
  tool("note.write", { text: { type: "string" }, tags: { type: "array" } }),
  tool("switch", { on: { type: "boolean" }, level: { type: ["number", "null"] } }),
  tool("anything", {
    value: {},
    choice: { enum: ["a", 1] },
    either: { anyOf: [{ type: "string" }, { type: "object" }] },
  }),
  // Types that JSON Schema does not have.
  tool("odd", { a: { type: "float" }, b: { type: "str" }, c: { type: ["int", "null"] } }),
  tool("now", {}),
];
