// Reads llama2.c's tokenizer.bin.
import { ByteCursor } from "../../util/bytes.ts";
import { FormatError } from "../../util/errors.ts";
import { pieceText } from "../core/piece_text.ts";
import { type SentencePieceData, TokenType } from "../core/vocabulary_data.ts";
import { escapeSpaces } from "./vocabulary.ts";

const UNK_ID = 0;
const BOS_ID = 1;
const EOS_ID = 2;
/** The token of byte b is 3 + b. */
const FIRST_BYTE_ID = 3;
const FIRST_PIECE_ID = 259;

/**
 * Reads llama2.c's tokenizer.bin: the length of the longest piece (u32), then for each piece its score
 * (f32), length (i32) and bytes. The format has neither a magic number nor the number of pieces, and no
 * types: ids 0, 1 and 2 are unknown, BOS and EOS, and the next 256 may be bytes. Spaces are plain in the
 * file, and BOS and EOS stand between line breaks; both are given here as SentencePiece has them.
 *
 * Source: karpathy/llama2.c, tokenizer.py (export) and run.c (encode).
 * @param vocabSize pieces that the model has, if it is known
 * @param name what error messages call the file
 * @throws FormatError if the file is cut, contradicts itself or has another number of pieces than the
 *   model
 */
export function parseLlama2cTokenizer(
  bytes: Uint8Array,
  vocabSize?: number,
  name = "tokenizer.bin",
): SentencePieceData {
  const cursor = new ByteCursor(bytes, name);
  const maxLength = cursor.u32();
  if (maxLength < 1) {
    throw new FormatError(`Cannot read ${name}: Expected the longest piece to have at least 1 byte, got 0`);
  }
  const pieces: string[] = [];
  const scores: number[] = [];
  while (cursor.remaining > 0) {
    scores.push(cursor.f32());
    const length = cursor.i32();
    const id = pieces.length;
    if (length < 1 || length > maxLength) {
      throw new FormatError(
        `Cannot read ${name}: Expected piece ${id} to have 1 to ${maxLength} bytes (the file's longest), got ${length}`,
      );
    }
    pieces.push(spelling(pieceText(cursor.bytes(length), id, name), id));
  }
  checkCount(pieces.length, vocabSize, name);
  return {
    kind: "spm-bpe",
    pieces,
    scores,
    types: pieces.map(typeOf),
    bosId: BOS_ID,
    eosIds: [EOS_ID],
    unkId: UNK_ID,
    addDummyPrefix: true,
    removeExtraWhitespaces: false,
    addBos: true,
    addEos: false,
  };
}

function checkCount(n: number, vocabSize: number | undefined, name: string): void {
  if (n <= EOS_ID) throw new FormatError(`Cannot read ${name}: Expected at least 3 pieces, got ${n}`);
  if (vocabSize !== undefined && n !== vocabSize) {
    throw new FormatError(`Cannot read ${name}: Expected ${vocabSize} pieces, as the model has, got ${n}`);
  }
}

function spelling(piece: string, id: number): string {
  return id === BOS_ID || id === EOS_ID ? piece.replace(/^\n(.+)\n$/, "$1") : escapeSpaces(piece);
}

function typeOf(piece: string, id: number): number {
  if (id === UNK_ID) return TokenType.unknown;
  if (id === BOS_ID || id === EOS_ID) return TokenType.control;
  return id < FIRST_PIECE_ID && isByteToken(piece, id) ? TokenType.byte : TokenType.normal;
}

function isByteToken(piece: string, id: number): boolean {
  const byte = (id - FIRST_BYTE_ID).toString(16).toUpperCase().padStart(2, "0");
  return piece === `<0x${byte}>`;
}
