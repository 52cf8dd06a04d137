// Hints behind errors about the model that a command line names.
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { embeddedNames } from "../package.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { UnreachableError } from "../source/http/http_errors.ts";
import { hubFolderUrl, hubPrefix, isHubName, parseHubName } from "../source/hub/hub_name.ts";
import { FormatError, MemoryError, SourceError, UnsupportedError } from "../util/errors.ts";
import { nearestName } from "../util/nearest.ts";

/**
 * The error with a hint behind it: what a name may mean that is no file, where the other files of a repository are if one is
 * refused, and what to do about a file that is cut or a server that is not reached.
 * @param name a path, URL or name of the hub as it was given
 */
export async function withNameHint(error: unknown, name: string | undefined): Promise<unknown> {
  if (name === undefined) return error;
  if (error instanceof UnsupportedError || error instanceof MemoryError) {
    error.message += otherFiles(error.message, name);
    return error;
  }
  if (error instanceof FormatError && /, the file ends at \d+$/.test(error.message)) {
    error.message += "; it is cut off, or damaged: download or copy it again";
  }
  if (error instanceof UnreachableError && !error.message.endsWith(WITHOUT_SERVER)) {
    error.message += WITHOUT_SERVER;
  }
  if (!(error instanceof SourceError)) return error;
  if (error.message !== `Cannot open ${name}: no such file`) return error;
  const hint = (await nearFile(name)) ?? hubHint(name);
  return hint === undefined ? error : new SourceError(`${error.message}; ${hint}`, { cause: error.cause });
}

const WITHOUT_SERVER = "; what cria list shows can be used without this server";

/** "; those of the repository: https://..." behind advice to take another file. */
function otherFiles(message: string, name: string): string {
  const hub = isHubName(name) ? parseHubName(name) : undefined;
  if (!hub || !/\btake a(?:nother)? file\b/.test(message)) return "";
  const { href } = hubFolderUrl(hubPrefix(hub), detectRuntime());
  return `; those of the repository: ${href.replace("/resolve/", "/tree/")}`;
}

/** Names of the Hugging Face hub, and those of other programs' libraries of models. */
function hubHint(name: string): string | undefined {
  if (embeddedNames.includes(`cria:${name}`)) return `did you mean cria:${name}?`;
  if (/^[\w.-]+\/[\w.-]+(?:@[\w.-]+)?\/[^\s]+\.(?:gguf|bin)$/.test(name)) return `did you mean hf:${name}?`;
  if (/^[\w.-]+\/[\w.-]+(?::[\w.-]+)?$/.test(name) && !/\.(?:gguf|bin)$/i.test(name) && !name.startsWith("."))
    return `a repository of the Hugging Face hub is hf:${name}`;
  if (/^[\w.-]+(?::[\w.-]+)?$/.test(name) && !/\.(?:gguf|bin|model|json|tiktoken)$/i.test(name))
    return "cria knows no models by name: give a file, a URL or hf:owner/repo:TYPE";
  return undefined;
}

/** A file in the same folder with nearly the same name. */
async function nearFile(name: string): Promise<string | undefined> {
  const folder = dirname(name);
  const names = await readdir(folder).catch(() => []);
  const near = nearestName(basename(name), names.slice(0, MAX_NAMES));
  if (near === undefined) return undefined;
  return `did you mean ${folder === "." && !name.startsWith(".") ? near : join(folder, near)}?`;
}

/** Most files of a folder that are looked at. */
const MAX_NAMES = 5000;
