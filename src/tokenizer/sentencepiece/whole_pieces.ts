// SentencePiece vocabularies whose pieces are whole words or single characters.
import { TokenType } from "../core/vocabulary_data.ts";
import { NONE, PieceTrie, ROOT } from "./piece_trie.ts";
import {
  type Barred,
  codePointAt,
  flatten,
  idsOfTypes,
  KEPT_SYMBOLS,
  lengthsOf,
  type ScoredPieces,
  type Segmenter,
  UserDefined,
} from "./segmenter.ts";

const SPACE = 0x2581;

/**
 * SentencePiece's word and character models: what the text is cut into is a piece as a whole, or unknown.
 *
 * Source: google/sentencepiece, src/word_model.cc, src/char_model.cc, src/model_interface.cc.
 */
export class WholePieceSegmenter implements Segmenter {
  symbols = new Int32Array(0);
  readonly #size: number;
  readonly #trie: PieceTrie;
  readonly #lengths: Int32Array;
  readonly #byWord: boolean;
  readonly #userDefined: UserDefined | undefined;

  /** @throws FormatError for more text in pieces or symbols than can be indexed */
  constructor({ pieces, types }: ScoredPieces, unit: "word" | "character") {
    this.#size = pieces.length;
    const ids = idsOfTypes(types, TokenType.normal, TokenType.userDefined, TokenType.unused);
    this.#trie = new PieceTrie(flatten(pieces), ids);
    this.#lengths = lengthsOf(pieces);
    this.#byWord = unit === "word";
    const userDefined = this.#byWord ? [] : idsOfTypes(types, TokenType.userDefined);
    if (userDefined.length > 0) this.#userDefined = new UserDefined(pieces, userDefined);
  }

  segment(units: Uint16Array, n: number, barred?: Barred): number {
    if (this.symbols.length < n || this.symbols.length > KEPT_SYMBOLS) this.symbols = new Int32Array(n);
    const { symbols } = this;
    const trie = this.#trie;
    const found = this.#userDefined?.match(units, n, barred);
    let out = 0;
    for (let begin = 0; begin < n; ) {
      const end = this.#endOfPart(units, begin, n, found);
      const node = trie.walk(ROOT, units, begin, end);
      const id = node === NONE ? NONE : trie.id(node);
      if (id !== NONE && !(barred?.ids.has(id) && barred.at(begin, end))) symbols[out++] = id;
      else out = this.#unknown(units, begin, end, out);
      begin = end;
    }
    return out;
  }

  #endOfPart(units: Uint16Array, begin: number, n: number, found: Int32Array | undefined): number {
    const id = found?.[begin] ?? NONE;
    if (id >= 0) return begin + (this.#lengths[id] as number);
    let end = begin + (codePointAt(units, begin) > 0xffff ? 2 : 1);
    if (this.#byWord) while (end < n && units[end] !== SPACE) end++;
    return end;
  }

  #unknown(units: Uint16Array, begin: number, end: number, from: number): number {
    let out = from;
    for (let i = begin; i < end; ) {
      const character = codePointAt(units, i);
      this.symbols[out++] = this.#size + character;
      i += character > 0xffff ? 2 : 1;
    }
    return out;
  }
}
