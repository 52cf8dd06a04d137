// A checked SentencePiece vocabulary: the type, the text and the bytes of each id.
import { quoted } from "../../util/bytes.ts";
import { TokenizerError } from "../../util/errors.ts";
import { MAX_PIECES } from "../core/limits.ts";
import { checkSpecialIds, invalid } from "../core/special_ids.ts";
import { type SentencePieceData, TokenType } from "../core/vocabulary_data.ts";
import { idsOfTypes } from "./segmenter.ts";

/** U+2581, which stands for a space inside SentencePiece pieces. */
export const SPACE = "\u2581";

/** What SentencePiece writes for the unknown token unless the file says otherwise. */
const DEFAULT_UNK_SURFACE = " \u2047 ";

const utf8 = new TextEncoder();

/** A checked vocabulary: what each id is, reads as and stands for. */
export class Vocabulary {
  readonly pieces: readonly string[];
  /** Finite or infinite, never NaN. */
  readonly scores: ArrayLike<number>;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly unkId: number | undefined;
  /** Id of the token of each byte, -1 if there is none. */
  readonly byteIds: Int32Array;
  /** {@link TokenType} of each id. */
  readonly types: Uint8Array;
  readonly #unkSurface: string;
  /** The byte that each byte token stands for, -1 for other ids. */
  readonly #bytesOfIds: Int16Array;
  /** What ids decode to, for those that were asked for, without and with `special`. */
  readonly #texts: (string | undefined)[];
  readonly #specialTexts: (string | undefined)[];
  readonly #encoded: (Uint8Array | undefined)[] = [];

  /** @throws FormatError if the data contradict themselves; see {@link createTokenizer} */
  constructor(data: SentencePieceData) {
    checkLengths(data);
    checkScores(data.scores);
    checkTypes(data.types);
    checkSpecialIds(data, data.pieces.length);
    this.pieces = data.pieces;
    this.scores = data.scores;
    this.types = Uint8Array.from(data.types);
    this.bosId = data.bosId;
    this.eosIds = [...data.eosIds];
    this.unkId = data.unkId;
    this.#unkSurface = data.unkSurface ?? DEFAULT_UNK_SURFACE;
    this.#bytesOfIds = readBytes(data);
    this.byteIds = indexBytes(this.#bytesOfIds);
    this.#texts = new Array<string | undefined>(data.pieces.length).fill(undefined);
    this.#specialTexts = this.#texts.slice();
    if (this.unkId === undefined && this.byteIds.every((id) => id < 0)) {
      throw invalid("vocabulary has no byte tokens and no unknown token");
    }
  }

  get size(): number {
    return this.pieces.length;
  }

  /** @throws TokenizerError for an id outside the vocabulary */
  piece(id: number): string {
    const piece = this.pieces[id];
    if (piece === undefined) {
      throw new TokenizerError(
        `Cannot decode id ${id}: Expected an integer from 0 to ${this.size - 1}, the vocabulary's ids`,
      );
    }
    return piece;
  }

  /** {@link TokenType} of an id of the vocabulary. */
  type(id: number): number {
    return this.types[id] as number;
  }

  isControl(id: number): boolean {
    return this.type(id) === TokenType.control;
  }

  isUnknown(id: number): boolean {
    return this.type(id) === TokenType.unknown;
  }

  /**
   * The byte that a byte token stands for, -1 for other ids.
   * @throws TokenizerError for an id outside the vocabulary
   */
  byte(id: number): number {
    const byte = this.#bytesOfIds[id];
    if (byte === undefined) this.piece(id);
    return byte as number;
  }

  /**
   * The text of an id that is not a byte token; "" for a control token unless `special`.
   * @throws TokenizerError for an id outside the vocabulary
   */
  text(id: number, special: boolean): string {
    const texts = special ? this.#specialTexts : this.#texts;
    const known = texts[id];
    if (known !== undefined) return known;
    const text = this.#spell(id, special);
    texts[id] = text;
    return text;
  }

  /** What {@link text} has returned so far, by id. Byte tokens have no text here. */
  knownTexts(special: boolean): readonly (string | undefined)[] {
    return special ? this.#specialTexts : this.#texts;
  }

  /**
   * The bytes an id stands for: shared, not to be changed.
   * @throws TokenizerError for an id outside the vocabulary
   */
  bytes(id: number, special: boolean): Uint8Array {
    const key = 2 * id + (special ? 1 : 0);
    const known = this.#encoded[key];
    if (known !== undefined) return known;
    const byte = this.byte(id);
    const bytes = byte < 0 ? utf8.encode(this.text(id, special)) : Uint8Array.of(byte);
    this.#encoded[key] = bytes;
    return bytes;
  }

  #spell(id: number, special: boolean): string {
    const piece = this.piece(id);
    if (!special && this.isControl(id)) return "";
    if (!special && this.isUnknown(id)) return this.#unkSurface;
    return unescapeSpaces(piece);
  }

  /** Ids of these types, ascending. */
  idsOf(...types: number[]): number[] {
    return Array.from(idsOfTypes(this.types, ...types));
  }
}

export function escapeSpaces(text: string): string {
  return text.replaceAll(" ", SPACE);
}

export function unescapeSpaces(text: string): string {
  return text.replaceAll(SPACE, " ");
}

function checkLengths({ pieces, scores, types }: SentencePieceData): void {
  const n = pieces.length;
  if (n === 0) throw invalid("Expected at least one piece, got none");
  if (n > MAX_PIECES) throw invalid(`Expected at most ${MAX_PIECES} pieces, got ${n}`);
  if (scores.length !== n) throw invalid(`Expected ${n} scores, one a piece, got ${scores.length}`);
  if (types.length !== n) throw invalid(`Expected ${n} types, one a piece, got ${types.length}`);
}

function checkScores(scores: ArrayLike<number>): void {
  for (let id = 0; id < scores.length; id++) {
    if (Number.isNaN(scores[id])) throw invalid(`Expected a number as the score of piece ${id}, got NaN`);
  }
}

function checkTypes(types: ArrayLike<number>): void {
  const known = new Set<number | undefined>(Object.values(TokenType));
  for (let id = 0; id < types.length; id++) {
    if (!known.has(types[id])) throw invalid(`Expected a type from 1 to 6 for piece ${id}, got ${types[id]}`);
  }
}

function readBytes({ pieces, types }: SentencePieceData): Int16Array {
  const bytes = new Int16Array(pieces.length).fill(-1);
  for (let id = 0; id < pieces.length; id++) {
    if (types[id] !== TokenType.byte) continue;
    const piece = pieces[id] as string;
    bytes[id] = parseByte(piece);
    if ((bytes[id] as number) < 0) {
      throw invalid(`Expected byte token ${id} to be one of <0x00> to <0xFF>, got ${quoted(piece)}`);
    }
  }
  return bytes;
}

/** The first id of each byte. */
function indexBytes(bytesOfIds: Int16Array): Int32Array {
  const ids = new Int32Array(256).fill(-1);
  for (let id = 0; id < bytesOfIds.length; id++) {
    const byte = bytesOfIds[id] as number;
    if (byte >= 0 && ids[byte] === -1) ids[byte] = id;
  }
  return ids;
}

function parseByte(piece: string): number {
  return /^<0x[0-9A-F]{2}>$/.test(piece) ? Number.parseInt(piece.slice(3, 5), 16) : -1;
}
