// Which model of a repository is meant.
import { sizeText } from "../../util/bytes.ts";
import { UsageError } from "../../util/errors.ts";
import { baseName, type GgufModel, ggufModels } from "./gguf_models.ts";
import type { ListedFile } from "./hub_listing.ts";

/** Bytes that one memory of WebAssembly can have. */
const MAX_MEMORY = 2 ** 32;
/** Memory for a byte of a file: weights take at most 1.1; the rest is for keys and values. */
const BYTES_PER_BYTE = 1.25;
/** Types of fewer bits may grow to this in memory. */
const LEAST_BITS = 4.5;
/** What most people run, and what other programs take if nothing else is said: llama.cpp, ollama. */
const USUAL = "Q4_K_M";
/** An error lists no more models than this. */
const MAX_LISTED = 24;

/**
 * The GGUF model that a tag names: the type in its file name, case aside ("Q4_K_M", "q8_0"), or the file's own name.
 * @param repository how errors call it: "hf:owner/repo"
 * @throws UsageError that lists what there is, if there is none or more than one
 */
export function modelByTag(repository: string, files: readonly ListedFile[], tag: string): GgufModel {
  const found = modelsByTag(files, tag);
  const [model] = found;
  const asked = `${repository}:${tag}`;
  if (!model) throw refusal(asked, `one of ${listed(ggufModels(files), nameTag)}`, "no such type");
  if (found.length > 1)
    throw refusal(asked, "one model", `${found.length}: ${listed(found, nameFile)}; name the file`);
  if (!model.isWhole)
    throw refusal(asked, "all parts of the file", `${model.files.length}: ${listed([model], nameFile)}`);
  return model;
}

/** All GGUF models that a tag may name, whole or not: those of exactly this type or name, else those whose names hold it. */
export function modelsByTag(files: readonly ListedFile[], tag: string): readonly GgufModel[] {
  const models = ggufModels(files);
  const wanted = tag.toUpperCase();
  const exact = models.filter(({ tag: own, name }) =>
    [own, name.toUpperCase(), baseName(name).toUpperCase()].includes(wanted),
  );
  return exact.length > 0 ? exact : models.filter(({ name }) => holds(baseName(name).toUpperCase(), wanted));
}

/**
 * The GGUF model to take if none is named: Q4_K_M if it fits, else the largest of at most 8 bits that fits, else one
 * whose name says no type, else the smallest of 16 or 32 bits. Undefined if there is no GGUF file at all.
 * @param memory bytes that may be used
 * @throws UsageError if none fits, or if several of the chosen type are there
 */
export function bestModel(
  repository: string,
  files: readonly ListedFile[],
  memory: number,
): GgufModel | undefined {
  const all = ggufModels(files);
  if (all.length === 0) return undefined;
  const most = Math.min(memory, MAX_MEMORY);
  const models = all.filter((model) => model.isWhole && neededBytes(model) <= most).sort(byPreference);
  const [best] = models;
  if (!best) {
    throw refusal(
      repository,
      `a model for ${sizeText(most)} of memory`,
      `${listed(all, nameTag)}; name one to load it all the same: ${repository}:TAG`,
    );
  }
  const alike = models.filter(({ tag }) => tag === best.tag);
  if (alike.length > 1)
    throw refusal(repository, "one model", `${alike.length}: ${listed(alike, nameFile)}; name the file`);
  return best;
}

/** Bits of a weight by its type's name; undefined if the name says none. */
function bitsOf({ tag }: GgufModel): number | undefined {
  const digits = /\d+/.exec(tag ?? "")?.[0];
  return digits === undefined ? undefined : Number(digits);
}

function neededBytes(model: GgufModel): number {
  const growth = LEAST_BITS / ((bitsOf(model) ?? LEAST_BITS) + 0.5);
  return model.size * BYTES_PER_BYTE * Math.max(1, growth);
}

function byPreference(a: GgufModel, b: GgufModel): number {
  const rank = rankOf(a) - rankOf(b);
  return rank !== 0 ? rank : rankOf(a) === 3 ? a.size - b.size : b.size - a.size;
}

function rankOf(model: GgufModel): number {
  if (model.tag === USUAL) return 0;
  const bits = bitsOf(model);
  return bits === undefined ? 2 : bits <= 8 ? 1 : 3;
}

/** Whether a name has a word in it, between signs that are neither letters nor digits. */
function holds(name: string, word: string): boolean {
  const at = name.indexOf(word);
  const isEdge = (character: string | undefined) => character === undefined || !/[A-Z0-9_]/.test(character);
  return at >= 0 && isEdge(name[at - 1]) && isEdge(name[at + word.length]);
}

const nameTag = ({ tag, name }: GgufModel) => tag ?? name;
const nameFile = ({ name }: GgufModel) => name;

function listed(models: readonly GgufModel[], nameOf: (model: GgufModel) => string): string {
  if (models.length === 0) return "no GGUF file";
  const texts = models
    .slice(0, MAX_LISTED)
    .map(
      (model) => `${nameOf(model)} (${sizeText(model.size)}${model.isWhole ? "" : ", parts are missing"})`,
    );
  return texts.join(", ") + (models.length > MAX_LISTED ? ", ..." : "");
}

function refusal(name: string, expected: string, got: string): UsageError {
  return new UsageError(`Cannot choose a file of ${name}: Expected ${expected}, got ${got}`);
}
