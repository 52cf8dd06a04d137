// The tokenizer of SentencePiece vocabularies.
import { TokenizerError } from "../../util/errors.ts";
import { checkDecode, checkDecodeOptions, checkEncode, checkStreamOptions } from "../core/arguments.ts";
import { marksTurn, touches } from "../core/plain_parts.ts";
import { PrintedTokenizer } from "../core/printed.ts";
import { present } from "../core/special_ids.ts";
import { SymbolMatcher } from "../core/symbol_matcher.ts";
import { TokenSink } from "../core/token_sink.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  Tokenizer,
  TokenOffsets,
  TokenStream,
  TokenStreamOptions,
} from "../core/tokenizer.ts";
import { type SentencePieceData, TokenType } from "../core/vocabulary_data.ts";
import { BpeSegmenter } from "./bpe.ts";
import { Charsmap } from "./charsmap.ts";
import { Normalizer } from "./normalizer.ts";
import { lengthsOf, type Segmenter } from "./segmenter.ts";
import { DenormalizingStream, PieceStream } from "./streaming.ts";
import { UnigramSegmenter } from "./unigram.ts";
import { escapeSpaces, Vocabulary } from "./vocabulary.ts";
import { WholePieceSegmenter } from "./whole_pieces.ts";

/**
 * SentencePiece: BPE with byte fallback, the tokenizer of Llama 1 and 2; the unigram language model, that of
 * T5 and its like; words and characters.
 *
 * Encoding normalizes (the file's charsmap, spaces as U+2581, one put before the text if the vocabulary says so), then
 * splits into pieces. A character that is no piece becomes its UTF-8 bytes. If byte tokens are missing, it becomes the
 * unknown token, once for a run of such characters. With `special`, control tokens and the unknown
 * token are found in the text first, the longest at each position, and the text after one is encoded as a
 * text of its own.
 *
 * Source: google/sentencepiece (normalizer.cc, bpe_model.cc, unigram_model.cc, sentencepiece_processor.cc);
 * control tokens inside text as in llama.cpp.
 */
