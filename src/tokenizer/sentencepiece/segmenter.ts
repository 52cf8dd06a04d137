// The interface of SentencePiece's algorithms, and what they share.

/** What a segmenter needs of a vocabulary. */
export interface ScoredPieces {
  /** Text by id; spaces are U+2581. */
  readonly pieces: readonly string[];
  readonly scores: ArrayLike<number>;
  /** TokenType by id. */
  readonly types: ArrayLike<number>;
}

/**
 * Splits text into symbols. A symbol is an id, or the number of ids plus the code point of a character that
 * is no piece.
 */
export interface Segmenter {
  /** What {@link segment} wrote, valid until it is called again. */
  readonly symbols: Int32Array;
  /**
   * Splits units [0, n) and gives the number of symbols.
   * @param units well-formed UTF-16
   */
  segment(units: Uint16Array, n: number): number;
}

/** Buffers of texts up to this many symbols are reused. Those of longer texts are released. */
export const KEPT_SYMBOLS = 1 << 16;

/** The symbols of a text. @param text well-formed */
export function segmentText(segmenter: Segmenter, text: string): Int32Array {
  const units = unitsOf(text);
  const n = segmenter.segment(units, units.length);
  return segmenter.symbols.slice(0, n);
}

export function unitsOf(text: string): Uint16Array {
  const units = new Uint16Array(text.length);
  for (let i = 0; i < units.length; i++) units[i] = text.charCodeAt(i);
  return units;
}

/** The character that begins at unit `at` of well-formed text. */
export function codePointAt(units: Uint16Array, at: number): number {
  const unit = units[at] as number;
  if (unit < 0xd800 || unit >= 0xdc00) return unit;
  return 0x10000 + ((unit - 0xd800) << 10) + ((units[at + 1] as number) - 0xdc00);
}

/** The units of all pieces: those of piece id are [begins[id], begins[id + 1]). */
export interface FlatPieces {
  readonly units: Uint16Array;
  readonly begins: Int32Array;
}

export function flatten(pieces: readonly string[]): FlatPieces {
  const begins = new Int32Array(pieces.length + 1);
  let n = 0;
  for (let id = 0; id < pieces.length; id++) {
    n += (pieces[id] as string).length;
    begins[id + 1] = n;
  }
  const units = new Uint16Array(n);
  n = 0;
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id] as string;
    for (let i = 0; i < piece.length; i++) units[n++] = piece.charCodeAt(i);
  }
  return { units, begins };
}

/** UTF-16 units of each piece. */
export function lengthsOf(pieces: readonly string[]): Int32Array {
  const lengths = new Int32Array(pieces.length);
  for (let id = 0; id < lengths.length; id++) lengths[id] = (pieces[id] as string).length;
  return lengths;
}

/** Ids of these types, ascending. */
export function idsOfTypes(types: ArrayLike<number>, ...wanted: readonly number[]): Int32Array {
  const ids = new Int32Array(types.length);
  let n = 0;
  for (let id = 0; id < types.length; id++) {
    if (wanted.includes(types[id] as number)) ids[n++] = id;
  }
  return ids.subarray(0, n);
}
