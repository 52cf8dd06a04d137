// Opens a tokenizer alone: from a tokenizer file, or from a GGUF file that carries one.
import type { Runtime } from "../runtime/runtime.ts";
import type { ByteSource } from "../source/byte_source.ts";
import { type OpenOptions, openSource, readAll } from "../source/open.ts";
import { checkSourceOptions, type SourceLike } from "../source/options.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import { parseTokenizerFile, refusePattern } from "../tokenizer/load.ts";
import { createTokenizer, type TokenizerData } from "../tokenizer/registry.ts";
import { TokenizerError } from "../util/errors.ts";
import { isGguf, openGguf } from "./detect.ts";
import type { ModelFile } from "./model_file.ts";

/** Largest tokenizer file that is read. Those of known models stay under 20 MB. */
const MAX_TOKENIZER_BYTES = 64 << 20;

/** A tokenizer, and what its file says wrongly. */
export interface LoadedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly warnings: readonly string[];
}

/** How a tokenizer is opened and read. */
export interface TokenizerOptions extends OpenOptions {
  /** Ids that the model has, if known; the file may have fewer. */
  readonly vocabSize?: number | undefined;
  /** How the texts of a tiktoken rank file are split; see `TokenizerLoadOptions` of src/tokenizer.ts. */
  readonly pattern?: string | undefined;
}

/**
 * Opens a tokenizer file (SentencePiece `.model`, tiktoken rank file, `tokenizer.json`, llama2.c `tokenizer.bin`) or a
 * GGUF file that carries a tokenizer.
 * @throws SourceError, FormatError, UnsupportedError, TokenizerError; UsageError for a pattern if the file is no rank
 *   file; the signal's reason
 */
export async function loadTokenizer(
  source: SourceLike,
  runtime: Runtime,
  options: TokenizerOptions = {},
): Promise<LoadedTokenizer> {
  checkSourceOptions(options);
  const opened = await openSource(source, runtime, options);
  try {
    return (await isGguf(opened)) ? await readFromGguf(opened, options) : await readWhole(opened, options);
  } finally {
    await opened.close();
  }
}

async function readFromGguf(opened: ByteSource, options: TokenizerOptions): Promise<LoadedTokenizer> {
  refusePattern(options.pattern, opened.name);
  const tokenizer = tokenizerInside(await openGguf(opened));
  // The header is enough. Only a digest needs the whole file.
  if (options.sha256 !== undefined) await opened.finish?.();
  return tokenizer;
}

async function readWhole(opened: ByteSource, options: TokenizerOptions): Promise<LoadedTokenizer> {
  const bytes = await readAll(opened, MAX_TOKENIZER_BYTES);
  await opened.finish?.();
  const { vocabSize, pattern } = options;
  return built(parseTokenizerFile(bytes, { name: opened.name, vocabSize, pattern }));
}

/**
 * The tokenizer that a model file carries.
 * @throws FormatError, UnsupportedError; TokenizerError if there is none
 */
export function tokenizerInside(file: ModelFile): LoadedTokenizer {
  const data = file.tokenizer();
  if (!data) {
    throw new TokenizerError(
      `Cannot load ${file.source.name}: Expected a tokenizer in the file, got none; name one with the tokenizer option (--tokenizer FILE)`,
    );
  }
  return built(data);
}

function built(data: TokenizerData): LoadedTokenizer {
  return { tokenizer: createTokenizer(data), warnings: ("warnings" in data && data.warnings) || [] };
}
