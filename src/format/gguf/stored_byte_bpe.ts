// Byte-level BPE tokenizers that GGUF files carry.
import { writeSpelling } from "../../tokenizer/byte_level/byte_alphabet.ts";
import { ByteVocabulary } from "../../tokenizer/byte_level/byte_vocabulary.ts";
import { type ByteBpeData, TokenType } from "../../tokenizer/core/vocabulary_data.ts";
import { ggufPretokenizer, ggufPretokenizerNames } from "../../tokenizer/pretokenize/registry.ts";
import { quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import { endTokens } from "./end_tokens.ts";
import type { TokenizerKeys } from "./tokenizer_keys.ts";

/** How llama.cpp splits texts if tokenizer.ggml.pre is missing. */
const DEFAULT_PRE = "default";

/** BOS and EOS if the file gives none and that token is a special one. */
const DEFAULT_ID = 11;

/**
 * A byte-level vocabulary: tokens in GPT-2's alphabet, merges, and the pre-tokenizer that tokenizer.ggml.pre names,
 * as llama.cpp reads them. Without a name it is "default", as there. add_space_prefix is ignored, as there.
 * @throws FormatError when keys are missing, of a wrong type or length, ids outside the vocabulary, or merges not
 *   of tokens
 * @throws UnsupportedError for an unknown pre-tokenizer; lists the known ones
 */
export function byteBpeTokenizer(keys: TokenizerKeys): ByteBpeData {
  const pre = keys.string("pre") || DEFAULT_PRE;
  const settings = ggufPretokenizer(pre);
  if (settings === undefined) {
    throw new UnsupportedError(
      `Cannot read the tokenizer of ${keys.fileName}: Unsupported pre-tokenizer ${quoted(pre)}; supported: ${ggufPretokenizerNames.join(", ")}`,
    );
  }
  const pieces = keys.pieces();
  const merges = keys.array<string>("merges", "string");
  if (merges === undefined) throw keys.error("merges", "Expected an array of strings, got nothing");
  const types = keys.types(pieces, () => TokenType.normal);
  const named = endTokens(pieces, types, keys);
  const tokens = readTokens(pieces, types, keys);
  const bosId = keys.id("bos_token_id", types, settings.defaultBos ? DEFAULT_ID : undefined);
  const eosIds = keys.eosIds(types, named, DEFAULT_ID);
  return {
    kind: "byte-bpe",
    ...tokens,
    types,
    merges: readMerges(merges, pieces, { ...tokens, types }, keys),
    pretokenizer: pre,
    wholeWords: settings.wholeWords,
    bosId,
    eosIds,
    unkId: keys.id("unknown_token_id", types),
    addBos: keys.adds("add_bos_token", "bos_token_id", bosId, settings.addBos && bosId !== undefined),
    addEos: keys.adds("add_eos_token", "eos_token_id", eosIds[0], false),
    warnings: keys.warnings,
  };
}

/** Bytes of all tokens. A normal token that is not spelled in the alphabet becomes one that no text turns into. */
function readTokens(
  pieces: ArrayLike<string>,
  types: Uint8Array,
  keys: TokenizerKeys,
): Pick<ByteBpeData, "bytes" | "offsets"> {
  const utf8 = new TextEncoder();
  let units = 0;
  for (let id = 0; id < pieces.length; id++) units += (pieces[id] as string).length;
  const bytes = new Uint8Array(3 * units);
  const offsets = new Uint32Array(pieces.length + 1);
  let at = 0;
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id] as string;
    if (types[id] === TokenType.byte) {
      bytes[at++] = byteOf(piece, id, keys);
    } else {
      const end = types[id] === TokenType.normal ? writeSpelling(piece, bytes, at) : -1;
      if (end < 0 && types[id] === TokenType.normal) types[id] = TokenType.unused;
      at = end < 0 ? at + utf8.encodeInto(piece, bytes.subarray(at)).written : end;
    }
    offsets[id + 1] = at;
  }
  return { bytes: bytes.slice(0, at), offsets };
}

function byteOf(piece: string, id: number, keys: TokenizerKeys): number {
  if (/^<0x[0-9A-F]{2}>$/.test(piece)) return Number.parseInt(piece.slice(3, 5), 16);
  throw keys.error("tokens", `Expected byte token ${id} to be one of <0x00> to <0xFF>, got ${quoted(piece)}`);
}

/** Merges as ids: left, right, result. */
function readMerges(
  merges: ArrayLike<string>,
  pieces: ArrayLike<string>,
  tokens: Pick<ByteBpeData, "bytes" | "offsets" | "types">,
  keys: TokenizerKeys,
): Int32Array {
  if (pieces.length === 0) throw keys.error("tokens", "Expected at least one token, got none");
  const find = finder(pieces, new ByteVocabulary(tokens));
  const ids = new Int32Array(3 * merges.length);
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank] as string;
    const space = merge.indexOf(" ", 1);
    if (space < 0 || space === merge.length - 1) {
      throw keys.error(
        "merges",
        `Expected two tokens and a space between them as merge ${rank}, got ${quoted(merge)}`,
      );
    }
    const left = merge.slice(0, space);
    const right = merge.slice(space + 1);
    for (const [i, piece] of [left, right, left + right].entries()) {
      const id = find(piece);
      if (id < 0) {
        throw keys.error(
          "merges",
          `Expected merge ${rank} to be of tokens of the vocabulary, got ${quoted(merge)}: ${quoted(piece)} is none`,
        );
      }
      ids[3 * rank + i] = id;
    }
  }
  return ids;
}

/** Gives the id of a piece, -1 if it is not in the vocabulary. */
function finder(pieces: ArrayLike<string>, vocabulary: ByteVocabulary): (piece: string) => number {
  let spelled = new Uint8Array(256);
  let special: Map<string, number> | undefined;
  return (piece) => {
    if (spelled.length < piece.length) spelled = new Uint8Array(2 * piece.length);
    const end = writeSpelling(piece, spelled, 0);
    const id = end < 0 ? -1 : vocabulary.find(spelled, 0, end);
    if (id >= 0) return id;
    // Tokens that are not normal are not in the index.
    special ??= new Map(Array.from(pieces, (text, i) => [text, i] as const).reverse());
    return special.get(piece) ?? -1;
  };
}
