// Reads the chat templates of a folder as Hugging Face stores them.
import type { FileShelf } from "../../source/file_shelf.ts";
import { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { decodeUtf8 } from "../../util/bytes.ts";
import type { ChatTemplates } from "../model_file.ts";
import { readSmall } from "./shards.ts";
import { optional } from "./values.ts";

/** Largest file of a template that is read. */
const MAX_BYTES = 4 << 20;
/** Most templates of a model. */
const MAX_TEMPLATES = 64;

/**
 * The templates of chat_template.jinja, else of chat_template.json, else of tokenizer_config.json.
 * @param settings tokenizer_config.json, if there is one
 * @throws FormatError for JSON with other values than these files have
 */
export async function readChatTemplates(
  files: FileShelf,
  settings: { readonly bytes: Uint8Array; readonly name: string } | undefined,
): Promise<ChatTemplates> {
  const json = settings && JsonValue.parse(settings.bytes, settings.name);
  const byName = templatesOf(json);
  const text = await readSmall(files, "chat_template.jinja", MAX_BYTES);
  if (text) byName.set("default", decodeUtf8(text.bytes));
  else if (!byName.has("default")) {
    const other = await readSmall(files, "chat_template.json", MAX_BYTES);
    for (const [name, source] of templatesOf(other && JsonValue.parse(other.bytes, other.name))) {
      byName.set(name, source);
    }
  }
  return { byName, bosToken: tokenText(json, "bos_token"), eosToken: tokenText(json, "eos_token") };
}

/** A template, or several with their names. */
function templatesOf(json: JsonValue | undefined): Map<string, string> {
  const found = json && optional(json, "chat_template");
  if (!found) return new Map();
  if (!Array.isArray(found.value)) return new Map([["default", found.string()]]);
  return new Map(
    found.items(MAX_TEMPLATES).map((item) => [item.get("name").string(), item.get("template").string()]),
  );
}

/** A token as a text, or as an object that has it. */
function tokenText(json: JsonValue | undefined, key: string): string | undefined {
  const found = json && optional(json, key);
  if (!found) return undefined;
  return typeof found.value === "string" ? found.string() : found.get("content").string();
}
