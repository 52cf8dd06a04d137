import { quoted } from "../util/bytes.ts";
import { UsageError } from "../util/errors.ts";

const HUB = "https://huggingface.co";
/** Owners and repositories of the hub: at most 96 characters, no dots or dashes at the ends. */
const ID = /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;

/** Whether a text is the short form of a file on the hub. */
export function isHubName(text: string): boolean {
  return /^hf:/i.test(text);
}

/**
 * The URL of a file on the Hugging Face hub: `hf:owner/repo/file.gguf`, `hf:owner/repo/folder/file.gguf`, and
 * `hf:owner/repo@revision/file.gguf` for a branch, tag or commit other than "main". A "/" in a revision is written
 * %2F.
 * @throws UsageError for anything else
 */
export function hubUrl(text: string): URL {
  const [owner = "", repository = "", ...path] = text.replace(/^hf:(\/\/)?/i, "").split("/");
  const at = repository.indexOf("@");
  const name = at < 0 ? repository : repository.slice(0, at);
  const revision = decoded(at < 0 ? "main" : repository.slice(at + 1));
  const parts = path.map(decoded);
  const isPath = parts.length > 0 && parts.every((part) => part && part !== "." && part !== "..");
  if (!ID.test(owner) || !ID.test(name) || !isPath || !revision) {
    throw new UsageError(
      `Cannot open ${quoted(text)}: Expected hf:owner/repo/file or hf:owner/repo@revision/file`,
    );
  }
  const segments = [owner, name, "resolve", revision, ...(parts as string[])].map(encodeURIComponent);
  return new URL(`${HUB}/${segments.join("/")}`);
}

/** Text without its % escapes; undefined where they are no UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
