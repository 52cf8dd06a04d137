// What a request says to the chat template beside messages and tools.
import type { Fields } from "../http/body.ts";
import { wrong } from "./check.ts";

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

// What the template has from elsewhere.
const own: readonly string[] = [
  "messages",
  "tools",
  "documents",
  "bos_token",
  "eos_token",
  "add_generation_prompt",
];

// What a template writes may be read as special tokens: no text may come in here that is more than a word.
function isPlain(value: unknown): boolean {
  if (typeof value === "string") return /^[\w .:-]{0,64}$/.test(value);
  return typeof value === "boolean" || Number.isFinite(value) || value === null;
}

/**
 * Variables of the template: `chat_template_kwargs`, as llama-server and vLLM call them, and `reasoning_effort`. Templates
 * that know none of them pass them over.
 * @throws HttpError 400
 */
export function variablesOf(fields: Fields): Readonly<Record<string, unknown>> | undefined {
  const { chat_template_kwargs: given = {}, reasoning_effort: effort } = fields;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw wrong("chat_template_kwargs", "chat_template_kwargs", "an object", given);
  }
  for (const [name, value] of Object.entries(given)) {
    if (own.includes(name) || !isPlain(value)) {
      const path = `chat_template_kwargs.${name}`;
      throw wrong(
        "chat_template_kwargs",
        path,
        "true, false, a number, or a word, and no name of its own",
        value,
      );
    }
  }
  if (effort !== undefined && !efforts.includes(effort as string)) {
    throw wrong("reasoning_effort", "reasoning_effort", `one of ${efforts.join(", ")}`, effort);
  }
  const variables = { ...(effort !== undefined && { reasoning_effort: effort }), ...given };
  return Object.keys(variables).length > 0 ? variables : undefined;
}
