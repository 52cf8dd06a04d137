// Special pieces of a SentencePiece model, and the ids that they get.
import { quoted } from "../../../util/bytes.ts";
import { UsageError } from "../../../util/errors.ts";
import { TokenType } from "../../core/vocabulary_data.ts";
import type { SentencePieceSpec } from "../options.ts";

/** How the tokens with fixed meanings are spelled. */
export const UNK = "<unk>";
export const BOS = "<s>";
export const EOS = "</s>";
export const PAD = "<pad>";

/** A piece that is not learned. */
export interface SpecialPiece {
  readonly text: string;
  /** One of {@link TokenType}. */
  readonly type: number;
}

/**
 * The pieces that are not learned, by id: unknown, BOS, EOS and padding if the settings want them, then, at
 * the lowest free ids, control symbols, user-defined symbols and bytes.
 *
 * Source: google/sentencepiece, trainer_interface.cc (InitMetaPieces).
 * @throws UsageError if two have the same id or text
 */
export function specialPieces(spec: SentencePieceSpec): Map<number, SpecialPiece> {
  const pieces = new Map<number, SpecialPiece>();
  placeAt(pieces, spec.unkId, UNK, TokenType.unknown);
  placeAt(pieces, spec.bosId, BOS, TokenType.control);
  placeAt(pieces, spec.eosId, EOS, TokenType.control);
  placeAt(pieces, spec.padId, PAD, TokenType.control);
  const ids = new Map(Array.from(pieces, ([id, { text }]) => [text, id]));
  const added = new Set<string>();
  let free = 0;
  const add = (text: string, type: number) => {
    if (added.has(text) || text === UNK) {
      throw new UsageError(
        `Cannot train: Expected different symbols, and none that is ${UNK}, got ${quoted(text)}`,
      );
    }
    added.add(text);
    const own = ids.get(text);
    while (own === undefined && pieces.has(free)) free++;
    pieces.set(own ?? free, { text, type });
  };
  for (const text of spec.controlSymbols) add(text, TokenType.control);
  for (const text of spec.userDefinedSymbols) add(text, TokenType.userDefined);
  if (spec.byteFallback) for (let byte = 0; byte < 256; byte++) add(byteToken(byte), TokenType.byte);
  return pieces;
}

function placeAt(pieces: Map<number, SpecialPiece>, id: number, text: string, type: number): void {
  if (id < 0) return;
  const other = pieces.get(id);
  if (other)
    throw new UsageError(`Cannot train: Expected different ids of ${other.text} and ${text}, got ${id}`);
  pieces.set(id, { text, type });
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
