// Finds out which files a name of a repository stands for.
import { UsageError } from "../../util/errors.ts";
import { notedFiles } from "../cache_notes.ts";
import type { SourceHost } from "../host.ts";
import { UnreachableError } from "../http/http_errors.ts";
import type { OpenOptions } from "../open.ts";
import type { SourceLike } from "../options.ts";
import { bestModel, modelByTag, modelsByTag } from "./choose_model.ts";
import type { GgufModel } from "./gguf_models.ts";
import { type ListedFile, listRepository } from "./hub_listing.ts";
import { encodedPath, type HubName, hubPrefix, isHubName, parseHubName } from "./hub_name.ts";

/** How a name is resolved. */
export interface ResolveOptions extends Pick<OpenOptions, "signal" | "cache" | "http" | "fromCache"> {
  /** Most bytes of memory that the model may take. Default: the machine's, at most 4 GiB. */
  readonly maxBytes?: number | undefined;
}

/** What a name of a repository stands for. */
export interface ResolvedModel {
  /**
   * What to open: the name of a GGUF file, or of the first part of a split one ("hf:owner/repo/file.gguf"), or of the
   * folder of a safetensors model, which ends with "/".
   */
  readonly name: string;
  readonly kind: "gguf" | "safetensors";
  /** Bytes of the weights. */
  readonly size: number;
  /** All files of the model, by their names in the repository. */
  readonly files: readonly ListedFile[];
}

/**
 * What a name of a repository stands for: `hf:owner/repo:Q4_K_M` for the GGUF file of that type, `hf:owner/repo` (or
 * `hf:owner/repo/folder/`) for the one that bestModel() chooses, else for a safetensors model, each with or without
 * `@revision` after the repository. Undefined for everything that needs no listing: a file of the hub, a path, a URL,
 * bytes. If the hub cannot be reached, the files of the repository that are cached count; with `fromCache` a type that is
 * cached as a whole is not asked for.
 * @throws UsageError that lists what there is, if the name fits no file or more than one; what listRepository throws
 */
export async function resolveModel(
  source: SourceLike | undefined,
  host: SourceHost,
  options: ResolveOptions = {},
): Promise<ResolvedModel | undefined> {
  const text = source instanceof URL ? source.href : source;
  if (typeof text !== "string" || !isHubName(text)) return undefined;
  const name = parseHubName(text);
  if (!name || (name.parts.length > 0 && !name.isFolder)) return undefined;
  const folder = name.parts.map((part) => `${part}/`).join("");
  const prefix = hubPrefix(name);
  const cached =
    options.fromCache && name.tag !== undefined ? await cachedModel(name.tag, prefix, host) : undefined;
  if (cached) return resolved(prefix, cached);
  const files = (await filesOf(name, host, options)).filter((file) => file.name.startsWith(folder));
  const repository = prefix.slice(0, -1);
  const memory = options.maxBytes ?? host.memoryBytes?.() ?? Number.POSITIVE_INFINITY;
  const model =
    name.tag === undefined ? bestModel(repository, files, memory) : modelByTag(repository, files, name.tag);
  return model ? resolved(prefix, model) : safetensorsModel(prefix, folder, files);
}

function resolved(prefix: string, { name, size, files }: GgufModel): ResolvedModel {
  return { name: prefix + encodedPath(name), kind: "gguf", size, files };
}

/** The model of a type that is cached with all its files, if it is the only one. */
async function cachedModel(tag: string, prefix: string, host: SourceHost): Promise<GgufModel | undefined> {
  const [model, ...more] = modelsByTag(await cachedFiles(prefix, host, {}).catch(() => []), tag);
  return model?.isWhole && more.length === 0 ? model : undefined;
}

/** The table of a safetensors model's files. */
export const INDEX = "model.safetensors.index.json";
/** What may stand beside the weights of a safetensors model. */
export const companions: readonly string[] = [
  ...[
    "config.json",
    "generation_config.json",
    INDEX,
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
  ],
  ...[
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
  ],
];
const SHARD = /^model[^/]*\.safetensors$/;

function safetensorsModel(prefix: string, folder: string, files: readonly ListedFile[]): ResolvedModel {
  const own = files.filter(({ name }) => {
    const base = name.slice(folder.length);
    return SHARD.test(base) || companions.includes(base);
  });
  const shards = own.filter(({ name }) => SHARD.test(name.slice(folder.length)));
  if (shards.length === 0 || !own.some(({ name }) => name === `${folder}config.json`)) {
    throw new UsageError(
      `Cannot open ${prefix}${folder}: Expected a GGUF file, or config.json and model.safetensors, got ${listed(files)}`,
    );
  }
  const size = shards.reduce((sum, shard) => sum + shard.size, 0);
  return { name: prefix + encodedPath(folder), kind: "safetensors", size, files: own };
}

const MAX_LISTED = 12;

function listed(files: readonly ListedFile[]): string {
  if (files.length === 0) return "no files";
  const names = files.slice(0, MAX_LISTED).map(({ name }) => name);
  return names.join(", ") + (files.length > MAX_LISTED ? ", ..." : "");
}

async function filesOf(
  name: HubName,
  host: SourceHost,
  options: ResolveOptions,
): Promise<readonly ListedFile[]> {
  try {
    return await listRepository(name, host, options);
  } catch (error) {
    if (!(error instanceof UnreachableError) || options.cache === false) throw error;
    const cached = await cachedFiles(hubPrefix(name), host, options).catch(() => []);
    if (cached.length === 0) throw error;
    return cached;
  }
}

async function cachedFiles(
  prefix: string,
  host: SourceHost,
  { cache }: ResolveOptions,
): Promise<ListedFile[]> {
  const files = await host.openCache(typeof cache === "string" ? cache : undefined, true);
  const noted = files ? await notedFiles(files) : [];
  return noted
    .filter(({ entry, note }) => entry.isWhole && note.name.startsWith(prefix))
    .map(({ note: { name, size } }) => ({ name: decodeURIComponent(name.slice(prefix.length)), size }));
}