export class SentencePieceTokenizer extends PrintedTokenizer implements Tokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #data: SentencePieceData;
  readonly #normalizer: Normalizer;
  readonly #segmenter: Segmenter;
  readonly #denormalizer: Charsmap | undefined;
  /** UTF-16 units of each piece. */
  readonly #lengths: Int32Array;
  /** What cuts a text into texts, without and with `special`. */
  readonly #plainCuts: SymbolMatcher | undefined;
  readonly #specialCuts: SymbolMatcher | undefined;
  /** What cuts parts of a text that are plain, with `special`; null until it is needed. */
  #plainPartCuts: SymbolMatcher | undefined | null = null;
  /** User-defined symbols that mark turns: plain parts become none of them. */
  readonly #turnMarks: ReadonlySet<number>;

  /** @throws FormatError, see {@link createTokenizer} */
  constructor(data: SentencePieceData) {
    super();
    const cutUserDefined = data.userDefinedSplitsText ?? false;
    this.#data = data;
    this.#vocabulary = new Vocabulary(data);
    this.#lengths = lengthsOf(data.pieces);
    this.#segmenter = segmenterOf(data, !cutUserDefined);
    this.#denormalizer = charsmapOf(data.denormalizerCharsmap, "the denormalizer");
    this.#normalizer = new Normalizer({
      charsmap: charsmapOf(data.charsmap, "the normalizer"),
      addDummyPrefix: data.addDummyPrefix,
      removeExtraWhitespaces: data.removeExtraWhitespaces,
      escapeWhitespaces: data.escapeWhitespaces ?? true,
      whitespaceAsSuffix: data.whitespaceAsSuffix ?? false,
      userDefined: this.#untouchedByRules(!cutUserDefined),
      lengths: this.#lengths,
    });
    const userDefined = this.#vocabulary.idsOf(TokenType.userDefined);
    this.#turnMarks = new Set(userDefined.filter((id) => marksTurn(this.#vocabulary.piece(id))));
    const plain = cutUserDefined ? [TokenType.userDefined] : [];
    this.#plainCuts = matcherOf(this.#vocabulary, plain, escapeSpaces);
    this.#specialCuts = matcherOf(
      this.#vocabulary,
      [...plain, TokenType.control, TokenType.unknown],
      escapeSpaces,
    );
  }

  get kind(): string {
    return this.#data.kind;
  }

  get vocabSize(): number {
    return this.#vocabulary.size;
  }

  get bosId(): number | undefined {
    return this.#vocabulary.bosId;
  }

  get eosIds(): readonly number[] {
    return this.#vocabulary.eosIds;
  }

  encode(text: string, options?: EncodeOptions): number[] {
    return this.#encoded(text, options, false).toIds();
  }

  encodeWithOffsets(text: string, options?: EncodeOptions): TokenOffsets {
    return this.#encoded(text, options, true).toOffsets();
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    checkDecode(ids, options);
    const stream = this.stream(options);
    let text = "";
    for (let i = 0; i < ids.length; i++) text += stream.push(ids[i] as number);
    return text + stream.flush();
  }

  /** With a denormalizer, which replaces text, these are the UTF-8 of {@link decode}. */
  decodeBytes(ids: ArrayLike<number>, options?: DecodeOptions): Uint8Array {
    checkDecode(ids, options);
    if (this.#denormalizer !== undefined) return new TextEncoder().encode(this.decode(ids, options));
    const { special = false } = options ?? {};
    const pieces = this.#pieceStream(special, false);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const part = pieces.pushBytes(ids[i] as number);
      parts.push(part);
      length += part.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  bytes(id: number, options?: DecodeOptions): Uint8Array {
    checkDecodeOptions(options);
    return this.#vocabulary.bytes(id, options?.special ?? false).slice();
  }

  piece(id: number): string {
    return this.#vocabulary.piece(id);
  }

  stream(options?: TokenStreamOptions): TokenStream {
    checkStreamOptions(options);
    const { special = false, afterText = false } = options ?? {};
    const pieces = this.#pieceStream(special, afterText);
    return this.#denormalizer === undefined ? pieces : new DenormalizingStream(pieces, this.#denormalizer);
  }

  #pieceStream(special: boolean, afterText: boolean): PieceStream {
    return new PieceStream(this.#vocabulary, {
      special,
      stripDummyPrefix: !afterText && this.#data.addDummyPrefix,
      stripAllSpaces: !afterText && this.#data.removeExtraWhitespaces,
    });
  }

  /** The user-defined symbols that rules must not change; undefined if no rule could change any. */
  #untouchedByRules(matched: boolean): SymbolMatcher | undefined {
    const { charsmap, removeExtraWhitespaces, pieces } = this.#data;
    if (!matched) return undefined;
    const ids = this.#vocabulary.idsOf(TokenType.userDefined);
    const touched = charsmap !== undefined && charsmap.length > 0;
    if (!touched && !(removeExtraWhitespaces && ids.some((id) => (pieces[id] as string).includes(" "))))
      return undefined;
    return matcherOf(this.#vocabulary, [TokenType.userDefined], (piece) => piece);
  }

  #encoded(text: string, options: EncodeOptions | undefined, withOffsets: boolean): TokenSink {
    checkEncode(text, options);
    const { bos = this.#data.addBos, eos = this.#data.addEos, special = false, plain = [] } = options ?? {};
    const out = new TokenSink(text.length, withOffsets);
    if (bos) out.push(present(this.bosId, "BOS"), 0, 0);
    this.#encodeCut(text.toWellFormed(), special ? this.#specialCuts : this.#plainCuts, plain, out);
    if (eos) out.push(present(this.eosIds[0], "EOS"), text.length, text.length);
    return out;
  }

  #encodeCut(text: string, cuts: SymbolMatcher | undefined, plain: readonly number[], out: TokenSink): void {
    const spelled = escapeSpaces(text);
    const found = cuts?.match(spelled);
    const inPlain = plain.length > 0 ? this.#cutsOfParts()?.match(spelled) : undefined;
    let begin = 0;
    for (let i = 0; found !== undefined && i < text.length; ) {
      let id = found[i] as number;
      if (id >= 0 && touches(plain, i, i + (this.#lengths[id] as number))) id = inPlain?.[i] ?? -1;
      if (id < 0) {
        i++;
        continue;
      }
      this.#encodeText(text.slice(begin, i), begin, plain, out);
      begin = i + (this.#lengths[id] as number);
      out.push(id, i, begin);
      i = begin;
    }
    this.#encodeText(text.slice(begin), begin, plain, out);
  }

  #cutsOfParts(): SymbolMatcher | undefined {
    if (this.#plainPartCuts !== null) return this.#plainPartCuts;
    const types = this.#data.userDefinedSplitsText ? [TokenType.userDefined] : [];
    this.#plainPartCuts = matcherOf(this.#vocabulary, types, escapeSpaces, (piece) => !marksTurn(piece));
    return this.#plainPartCuts;
  }

  /** @param offset where in the whole text the text begins */
  #encodeText(text: string, offset: number, plain: readonly number[], out: TokenSink): void {
    const normalizer = this.#normalizer;
    const segmenter = this.#segmenter;
    const isBarred = plain.length > 0 && this.#turnMarks.size > 0;
    const n = normalizer.normalize(text, out.withOffsets || isBarred);
    const source = (unit: number) => offset + (normalizer.origins[unit] as number);
    const at = (begin: number, end: number) => touches(plain, source(begin), source(end));
    const count = segmenter.segment(normalizer.units, n, isBarred ? { ids: this.#turnMarks, at } : undefined);
    if (!out.withOffsets) this.#pushIds(segmenter.symbols, count, out);
    else this.#pushOffsets(segmenter.symbols, count, offset, out);
  }

  #pushIds(symbols: Int32Array, count: number, out: TokenSink): void {
    const { size } = this.#vocabulary;
    let inUnknown = false;
    for (let k = 0; k < count; k++) {
      const first = k;
      while (k < count && (symbols[k] as number) < size) k++;
      out.append(symbols, first, k);
      if (k === count) break;
      inUnknown = this.#pushCharacter((symbols[k] as number) - size, inUnknown && first === k, 0, 0, out);
    }
  }

  #pushOffsets(symbols: Int32Array, count: number, offset: number, out: TokenSink): void {
    const { size } = this.#vocabulary;
    const { origins } = this.#normalizer;
    let inUnknown = false;
    let at = 0;
    for (let k = 0; k < count; k++) {
      const symbol = symbols[k] as number;
      const isId = symbol < size;
      const start = offset + (origins[at] as number);
      at += isId ? (this.#lengths[symbol] as number) : symbol - size > 0xffff ? 2 : 1;
      const end = offset + (origins[at] as number);
      if (isId) out.push(symbol, start, end);
      inUnknown = !isId && this.#pushCharacter(symbol - size, inUnknown, start, end, out);
    }
  }

  /** Pushes the byte tokens of a character, or else the unknown token, once for a run; returns whether it was that. */
  #pushCharacter(character: number, inUnknown: boolean, start: number, end: number, out: TokenSink): boolean {
    if (this.#pushBytes(character, start, end, out)) return false;
    if (!inUnknown) out.push(this.#unknown(character), start, end);
    else out.extendLast(end);
    return true;
  }

  /** Pushes the byte tokens of a character, if all of them exist. */
  #pushBytes(character: number, start: number, end: number, out: TokenSink): boolean {
    const { byteIds } = this.#vocabulary;
    const n = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (let i = 0; i < n; i++) if (byteIds[utf8Byte(character, n, i)] === -1) return false;
    for (let i = 0; i < n; i++) out.push(byteIds[utf8Byte(character, n, i)] as number, start, end);
    return true;
  }

  #unknown(character: number): number {
    const { unkId } = this.#vocabulary;
    if (unkId !== undefined) return unkId;
    const name = `U+${character.toString(16).toUpperCase().padStart(4, "0")}`;
    throw new TokenizerError(
      `Cannot encode ${name}: Expected a piece, byte tokens or an unknown token for it, the vocabulary has none`,
    );
  }
}

function segmenterOf(data: SentencePieceData, matchUserDefined: boolean): Segmenter {
  switch (data.kind) {
    case "spm-bpe":
      return new BpeSegmenter(data, { matchUserDefined });
    case "spm-unigram":
      return new UnigramSegmenter(data);
    case "spm-word":
      return new WholePieceSegmenter(data, "word");
    case "spm-char":
      return new WholePieceSegmenter(data, "character");
  }
}

function charsmapOf(bytes: Uint8Array | undefined, name: string): Charsmap | undefined {
  return bytes === undefined || bytes.length === 0 ? undefined : new Charsmap(bytes, name);
}

function matcherOf(
  vocabulary: Vocabulary,
  types: number[],
  spell: (piece: string) => string,
  isCut: (piece: string) => boolean = () => true,
): SymbolMatcher | undefined {
  const ids = vocabulary.idsOf(...types).filter((id) => isCut(vocabulary.piece(id)));
  return ids.length === 0 ? undefined : new SymbolMatcher(ids.map((id) => [spell(vocabulary.piece(id)), id]));
}

/** Byte `i` of the `n` bytes of a code point in UTF-8. */
function utf8Byte(character: number, n: number, i: number): number {
  const bits = character >> (6 * (n - 1 - i));
  if (i > 0) return 0x80 | (bits & 0x3f);
  return n === 1 ? bits : ((0xf00 >> n) & 0xff) | bits;
}
