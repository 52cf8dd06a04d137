import { openModelFile } from "../format/detect.ts";
import { GGUF_MAGIC } from "../format/gguf/header.ts";
import type { ModelFile } from "../format/model_file.ts";
import { readConfig } from "../model/read_model.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { ByteSource } from "../source/byte_source.ts";
import { type OpenOptions, openSource, readAll } from "../source/open.ts";
import type { SourceLike } from "../source/options.ts";
import { checkSourceOptions } from "../source/options.ts";
import type { Tokenizer, TokenizerData } from "../tokenizer/core/tokenizer.ts";
import { parseTokenizerFile, refusePattern } from "../tokenizer/load.ts";
import { createTokenizer } from "../tokenizer/registry.ts";
import { FormatError, TokenizerError } from "../util/errors.ts";

// Tokenizers of known models stay under 20 MB.
const MAX_TOKENIZER_BYTES = 64 << 20;

async function isGguf(source: ByteSource): Promise<boolean> {
  const magic = new Uint8Array(4);
  if (source.size !== undefined && source.size < magic.length) return false;
  await source.read(0, magic);
  return new DataView(magic.buffer).getUint32(0, true) === GGUF_MAGIC;
}

/** A tokenizer, and what its file says wrongly. */
export interface LoadedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly warnings: readonly string[];
}

function loaded(data: TokenizerData): LoadedTokenizer {
  return { tokenizer: createTokenizer(data), warnings: ("warnings" in data && data.warnings) || [] };
}

function tokenizerInside(file: ModelFile): LoadedTokenizer {
  const data = file.tokenizer();
  if (!data) {
    throw new TokenizerError(
      `Cannot load ${file.source.name}: Expected a tokenizer in the file, got none; name one with the tokenizer option (--tokenizer FILE)`,
    );
  }
  return loaded(data);
}

/** How a tokenizer is opened and read. */
export interface TokenizerOptions extends OpenOptions {
  /** How a tiktoken rank file's texts are split; see `TokenizerLoadOptions` of src/tokenizer.ts. */
  readonly pattern?: string | undefined;
}

/**
 * A tokenizer alone, from a tokenizer file (SentencePiece `.model`, tiktoken rank file, `tokenizer.json`,
 * llama2.c `tokenizer.bin`) or from a model file that carries one. `vocabSize` is how many tokens the model has,
 * where that is known.
 * @throws SourceError, FormatError, UnsupportedError, TokenizerError; UsageError for a pattern where the file is no
 *   rank file; the signal's reason
 */
export async function loadTokenizer(
  source: SourceLike,
  vocabSize?: number,
  options: TokenizerOptions = {},
): Promise<LoadedTokenizer> {
  checkSourceOptions(options);
  const opened = await openSource(source, detectRuntime(), options);
  try {
    if (await isGguf(opened)) {
      refusePattern(options.pattern, opened.name);
      const tokenizer = tokenizerInside(await openModelFile(opened));
      // The header is enough; only a digest needs the whole file.
      if (options.sha256 !== undefined) await opened.finish?.();
      return tokenizer;
    }
    const bytes = await readAll(opened, MAX_TOKENIZER_BYTES);
    await opened.finish?.();
    return loaded(parseTokenizerFile(bytes, { name: opened.name, vocabSize, pattern: options.pattern }));
  } finally {
    await opened.close();
  }
}

/**
 * The tokenizer of a model: the one of `source` where that is given, else the file's own.
 * @throws what readConfig throws; FormatError where it has more tokens than the model; TokenizerError where
 *   there is none
 */
export async function modelTokenizer(
  file: ModelFile,
  source: SourceLike | undefined,
  options: OpenOptions = {},
): Promise<LoadedTokenizer> {
  const { vocabSize: rows } = readConfig(file);
  const found = source === undefined ? tokenizerInside(file) : await loadTokenizer(source, rows, options);
  const { tokenizer } = found;
  if (tokenizer.vocabSize > rows) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected a vocabulary of at most ${rows} tokens (rows of token_embd.weight), got ${tokenizer.vocabSize}`,
    );
  }
  return found;
}
