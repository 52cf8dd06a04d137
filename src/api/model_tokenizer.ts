// The tokenizer of a model: its own, or one that the caller names.
import type { ModelFile } from "../format/model_file.ts";
import {
  type LoadedTokenizer,
  loadTokenizer,
  type TokenizerOptions,
  tokenizerInside,
} from "../format/tokenizer_file.ts";
import { readConfig } from "../model/read_model.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { OpenOptions } from "../source/open.ts";
import type { SourceLike } from "../source/options.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import { FormatError } from "../util/errors.ts";

/**
 * The tokenizer of a model: `source`, or the one that it holds, if that is given, else the file's own.
 * @throws what readConfig throws; FormatError if it has more tokens than the model; TokenizerError if there is none
 */
export async function modelTokenizer(
  file: ModelFile,
  source: SourceLike | Tokenizer | undefined,
  options: OpenOptions = {},
): Promise<LoadedTokenizer> {
  const { vocabSize: rows } = readConfig(file);
  const found = await loadedTokenizer(file, source, { ...options, vocabSize: rows });
  const { tokenizer } = found;
  if (tokenizer.vocabSize > rows) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected a vocabulary of at most ${rows} tokens (rows of token_embd.weight), got ${tokenizer.vocabSize}`,
    );
  }
  return found;
}

async function loadedTokenizer(
  file: ModelFile,
  source: SourceLike | Tokenizer | undefined,
  options: TokenizerOptions,
): Promise<LoadedTokenizer> {
  if (source === undefined) return tokenizerInside(file);
  if (isTokenizer(source)) return { tokenizer: source, warnings: [] };
  return loadTokenizer(source, detectRuntime(), options);
}

function isTokenizer(source: SourceLike | Tokenizer): source is Tokenizer {
  return typeof source === "object" && source !== null && "encode" in source && "vocabSize" in source;
}
