// Encodes one word by the model of a tokenizer.json: BPE, unigram or whole words.
import { TokenizerError } from "../../util/errors.ts";
import { byteSpelling, writeSpelling } from "../byte_level/byte_alphabet.ts";
import { ByteBpeEncoder } from "../byte_level/byte_encoder.ts";
import type { TokenSink } from "../core/token_sink.ts";
import { TokenType } from "../core/vocabulary_data.ts";
import { BpeSegmenter } from "../sentencepiece/bpe.ts";
import type { Segmenter } from "../sentencepiece/segmenter.ts";
import { UnigramSegmenter } from "../sentencepiece/unigram.ts";
import type { BpeModel, Model } from "./model.ts";

/** Buffers of words up to this many units are reused for the next word. */
const KEPT_UNITS = 1 << 16;

const utf8 = new TextEncoder();

/**
 * Encodes words, the result of pre-tokenizing. A character that is no token becomes byte tokens if the model has them,
 * else the unknown token. Offsets count in the word.
 */
export class WordEncoder {
  readonly #model: Model;
  readonly #types: ArrayLike<number>;
  readonly #segmenter: Segmenter;
  readonly #lengths: Int32Array;
  /** Token of each byte, -1 if there is none. */
  readonly #byteIds: Int32Array | undefined;
  #units = new Uint16Array(64);
  #bytes = new Uint8Array(6);
  #nBytes = 0;

  /**
   * @param types what each token is: no text becomes a control token
   * @throws FormatError for more text in tokens than can be indexed
   */
  constructor(model: Model, types: ArrayLike<number>) {
    const pieces = model.tokens.map((token) => token ?? "");
    const isText = (piece: string, id: number) =>
      piece !== "" && !(model.type === "Unigram" && types[id] === TokenType.control);
    const kinds = Uint8Array.from(pieces, (piece, id) =>
      isText(piece, id) ? TokenType.normal : TokenType.control,
    );
    this.#model = model;
    this.#types = types;
    this.#lengths = Int32Array.from(pieces, (piece) => piece.length);
    if (model.byteFallback) {
      this.#byteIds = Int32Array.from({ length: 256 }, (_, byte) => model.ids.get(byteToken(byte)) ?? -1);
    }
    this.#segmenter =
      model.type === "BPE"
        ? new BpeSegmenter({ pieces, scores: [], types: kinds }, { merges: model.merges })
        : new UnigramSegmenter({ pieces, scores: model.scores, types: kinds }, "f64");
  }

  /**
   * @param word well-formed
   * @throws TokenizerError for what is no token, if there are neither byte tokens nor an unknown token for it
   */
  encode(word: string, out: TokenSink): void {
    const model = this.#model;
    const whole = model.type === "BPE" && model.ignoreMerges ? this.#tokenOf(word) : undefined;
    if (whole !== undefined) out.push(whole, 0, word.length);
    else this.#split(word, out);
  }

