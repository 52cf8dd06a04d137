// Reads a model from a folder as Hugging Face stores it: config.json, safetensors, and a tokenizer.

import { bytesSource } from "../../source/bytes.ts";
import type { FileShelf } from "../../source/file_shelf.ts";
import type { JsonValue } from "../../tokenizer/huggingface/json.ts";
import { parseTokenizerFile } from "../../tokenizer/load.ts";
import type { TokenizerData } from "../../tokenizer/registry.ts";
import { FormatError } from "../../util/errors.ts";
import type { ModelFile, TensorInfo } from "../model_file.ts";
import { readChatTemplates } from "./chat_template_files.ts";
import { type HuggingFaceConfig, parseJson, readHuggingFaceConfig, tokenIds } from "./config.ts";
import { readShards, readSmall } from "./shards.ts";
import { ggufTensors } from "./tensors.ts";
import { optional } from "./values.ts";

/** Largest JSON file that is read, tokenizers and indexes aside. */
const MAX_JSON_BYTES = 4 << 20;
/** Largest tokenizer file that is read. */
const MAX_TOKENIZER_BYTES = 64 << 20;

/**
 * Reads a model in a folder of safetensors: config.json, headers, the tokenizer.
 * @param fileName the file that the caller named, if it named one
 * @throws FormatError, UnsupportedError, SourceError
 */
export async function readFolder(files: FileShelf, fileName: string | undefined): Promise<ModelFile> {
  const found = await readSmall(files, "config.json", MAX_JSON_BYTES);
  if (!found) {
    throw new FormatError(
      `Cannot load ${files.name}: Expected config.json in it (a folder of safetensors; name a GGUF file itself), got none`,
    );
  }
  const json = parseJson(found.bytes, found.name);
  const config = readHuggingFaceConfig(json);
  const { family, metadata } = config;
  const shards = await readShards(files, fileName);
  const tensors = checkedTensors(shards.tensors, config, json);
  const settings = await readSmall(files, "tokenizer_config.json", MAX_JSON_BYTES);
  return {
    format: "safetensors",
    source: bytesSource(found.bytes, found.name),
    architecture: family.architecture,
    metadata,
    tensors,
    checkEnd: () => shards.checkEnd(),
    chatTemplates: await readChatTemplates(files, settings),
    tokenizer: await readTokenizer(files, json, settings),
  };
}

/** The tensors, which must be those that config.json speaks of. */
function checkedTensors(
  stored: ReadonlyMap<string, TensorInfo>,
  config: HuggingFaceConfig,
  json: JsonValue,
): Map<string, TensorInfo> {
  const { family, tied, biases, ropeFactors, vocabSize } = config;
  const tensors = ggufTensors(stored, config);
  const has = (name: string) => tensors.has(name);
  for (const [stem, stated] of [...biases, ...(family.always ?? []).map((stem) => [stem, true] as const)]) {
    if (has(`blk.0.${stem}`) === stated) continue;
    const what = stem.endsWith(".bias") ? "biases" : "norms of queries and keys";
    throw contradiction(json, `${stated ? "" : "no "}${what}`, stem);
  }
  if (!tied && !has("output.weight"))
    throw contradiction(json, "an output matrix (lm_head.weight)", "tie_word_embeddings");
  const rows = tensors.get("token_embd.weight")?.shape[0];
  if (rows !== undefined && rows !== vocabSize) {
    throw json.get("vocab_size").expected(`${rows}, the rows of the embedding`, String(vocabSize));
  }
  for (const info of ropeFactors) tensors.set(info.name, info);
  return tensors;
}

function contradiction(json: JsonValue, expected: string, key: string): FormatError {
  return new FormatError(
    `Cannot load ${json.name}: Expected ${expected} among the tensors, as config.json says (${key})`,
  );
}

/** What reads the tokenizer when it is asked for: another may be used instead. */
async function readTokenizer(
  files: FileShelf,
  config: JsonValue,
  settings: { readonly bytes: Uint8Array; readonly name: string } | undefined,
): Promise<() => TokenizerData | undefined> {
  const file =
    (await readSmall(files, "tokenizer.json", MAX_TOKENIZER_BYTES)) ??
    (await readSmall(files, "tokenizer.model", MAX_TOKENIZER_BYTES));
  const generation = await readSmall(files, "generation_config.json", MAX_JSON_BYTES);
  if (!file) return () => undefined;
  return () => {
    const data = parseTokenizerFile(file.bytes, { name: file.name });
    const warnings: string[] = [];
    const others = [config, generation && parseJson(generation.bytes, generation.name)];
    const ids = (key: string) => others.flatMap((json) => tokenIds(json, key, data.types.length, warnings));
    const bosId = data.bosId ?? ids("bos_token_id")[0];
    const eosIds = [...new Set([...data.eosIds, ...ids("eos_token_id")])];
    // A tokenizer.json says itself what it adds to texts.
    const own =
      data.kind === "huggingface" ? undefined : settings && parseJson(settings.bytes, settings.name);
    const adds = (key: string, usual: boolean) => (own && optional(own, key)?.boolean(usual)) ?? usual;
    return {
      ...data,
      bosId,
      eosIds,
      addBos: bosId !== undefined && adds("add_bos_token", data.addBos),
      addEos: eosIds.length > 0 && adds("add_eos_token", data.addEos),
      warnings: [...("warnings" in data && data.warnings ? data.warnings : []), ...warnings],
    };
  };
}
