// The tokenizer of byte-level BPE: tiktoken rank files and GGUF vocabularies of the kind gpt2.
import { decodeUtf8 } from "../../util/bytes.ts";
import { checkDecode, checkDecodeOptions, checkEncode, checkStreamOptions } from "../core/arguments.ts";
import { marksTurn, touches } from "../core/plain_parts.ts";
import { PrintedTokenizer } from "../core/printed.ts";
import { checkSpecialIds, present } from "../core/special_ids.ts";
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
import { type ByteBpeData, TokenType } from "../core/vocabulary_data.ts";
import type { Pretokenizer } from "../pretokenize/pretokenizer.ts";
import { pretokenizerNamed } from "../pretokenize/registry.ts";
import { byteSpelling } from "./byte_alphabet.ts";
import { ByteBpeEncoder } from "./byte_encoder.ts";
import { ByteStream } from "./byte_stream.ts";
import type { ByteVocabulary } from "./byte_vocabulary.ts";

const NO_BYTES = new Uint8Array(0);

const userDefined: readonly number[] = [TokenType.userDefined];
const specials: readonly number[] = [TokenType.control, TokenType.unknown];

/**
 * Byte-level BPE, the tokenizer of GPT-2 and Llama 3 and of most that came after: texts are split into words by a
 * pre-tokenizer, and the UTF-8 bytes of each word are merged. Nothing is normalized, so that a vocabulary with all
 * 256 bytes encodes and decodes every text without loss; lone surrogates become U+FFFD.
 *
 * User-defined tokens are found in the text first, the longest at each position; control tokens and the unknown
 * token only with `special`. The text between two is encoded as a text of its own.
 *
 * Source: openai/gpt-2 (encoder.py), openai/tiktoken (src/lib.rs); user-defined tokens as in llama.cpp.
 */
export class ByteBpeTokenizer extends PrintedTokenizer implements Tokenizer {
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly #encoder: ByteBpeEncoder;
  readonly #vocabulary: ByteVocabulary;
  readonly #pretokenizer: Pretokenizer;
  readonly #addBos: boolean;
  readonly #addEos: boolean;
  /** What cuts a text into texts, without and with `special`, and a part that is plain; made when first needed. */
  readonly #cuts = new Map<boolean | "plain", Cuts | undefined>();

  /**
   * @throws FormatError, see {@link createTokenizer}
   * @throws UnsupportedError for a pre-tokenizer that is not known
   */
  constructor(data: ByteBpeData) {
    super();
    this.#pretokenizer = pretokenizerNamed(data.pretokenizer);
    this.#encoder = new ByteBpeEncoder(data);
    this.#vocabulary = this.#encoder.vocabulary;
    checkSpecialIds(data, this.#vocabulary.size);
    this.bosId = data.bosId;
    this.eosIds = [...data.eosIds];
    this.#addBos = data.addBos;
    this.#addEos = data.addEos;
  }

  get kind(): string {
    return "byte-bpe";
  }

  get vocabSize(): number {
    return this.#vocabulary.size;
  }

  encode(text: string, options?: EncodeOptions): number[] {
    return this.#encoded(text, options, false).toIds();
  }

  encodeWithOffsets(text: string, options?: EncodeOptions): TokenOffsets {
    return this.#encoded(text, options, true).toOffsets();
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return decodeUtf8(this.decodeBytes(ids, options));
  }

  decodeBytes(ids: ArrayLike<number>, options?: DecodeOptions): Uint8Array {
    checkDecode(ids, options);
    const { special = false } = options ?? {};
    const vocabulary = this.#vocabulary;
    let n = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      vocabulary.check(id);
      if (this.#isShown(id, special)) n += vocabulary.length(id);
    }
    const bytes = new Uint8Array(n);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if (this.#isShown(id, special)) at = vocabulary.copy(id, bytes, at);
    }
    return bytes;
  }

  bytes(id: number, options?: DecodeOptions): Uint8Array {
    checkDecodeOptions(options);
    return this.#view(id, options?.special ?? false).slice();
  }

  /** Tokens that text can become in GPT-2's alphabet ("Ġthe"), others as their text. */
  piece(id: number): string {
    const token = this.#vocabulary.token(id);
    return this.#vocabulary.type(id) === TokenType.normal ? byteSpelling(token) : decodeUtf8(token);
  }

  stream(options?: TokenStreamOptions): TokenStream {
    checkStreamOptions(options);
    const { special = false } = options ?? {};
    return new ByteStream((id) => this.#view(id, special));
  }

  #view(id: number, special: boolean): Uint8Array {
    const token = this.#vocabulary.token(id);
    return this.#isShown(id, special) ? token : NO_BYTES;
  }

  #isShown(id: number, special: boolean): boolean {
    const type = this.#vocabulary.type(id);
    return special || (type !== TokenType.control && type !== TokenType.unknown);
  }

