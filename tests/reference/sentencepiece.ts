// Slow twin of src/tokenizer/sentencepiece/: text to ids by the segmenters beside this file.
import { type SentencePieceData, TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";
import { type PieceKind, type ScoredPiece, segmentBpe } from "./bpe.ts";
import { segmentUnigram } from "./unigram.ts";

const kinds: Record<number, PieceKind> = {
  [TokenType.normal]: "normal",
  [TokenType.userDefined]: "userDefined",
  [TokenType.unused]: "unused",
};

/**
 * The ids of a text without BOS. `normalize` is what the vocabulary's charsmap does; without a charsmap the text
 * stays as it is.
 */
export function encodeSentencePiece(
  data: SentencePieceData,
  text: string,
  normalize: (text: string) => string = (same) => same,
): number[] {
  let normal = normalize(text.toWellFormed());
  if (data.removeExtraWhitespaces) normal = normal.replace(/ +/g, " ").replace(/^ /, "");
  if (normal === "") return [];
  if (data.addDummyPrefix) normal = ` ${normal}`;
  let escaped = normal.replaceAll(" ", "▁");
  // At the end, a "▁" of the text is a space like any other.
  if (data.removeExtraWhitespaces) escaped = escaped.replace(/▁+$/, "");
  const ids = new Map<string, number>();
  const byteIds = new Map<number, number>();
  data.pieces.forEach((piece, id) => {
    const type = data.types[id] as number;
    if (type === TokenType.byte) byteIds.set(Number.parseInt(piece.slice(3, 5), 16), id);
    else if (type in kinds && !ids.has(piece)) ids.set(piece, id);
  });
  const out: number[] = [];
  let unknown = false;
  for (const part of segment(data, escaped)) {
    const id = ids.get(part);
    if (id !== undefined) out.push(id);
    else if (byteIds.size > 0) {
      for (const byte of new TextEncoder().encode(part)) out.push(byteIds.get(byte) as number);
    } else if (!unknown) out.push(data.unkId as number);
    unknown = id === undefined;
  }
  return out;
}

function segment(data: SentencePieceData, text: string): string[] {
  if (data.kind === "spm-unigram") return segmentUnigram(data, text, Math.fround);
  const pieces = data.pieces.flatMap((piece, id): ScoredPiece[] => {
    const kind = kinds[data.types[id] as number];
    return kind === undefined ? [] : [{ text: piece, score: data.scores[id] as number, kind }];
  });
  return segmentBpe(pieces, text);
}
