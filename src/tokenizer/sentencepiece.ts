import { TokenizerError } from "../util/errors.ts";
import { BpeSegmenter } from "./bpe.ts";
import { PieceStream } from "./streaming.ts";
import { SymbolMatcher } from "./symbol_matcher.ts";
import {
  type EncodeOptions,
  type Tokenizer,
  type TokenizerData,
  type TokenStream,
  TokenType,
} from "./tokenizer.ts";
import { escapeSpaces, SPACE, Vocabulary } from "./vocabulary.ts";

/**
 * SentencePiece BPE with byte fallback, the tokenizer of Llama 1 and 2.
 *
 * Encoding escapes spaces as U+2581, puts one before the text where the vocabulary says so, and merges.
 * What is no piece becomes its UTF-8 bytes, or the unknown token where byte tokens are missing, once for
 * a run of such characters. With `special`, control tokens and the unknown token are found in the text
 * first, the longest at each position, and the text after one is encoded as a text of its own.
 *
 * Source: google/sentencepiece (normalizer.cc, bpe_model.cc, sentencepiece_processor.cc); control tokens
 * inside text as in llama.cpp.
 */
export class SentencePieceTokenizer implements Tokenizer {
  private readonly vocabulary: Vocabulary;
  private readonly data: TokenizerData;
  private readonly segmenter: BpeSegmenter;
  /** What cuts a text into texts, without and with `special`. */
  private readonly plainCuts: SymbolMatcher | undefined;
  private readonly specialCuts: SymbolMatcher | undefined;

  /** @throws FormatError, see {@link createTokenizer} */
  constructor(data: TokenizerData) {
    const cutUserDefined = data.userDefinedSplitsText ?? false;
    this.data = data;
    this.vocabulary = new Vocabulary(data);
    this.segmenter = new BpeSegmenter(this.vocabulary, !cutUserDefined);
    const plain = cutUserDefined ? [TokenType.userDefined] : [];
    this.plainCuts = matcherOf(this.vocabulary, plain);
    this.specialCuts = matcherOf(this.vocabulary, [...plain, TokenType.control, TokenType.unknown]);
  }

  get vocabSize(): number {
    return this.vocabulary.size;
  }

  get bosId(): number | undefined {
    return this.vocabulary.bosId;
  }

  get eosIds(): readonly number[] {
    return this.vocabulary.eosIds;
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { bos = this.data.addBos, eos = this.data.addEos, special = false } = options;
    const ids: number[] = [];
    if (bos) ids.push(present(this.bosId, "BOS"));
    this.encodeCut(text.toWellFormed(), special ? this.specialCuts : this.plainCuts, ids);
    if (eos) ids.push(present(this.eosIds[0], "EOS"));
    return ids;
  }

  decode(ids: ArrayLike<number>, options: { special?: boolean } = {}): string {
    const stream = this.stream(options);
    let text = "";
    for (let i = 0; i < ids.length; i++) text += stream.push(ids[i] as number);
    return text + stream.flush();
  }

  bytes(id: number, options: { special?: boolean } = {}): Uint8Array {
    return this.vocabulary.bytes(id, options.special ?? false);
  }

  piece(id: number): string {
    return this.vocabulary.piece(id);
  }

  stream(options: { special?: boolean; afterText?: boolean } = {}): TokenStream {
    const { special = false, afterText = false } = options;
    return new PieceStream(this.vocabulary, {
      special,
      stripDummyPrefix: !afterText && this.data.addDummyPrefix,
      stripAllSpaces: !afterText && this.data.removeExtraWhitespaces,
    });
  }

  private encodeCut(text: string, cuts: SymbolMatcher | undefined, ids: number[]): void {
    let begin = 0;
    if (cuts !== undefined) {
      const found = cuts.match(escapeSpaces(text));
      for (let i = 0; i < text.length; ) {
        const id = found[i] as number;
        if (id < 0) {
          i++;
          continue;
        }
        this.encodeText(text.slice(begin, i), ids);
        ids.push(id);
        i += this.vocabulary.piece(id).length;
        begin = i;
      }
    }
    this.encodeText(text.slice(begin), ids);
  }

  private encodeText(text: string, ids: number[]): void {
    let inUnknown = false;
    for (const symbol of this.segmenter.segment(this.normalize(text))) {
      const character = this.segmenter.character(symbol);
      const known = character === undefined || this.pushBytes(character, ids);
      if (character === undefined) ids.push(symbol);
      else if (!known && !inUnknown) ids.push(this.unknown(character));
      inUnknown = !known;
    }
  }

  private normalize(text: string): string {
    const { addDummyPrefix, removeExtraWhitespaces } = this.data;
    const kept = removeExtraWhitespaces ? joinSpaces(text) : text;
    if (kept === "") return "";
    const escaped = (addDummyPrefix ? SPACE : "") + escapeSpaces(kept);
    return removeExtraWhitespaces ? trimEnd(escaped) : escaped;
  }

  /** Pushes the byte tokens of a character, if all of them exist. */
  private pushBytes(character: number, ids: number[]): boolean {
    const { byteIds } = this.vocabulary;
    const bytes = utf8Bytes(character);
    if (bytes.some((byte) => byteIds[byte] === -1)) return false;
    for (const byte of bytes) ids.push(byteIds[byte] as number);
    return true;
  }

  private unknown(character: number): number {
    const { unkId } = this.vocabulary;
    if (unkId !== undefined) return unkId;
    const name = `U+${character.toString(16).toUpperCase().padStart(4, "0")}`;
    throw new TokenizerError(
      `Cannot encode ${name}: Expected a piece, byte tokens or an unknown token for it, the vocabulary has none`,
    );
  }
}

function matcherOf(vocabulary: Vocabulary, types: number[]): SymbolMatcher | undefined {
  const ids = vocabulary.idsOf(...types);
  if (ids.length === 0) return undefined;
  return new SymbolMatcher(ids.map((id) => [escapeSpaces(vocabulary.piece(id)), id]));
}

function present(id: number | undefined, name: string): number {
  if (id === undefined) throw new TokenizerError(`Cannot add ${name}: The vocabulary has no ${name} token`);
  return id;
}

/** Takes off leading spaces and makes one of several. */
function joinSpaces(text: string): string {
  return text.replace(/ {2,}/g, " ").replace(/^ /, "");
}

/** Takes off U+2581 at the end; a regular expression would try again at every one of a run. */
function trimEnd(text: string): string {
  let end = text.length;
  while (text[end - 1] === SPACE) end--;
  return text.slice(0, end);
}

/** The UTF-8 bytes of a code point. */
function utf8Bytes(character: number): number[] {
  if (character < 0x80) return [character];
  const last = 0x80 | (character & 0x3f);
  if (character < 0x800) return [0xc0 | (character >> 6), last];
  const third = 0x80 | ((character >> 6) & 0x3f);
  if (character < 0x10000) return [0xe0 | (character >> 12), third, last];
  return [0xf0 | (character >> 18), 0x80 | ((character >> 12) & 0x3f), third, last];
}
