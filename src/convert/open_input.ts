// Opens what quantize() and convert() read.
import { allKinds } from "../format/all_kinds.ts";
import type { ModelFile } from "../format/model_file.ts";
import { type ModelSource, type OpenedModel, openModel } from "../format/open_model.ts";
import { provideOtherKinds } from "../format/other_kinds.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ByteSource } from "../source/byte_source.ts";
import { openFileSet, siblings } from "../source/file_set.ts";
import { readAll } from "../source/open.ts";
import { huggingFaceKind } from "../tokenizer/huggingface/kind.ts";
import { provideJsonKind } from "../tokenizer/json_kind.ts";
import { UnsupportedError } from "../util/errors.ts";
import type { ConvertOptions } from "./options.ts";

provideOtherKinds(allKinds);
provideJsonKind(huggingFaceKind);

/** A model whose header was read. */
export interface OpenedInput {
  readonly model: OpenedModel;
  readonly file: ModelFile;
  /** The folder's name, or the file's. */
  readonly name: string;
  /** Reads a small file of the folder; undefined if there is no folder, or none of this name. */
  beside(name: string): Promise<{ readonly name: string; readonly bytes: Uint8Array } | undefined>;
}

/** Most bytes of a file that is read as a whole: the largest tokenizers have 40 MB. */
const MAX_SMALL_BYTES = 64 << 20;

/** @throws as openModel and its read; UnsupportedError for llama2.c files */
export async function openInput(
  input: ModelSource,
  runtime: Runtime,
  { signal, sha256, cache, http }: ConvertOptions,
): Promise<OpenedInput> {
  const model = await openModel(input, runtime, { signal, sha256, cache, http });
  try {
    const file = await model.read();
    if (file.format === "llama2c") {
      throw new UnsupportedError(
        `Cannot convert ${file.source.name}: Unsupported llama2.c file; supported: GGUF and folders of safetensors`,
      );
    }
    const isSet = typeof input === "string" || input instanceof URL || isGathered(input);
    const set = isSet && file.format === "safetensors";
    return {
      model,
      file,
      name: file.source.name,
      async beside(name) {
        if (!set) return undefined;
        const options = { signal, cache, http };
        const folder = openFileSet(input as string, runtime, options);
        // A file of the folder may have been named.
        const config = isGathered(input) ? undefined : await folder.open("config.json");
        await config?.close();
        const files =
          config || isGathered(input) ? folder : siblings(input as string, runtime, options)?.files;
        const source = await files?.open(name);
        return source && { name: source.name, bytes: await readAndClose(source) };
      },
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}

function isGathered(input: ModelSource): boolean {
  return input instanceof Map || Object.prototype.toString.call(input) === "[object Object]";
}

async function readAndClose(source: ByteSource): Promise<Uint8Array> {
  try {
    return await readAll(source, MAX_SMALL_BYTES);
  } finally {
    await source.close();
  }
}
