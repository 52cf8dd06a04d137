// Names of files on the Hugging Face hub ("hf:owner/repo/file"), and their URLs.
import { quoted } from "../util/bytes.ts";
import { UsageError } from "../util/errors.ts";

const HUB = "https://huggingface.co";
/** Owners and repositories of the hub: at most 96 characters, no dots or dashes at the ends. */
const ID = /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;

/** Whether a text is the short form of a file or a repository on the hub. */
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
  const parsed = parse(text);
  if (parsed && parsed.parts.length > 0) return resolveUrl(parsed, "");
  throw new UsageError(
    `Cannot open ${quoted(text)}: Expected hf:owner/repo/file or hf:owner/repo@revision/file`,
  );
}

/**
 * The URL that the files of a repository, or of a folder in it, are below: `hf:owner/repo`, `hf:owner/repo/folder`,
 * each with or without `@revision`. It ends with "/".
 * @throws UsageError for anything else
 */
export function hubFolderUrl(text: string): URL {
  const parsed = parse(text.replace(/\/$/, ""));
  if (parsed) return resolveUrl(parsed, "/");
  throw new UsageError(
    `Cannot open ${quoted(text)}: Expected hf:owner/repo, hf:owner/repo@revision or a folder of it`,
  );
}

/** A part of a URL's path without its % escapes; undefined if they are not UTF-8. */
export function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

interface HubName {
  readonly owner: string;
  readonly repository: string;
  readonly revision: string;
  readonly parts: readonly string[];
}

function parse(text: string): HubName | undefined {
  const [owner = "", second = "", ...path] = text.replace(/^hf:(\/\/)?/i, "").split("/");
  const at = second.indexOf("@");
  const repository = at < 0 ? second : second.slice(0, at);
  const revision = decodedPart(at < 0 ? "main" : second.slice(at + 1));
  const parts: string[] = [];
  for (const part of path.map(decodedPart)) {
    if (!part || part === "." || part === "..") return undefined;
    parts.push(part);
  }
  return ID.test(owner) && ID.test(repository) && revision
    ? { owner, repository, revision, parts }
    : undefined;
}

function resolveUrl({ owner, repository, revision, parts }: HubName, end: string): URL {
  const segments = [owner, repository, "resolve", revision, ...parts].map(encodeURIComponent);
  return new URL(`${HUB}/${segments.join("/")}${end}`);
}
