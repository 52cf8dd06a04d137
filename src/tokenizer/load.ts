// Reads a tokenizer file: tells its format by its bytes, and calls the reader.
import { decodeUtf8 } from "../util/bytes.ts";
import { FormatError, UnsupportedError, UsageError } from "../util/errors.ts";
import { isTiktokenFile, parseTiktokenFile } from "./byte_level/tiktoken_file.ts";
import { jsonKind } from "./json_kind.ts";
import type { TokenizerData } from "./registry.ts";
import { parseLlama2cTokenizer } from "./sentencepiece/llama2c_bin.ts";
import { parseSentencePieceModel } from "./sentencepiece/spm_model.ts";

/** Bytes that tell formats apart. */
const HEAD_BYTES = 64;

const supported =
  "a SentencePiece model (tokenizer.model), a tiktoken rank file, a Hugging Face tokenizer.json, llama2.c's tokenizer.bin and GGUF";

/**
 * Reads a tokenizer file, whichever the bytes are: a SentencePiece model, a tiktoken rank file, a Hugging Face
 * tokenizer.json or llama2.c's tokenizer.bin.
 * @param options.name what error messages call the file
 * @param options.vocabSize ids that the model has, if it is known: a tokenizer.bin must have as many
 *   pieces, a SentencePiece model at most as many (models pad their vocabulary)
 * @param options.pattern how a rank file's texts are split, see {@link parseTiktokenFile}
 * @throws FormatError if the file is empty, cut, contradicts itself or does not fit the model
 * @throws UnsupportedError for another kind of tokenizer, or another file; says what it looks like
 * @throws UsageError for a pattern if the file is no rank file
 */
export function parseTokenizerFile(
  bytes: Uint8Array,
  options: { name: string; vocabSize?: number | undefined; pattern?: string | undefined },
): TokenizerData {
  const { name, vocabSize, pattern } = options;
  if (bytes.length === 0) throw new FormatError(`Cannot read ${name}: The file is empty`);
  const format = detect(bytes);
  if (format !== undefined && format !== "tiktoken") refusePattern(pattern, name);
  switch (format) {
    case "llama2c":
      return parseLlama2cTokenizer(bytes, vocabSize, name);
    case "sentencepiece":
      return checkSize(parseSentencePieceModel(bytes, name), vocabSize, name);
    case "tiktoken":
      return checkSize(parseTiktokenFile(bytes, { name, pattern }), vocabSize, name);
    case "huggingface":
      return checkSize(jsonKind(name).parse(bytes, name), vocabSize, name);
    default:
      throw new UnsupportedError(
        `Cannot read ${name}: The file looks like ${describe(bytes)}; supported: ${supported}`,
      );
  }
}

/** @throws UsageError if a pattern is given for a file that says itself how texts are split */
export function refusePattern(pattern: string | undefined, name: string): void {
  if (pattern === undefined) return;
  throw new UsageError(
    `Cannot read ${name} with pattern ${JSON.stringify(pattern)}: Expected a tiktoken rank file; this one says itself how texts are split`,
  );
}

/**
 * A SentencePiece model begins with field 1, a message: 0x0a, its length, then the tag of its text and
 * the length of that. A tokenizer.bin begins with the length of its longest piece, a u32 of which the
 * high byte is zero; in a model the fourth byte is a tag or a length, which are not.
 */
function detect(bytes: Uint8Array): "llama2c" | "sentencepiece" | "tiktoken" | "huggingface" | undefined {
  if (isSafetensors(bytes) || isLegacyLlama2c(bytes)) return undefined;
  if (isTokenizerJson(bytes)) return "huggingface";
  if (isTiktokenFile(bytes)) return "tiktoken";
  if (bytes[3] === 0) return "llama2c";
  return bytes[0] === 0x0a ? "sentencepiece" : undefined;
}

function describe(bytes: Uint8Array): string {
  const head = String.fromCharCode(...bytes.subarray(0, HEAD_BYTES));
  if (isSafetensors(bytes)) return "a safetensors model, which has no tokenizer";
  if (head.startsWith("24ka") || isLegacyLlama2c(bytes))
    return "a llama2.c model, whose tokenizer is a file beside it";
  if (head.startsWith("GGUF")) return "a GGUF model, whose tokenizer is loaded with the model";
  if (/^(\xef\xbb\xbf)?\s*[{[]/.test(head)) return "JSON, but no tokenizer.json";
  if (/^\s*<(!doctype|html|\?xml)/i.test(head)) return "a web page";
  if (head.startsWith("version https://git-lfs")) return "a Git LFS pointer, not the file itself";
  return "nothing that cria knows";
}

/** Bytes at each end of a JSON file in which the keys of a tokenizer.json are looked for. */
const JSON_BYTES = 1 << 16;

/** A JSON object with one of a tokenizer.json's own keys near its beginning or end. */
function isTokenizerJson(bytes: Uint8Array): boolean {
  const head = decodeUtf8(bytes.subarray(0, JSON_BYTES));
  if (!/^\ufeff?\s*\{/.test(head)) return false;
  const text = head + decodeUtf8(bytes.subarray(Math.max(JSON_BYTES, bytes.length - JSON_BYTES)));
  return /"(?:version|added_tokens|pre_tokenizer|post_processor|merges|vocab|model)"\s*:/.test(text);
}

/** A u64 header length below 2^24, then JSON. */
function isSafetensors(bytes: Uint8Array): boolean {
  return bytes[8] === "{".charCodeAt(0) && bytes.subarray(3, 8).every((byte) => byte === 0);
}

/** dim and hidden_dim, as integers: the latter would be the first score of a tokenizer.bin, and a subnormal number. */
function isLegacyLlama2c(bytes: Uint8Array): boolean {
  if (bytes.length < 8 || bytes[3] !== 0) return false;
  const second = new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(4, true);
  return second > 0 && second < 1 << 23;
}

function checkSize(data: TokenizerData, vocabSize: number | undefined, name: string): TokenizerData {
  const n = data.types.length;
  if (vocabSize !== undefined && n > vocabSize) {
    throw new FormatError(
      `Cannot read ${name}: Expected at most ${vocabSize} pieces, as the model has, got ${n}`,
    );
  }
  return data;
}
