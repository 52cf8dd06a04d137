// The interface of SentencePiece's algorithms, and what they share.
import { type NamedSymbol, SymbolMatcher } from "../core/symbol_matcher.ts";

/** What a segmenter needs of a vocabulary. */
export interface ScoredPieces {
  /** Text by id; spaces are U+2581. */
  readonly pieces: readonly string[];
  readonly scores: ArrayLike<number>;
  /** TokenType by id. */
  readonly types: ArrayLike<number>;
}

/** Pieces that a text is not split into at some places: marks of turns in what messages say. */
export interface Barred {
  readonly ids: ReadonlySet<number>;
  /** Whether they are barred at units [begin, end). */
  at(begin: number, end: number): boolean;
}

/**
 * Splits text into symbols. A symbol is an id; or, for a character that is no piece, the number of ids plus its code
 * point.
 */
export interface Segmenter {
  /** What {@link segment} wrote, valid until it is called again. */
  readonly symbols: Int32Array;
  /**
   * Splits units [0, n) and returns the number of symbols.
   * @param units well-formed UTF-16
   * @param barred user-defined symbols that some of the text does not become
   */
  segment(units: Uint16Array, n: number, barred?: Barred): number;
}

/** Finds user-defined symbols, the longest at each position, but for those that are barred there. */
export class UserDefined {
  readonly #symbols: readonly NamedSymbol[];
  readonly #all: SymbolMatcher;
  /** What is found in place of symbols that are barred; made when it is first needed. */
  #others: SymbolMatcher | undefined;

  constructor(pieces: readonly string[], ids: ArrayLike<number>) {
    this.#symbols = Array.from(ids, (id) => [pieces[id] as string, id]);
    this.#all = new SymbolMatcher(this.#symbols);
  }

  /** The id at each of the first `n` units, -1 if none begins. @param barred of a vocabulary, always the same ids */
  match(units: Uint16Array, n: number, barred: Barred | undefined): Int32Array {
    const found = this.#all.matchUnits(units, n);
    if (barred === undefined || !found.some((id) => barred.ids.has(id))) return found;
    this.#others ??= new SymbolMatcher(this.#symbols.filter(([, id]) => !barred.ids.has(id)));
    const others = this.#others.matchUnits(units, n);
    const lengths = new Map(this.#symbols.map(([text, id]) => [id, text.length]));
    return found.map((id, i) =>
      barred.ids.has(id) && barred.at(i, i + (lengths.get(id) as number)) ? (others[i] as number) : id,
    );
  }
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