  #encoded(text: string, options: EncodeOptions | undefined, withOffsets: boolean): TokenSink {
    checkEncode(text, options);
    const { bos = this.#addBos, eos = this.#addEos, special = false, plain = [] } = options ?? {};
    const out = new TokenSink(text.length, withOffsets);
    if (bos) out.push(present(this.bosId, "BOS"), 0, 0);
    this.#encodeCut(text, this.#cutsOf(special), plain, out);
    if (eos) out.push(present(this.eosIds[0], "EOS"), text.length, text.length);
    return out;
  }

  #cutsOf(special: boolean | "plain"): Cuts | undefined {
    if (!this.#cuts.has(special)) {
      const types = special === true ? [...userDefined, ...specials] : userDefined;
      const isCut = (token: string) => special !== "plain" || !marksTurn(token);
      this.#cuts.set(special, cutsOf(this.#vocabulary, types, isCut));
    }
    return this.#cuts.get(special);
  }

  #encodeCut(text: string, cuts: Cuts | undefined, plain: readonly number[], out: TokenSink): void {
    const encoder = this.#encoder;
    const pretokenizer = this.#pretokenizer;
    const vocabulary = this.#vocabulary;
    const classified = encoder.classify(text);
    const found = cuts?.match(text);
    const inPlain = plain.length > 0 ? this.#cutsOf("plain")?.match(text) : undefined;
    const lengthOf = (id: number) => decodeUtf8(vocabulary.token(id)).length;
    let begin = 0;
    for (let i = 0; found !== undefined && i < text.length; ) {
      let id = found[i] as number;
      if (id >= 0 && touches(plain, i, i + lengthOf(id))) id = inPlain?.[i] ?? -1;
      if (id < 0) {
        i++;
        continue;
      }
      encoder.encodeRange(classified, begin, i, pretokenizer, out);
      begin = i + lengthOf(id);
      out.push(id, i, begin);
      i = begin;
    }
    encoder.encodeRange(classified, begin, text.length, pretokenizer, out);
  }
}

/** Tokens that are found in a text as they are. */
interface Cuts {
  /** As {@link SymbolMatcher.match}; undefined if there are none. */
  match(text: string): Int32Array | undefined;
}

function cutsOf(
  vocabulary: ByteVocabulary,
  types: readonly number[],
  isCut: (token: string) => boolean,
): Cuts | undefined {
  const symbols: [text: string, id: number][] = [];
  for (let id = 0; id < vocabulary.size; id++) {
    if (!types.includes(vocabulary.type(id))) continue;
    const token = decodeUtf8(vocabulary.token(id));
    if (isCut(token)) symbols.push([token, id]);
  }
  if (symbols.length === 0) return undefined;
  const matcher = new SymbolMatcher(symbols);
  const firsts = new Set(symbols.map(([text]) => text.slice(0, 1)));
  // Most texts have no "<" or "[", with which special tokens begin.
  const mayHave = (text: string) => firsts.size > 16 || [...firsts].some((first) => text.includes(first));
  return { match: (text) => (mayHave(text) ? matcher.match(text.toWellFormed()) : undefined) };
}
