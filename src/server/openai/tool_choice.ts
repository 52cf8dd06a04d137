// Which of a request's tools the model may call.
import type { Tool } from "../../chat/messages.ts";
import type { Fields } from "../http/body.ts";
import { unsupported, wrong } from "./check.ts";

/**
 * The tools that the model is told of: all, or with tool_choice "none" none of them.
 * @throws HttpError 400 for what only a grammar could hold the model to
 */
export function allowedTools(fields: Fields, tools: readonly Tool[]): readonly Tool[] {
  const { tool_choice: choice = "auto", parallel_tool_calls: parallel = true } = fields;
  if (typeof parallel !== "boolean") {
    throw wrong("parallel_tool_calls", "parallel_tool_calls", "true or false", parallel);
  }
  if (!parallel && tools.length > 0) {
    throw unsupported(
      "parallel_tool_calls",
      "Expected parallel_tool_calls true: a model cannot be held to one call yet",
    );
  }
  if (choice === "none") return [];
  if (choice === "auto") return tools;
  const { type } = Object(choice) as { type?: unknown };
  if (choice === "required" || typeof type === "string") {
    throw unsupported(
      "tool_choice",
      'Expected tool_choice "auto" or "none": a model cannot be held to a call or to one tool yet',
    );
  }
  throw wrong("tool_choice", "tool_choice", '"auto" or "none"', choice);
}
