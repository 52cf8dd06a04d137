// The chat templates that a model's files have.
import type { ChatTemplates, ModelFile } from "./model_file.ts";

/** GGUF's key of the template that counts, and what begins those of others. */
const KEY = "tokenizer.chat_template";

/** The chat templates of a model, by name. */
export function chatTemplatesOf({ chatTemplates, metadata }: ModelFile): ChatTemplates {
  if (chatTemplates) return chatTemplates;
  const byName = new Map<string, string>();
  for (const [key, { value }] of metadata) {
    if (typeof value !== "string") continue;
    if (key === KEY) byName.set("default", value);
    else if (key.startsWith(`${KEY}.`)) byName.set(key.slice(KEY.length + 1), value);
  }
  return { byName };
}
