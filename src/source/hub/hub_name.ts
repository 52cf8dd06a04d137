// Names on the Hugging Face hub ("hf:owner/repo/file", "hf:owner/repo:Q4_K_M"), and their URLs.
import { quoted } from "../../util/bytes.ts";
import { UsageError } from "../../util/errors.ts";
import type { SourceHost } from "../host.ts";

const HUB = "https://huggingface.co";
/** Owners and repositories of the hub: at most 96 characters, no dots or dashes at the ends. */
const ID = /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;

/** A name on the hub, in its parts. */
export interface HubName {
  /** "owner/repo". */
  readonly repository: string;
  /** A branch, tag or commit; "main" if none is named. */
  readonly revision: string;
  /** Folders and file, decoded. */
  readonly parts: readonly string[];
  /** What stands behind ":" after the repository: "Q4_K_M". */
  readonly tag: string | undefined;
  /** Whether it ends with "/": a folder. */
  readonly isFolder: boolean;
}

/** Whether a text is the short form of a file or a repository on the hub. */
export function isHubName(text: string): boolean {
  return /^hf:/i.test(text);
}

/**
 * The address of the hub, without "/" at its end: the environment variable HF_ENDPOINT, else huggingface.co.
 * @throws UsageError if the variable is no http(s) URL
 */
export function hubEndpoint(host: SourceHost): string {
  const text = host.variable?.("HF_ENDPOINT")?.trim() || HUB;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password) {
    return url.origin + url.pathname.replace(/\/+$/, "");
  }
  // The variable may hold a password.
  throw new UsageError("Cannot use the hub at HF_ENDPOINT: Expected an http(s) URL without a password");
}

/**
 * The URL of a file on the Hugging Face hub: `hf:owner/repo/file.gguf`, `hf:owner/repo/folder/file.gguf`, and
 * `hf:owner/repo@revision/file.gguf` for a branch, tag or commit other than "main". A "/" in a revision is written
 * %2F.
 * @throws UsageError for anything else
 */
export function hubUrl(text: string, host: SourceHost): URL {
  const name = parseHubName(text);
  if (name && name.parts.length > 0 && name.tag === undefined) return resolveUrl(name, host, "");
  const file = "hf:owner/repo/file or hf:owner/repo@revision/file";
  const expected = name ? file : `hf:owner/repo, hf:owner/repo:TYPE, ${file}`;
  throw new UsageError(`Cannot open ${quoted(text)}: Expected ${expected}`);
}

/**
 * The URL that the files of a repository, or of a folder in it, are below: `hf:owner/repo`, `hf:owner/repo/folder`,
 * each with or without `@revision`. It ends with "/".
 * @throws UsageError for anything else
 */
export function hubFolderUrl(text: string, host: SourceHost): URL {
  const name = parseHubName(text);
  if (name && name.tag === undefined) return resolveUrl(name, host, "/");
  throw new UsageError(
    `Cannot open ${quoted(text)}: Expected hf:owner/repo, hf:owner/repo@revision or a folder of it`,
  );
}

/** The short name of a file of the hub by its URL; undefined for any other URL. */
export function hubNameOf(url: string, host: SourceHost): string | undefined {
  const base = `${hubEndpoint(host)}/`;
  if (!url.startsWith(base)) return undefined;
  const path = url.slice(base.length).replace(/[?#].*$/s, "");
  const [, repository, revision = "", file] = /^([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
  if (repository === undefined) return undefined;
  const text = `hf:${repository}${revision === "main" ? "" : `@${revision}`}/${file}`;
  return parseHubName(text) && text;
}

/** What stands before the names of a repository's files: "hf:owner/repo@revision/". */
export function hubPrefix({ repository, revision }: HubName): string {
  return `hf:${repository}${revision === "main" ? "" : `@${encodeURIComponent(revision)}`}/`;
}

/** A name of a file as a part of a URL or of a short name: each of its parts with % escapes. */
export function encodedPath(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** A part of a URL's path without its % escapes; undefined if they are not UTF-8. */
export function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The parts of a name; undefined if it is none. */
export function parseHubName(text: string): HubName | undefined {
  const path = text.replace(/^hf:(\/\/)?/i, "");
  const isFolder = path.endsWith("/");
  const [owner = "", second = "", ...rest] = path.replace(/\/$/, "").split("/");
  const [, repository = "", at, tag] = /^([^@:]*)(?:@([^:]*))?(?::(.+))?$/s.exec(second) ?? [];
  const revision = decodedPart(at ?? "main");
  const parts: string[] = [];
  for (const part of rest.map(decodedPart)) {
    if (!part || part === "." || part === ".." || tag !== undefined) return undefined;
    parts.push(part);
  }
  return ID.test(owner) && ID.test(repository) && revision && !/^\.\.?$/.test(revision)
    ? { repository: `${owner}/${repository}`, revision, parts, tag, isFolder }
    : undefined;
}

function resolveUrl({ repository, revision, parts }: HubName, host: SourceHost, end: string): URL {
  const segments = ["resolve", revision, ...parts].map(encodeURIComponent);
  return new URL(`${hubEndpoint(host)}/${repository}/${segments.join("/")}${end}`);
}
