// The keys of a written model: those of the input, and what is said anew.
import type { MetaValue, ModelFile } from "../format/model_file.ts";
import { type StoredKey, storedKey, storedKeys } from "./gguf_parts.ts";
import type { OpenedInput } from "./open_input.ts";
import { tokenizerValues } from "./tokenizer_keys.ts";

/** Keys that say how the input was stored. */
const dropped = [
  ...["split.no", "split.count", "split.tensors.count"],
  ...["general.alignment", "general.quantization_version", "general.file_type"],
];

/** ggml's version of the layouts of quantized types. */
const QUANTIZATION_VERSION = 2;

/**
 * The keys of a model that becomes a file of another kind.
 * @param fileType `general.file_type`
 * @param changed keys with another value than in the input
 * @throws UnsupportedError for tokenizers that GGUF has no keys for
 */
export async function writtenKeys(
  input: OpenedInput,
  fileType: number,
  changed: readonly StoredKey[],
): Promise<StoredKey[]> {
  const given =
    (await keysAsTheyStand(input.file)) ??
    [...(await values(input))].map(([name, value]) => storedKey(name, value));
  const kept = given.filter(({ name }) => !dropped.includes(name));
  const replaced = kept.map((key) => changed.find(({ name }) => name === key.name) ?? key);
  const added = changed.filter(({ name }) => !kept.some((key) => key.name === name));
  return [
    ...replaced,
    ...added,
    storedKey("general.quantization_version", { type: "u32", value: QUANTIZATION_VERSION }),
    storedKey("general.file_type", { type: "u32", value: fileType }),
  ];
}

/** The bytes of the keys of a GGUF file; undefined if it is none, or of a stream, which cannot go back. */
async function keysAsTheyStand({ format, source, tensors }: ModelFile): Promise<StoredKey[] | undefined> {
  if (format !== "gguf" || source.size === undefined) return undefined;
  let end = source.size;
  for (const info of tensors.values()) if (info.source === source) end = Math.min(end, info.offset);
  const header = new Uint8Array(end);
  await source.read(0, header);
  return storedKeys(header, source.name);
}

/** What a model says, as keys of GGUF. */
async function values(input: OpenedInput): Promise<ReadonlyMap<string, MetaValue>> {
  const { metadata, format } = input.file;
  if (format === "gguf") return metadata;
  return new Map<string, MetaValue>([
    ...metadata,
    ["general.name", { type: "string", value: folderName(input.name) }],
    ...(await tokenizerValues(input)),
  ]);
}

/** The name of the folder that a file lies in, if it says one. */
function folderName(fileName: string): string {
  return /([^/\\]+)[/\\][^/\\]*$/.exec(fileName)?.[1] ?? "model";
}