  #split(word: string, out: TokenSink): void {
    const n = this.#segment(word);
    const { symbols } = this.#segmenter;
    let begin = 0;
    for (let i = 0; i < n; ) {
      let end = begin + this.#unitsOf(symbols[i] as number);
      if (!this.#isUnknown(symbols[i] as number)) {
        out.push(symbols[i++] as number, begin, end);
        begin = end;
        continue;
      }
      for (i++; this.#model.fuseUnk && i < n && this.#isUnknown(symbols[i] as number); i++) {
        end += this.#unitsOf(symbols[i] as number);
      }
      this.#unknown(word.slice(begin, end), begin, out);
      begin = end;
    }
  }

  #segment(word: string): number {
    const n = word.length;
    if (this.#units.length < n || this.#units.length > KEPT_UNITS)
      this.#units = new Uint16Array(Math.max(64, 2 * n));
    for (let i = 0; i < n; i++) this.#units[i] = word.charCodeAt(i);
    return this.#segmenter.segment(this.#units, n);
  }

  /** The token that a text is as a whole. */
  #tokenOf(text: string): number | undefined {
    const id = this.#model.ids.get(text);
    return id !== undefined && this.#types[id] === TokenType.control ? undefined : id;
  }

  /** In a unigram model the unknown token's own text is as unknown as any other. */
  #isUnknown(symbol: number): boolean {
    return symbol >= this.#lengths.length || (this.#model.type === "Unigram" && symbol === this.#model.unkId);
  }

  #unitsOf(symbol: number): number {
    const size = this.#lengths.length;
    if (symbol < size) return this.#lengths[symbol] as number;
    return symbol - size > 0xffff ? 2 : 1;
  }

  /** Unknown characters; of a BPE model those without byte tokens are one unknown token together. */
  #unknown(text: string, begin: number, out: TokenSink): void {
    const model = this.#model;
    const end = begin + text.length;
    if (model.type === "Unigram") {
      const id = this.#tokenOf(text);
      if (id !== undefined) out.push(id, begin, end);
      else if (!this.#findBytes(text)) this.#unknownToken(text, begin, out);
      else this.#pushBytes(begin, end, out);
      return;
    }
    let open = 0;
    for (let at = 0; at < text.length; ) {
      const next = at + ((text.codePointAt(at) as number) > 0xffff ? 2 : 1);
      if (this.#findBytes(text.slice(at, next))) {
        this.#unknownToken(text.slice(open, at), begin + open, out);
        this.#pushBytes(begin + at, begin + next, out);
        open = next;
      }
      at = next;
    }
    this.#unknownToken(text.slice(open), begin + open, out);
  }

  /** Whether all bytes of a text have tokens; {@link pushBytes} then pushes them. */
  #findBytes(text: string): boolean {
    if (this.#byteIds === undefined) return false;
    if (this.#bytes.length < 3 * text.length) this.#bytes = new Uint8Array(3 * text.length);
    this.#nBytes = utf8.encodeInto(text, this.#bytes).written;
    for (let i = 0; i < this.#nBytes; i++) {
      if ((this.#byteIds[this.#bytes[i] as number] as number) < 0) return false;
    }
    return true;
  }

  #pushBytes(begin: number, end: number, out: TokenSink): void {
    for (let i = 0; i < this.#nBytes; i++) {
      out.push(this.#byteIds?.[this.#bytes[i] as number] as number, begin, end);
    }
  }

  #unknownToken(text: string, begin: number, out: TokenSink): void {
    if (text === "") return;
    const { unkId } = this.#model;
    if (unkId === undefined) {
      throw new TokenizerError(
        `Cannot encode ${JSON.stringify(text.slice(0, 16))}: Expected tokens, byte tokens or an unknown token for it, the vocabulary has none`,
      );
    }
    out.push(unkId, begin, begin + text.length);
  }
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/**
 * The encoder of words as they are before ByteLevel spells their bytes, which gives the same ids; undefined where
 * a byte has no token, or a token cannot be spelled.
 */
export function byteEncoder(model: BpeModel): ByteBpeEncoder | undefined {
  for (let byte = 0; byte < 256; byte++) {
    if (!model.ids.has(byteSpelling(Uint8Array.of(byte)))) return undefined;
  }
  const { tokens } = model;
  const units = tokens.reduce((sum, token) => sum + (token?.length ?? 0), 0);
  const bytes = new Uint8Array(units);
  const offsets = new Uint32Array(tokens.length + 1);
  const types = new Uint8Array(tokens.length).fill(TokenType.control);
  let n = 0;
  for (const [id, token] of tokens.entries()) {
    const end = token === undefined ? n : writeSpelling(token, bytes, n);
    if (end >= 0) {
      n = end;
      if (token !== undefined && token !== "") types[id] = TokenType.normal;
    }
    offsets[id + 1] = n;
  }
  return new ByteBpeEncoder({ bytes, offsets, types, merges: model.merges, wholeWords: model.ignoreMerges });
}
