// The tokenizer of a tokenizer.json: the file's own pipeline.
import { TokenizerError } from "../../util/errors.ts";
import type { ByteBpeEncoder } from "../byte_level/byte_encoder.ts";
import { checkDecode, checkDecodeOptions, checkEncode, checkStreamOptions } from "../core/arguments.ts";
import { touches } from "../core/plain_parts.ts";
import { PrintedTokenizer } from "../core/printed.ts";
import { present } from "../core/special_ids.ts";
import { TokenSink } from "../core/token_sink.ts";
import type {
  DecodeOptions,
  EncodeOptions,
  Tokenizer,
  TokenOffsets,
  TokenStream,
  TokenStreamOptions,
} from "../core/tokenizer.ts";
import type { Pretokenizer } from "../pretokenize/pretokenizer.ts";
import { AddedTokenFinder, type Section } from "./added_tokens.ts";
import { AlignedText } from "./aligned_text.ts";
import type { HuggingFaceData } from "./data.ts";
import { DecoderChain, type DecoderRun } from "./decoders.ts";
import { knownPretokenizer } from "./known_patterns.ts";
import { type PreTokenizer, preTokenize } from "./pre_tokenizers.ts";
import { bytesOfRaw, RawTextStream, textOfRaw } from "./raw_text.ts";
import { byteEncoder, WordEncoder } from "./word_encoder.ts";

/**
 * The tokenizer of a tokenizer.json, with the ids of Hugging Face's tokenizers.
 *
 * Added tokens are cut out of the text first; what is left is normalized, cut at added tokens again (those that
 * are looked for in normalized text), split into words, and each word is encoded by the model. Special added
 * tokens are found only with `special`. If splitting ends in ByteLevel, words go to byte-level BPE as bytes.
 *
 * Differences from Hugging Face's: a character that is no token is an error if there is no unknown token, and so is an
 * id outside the vocabulary; there, both are dropped. Bytes that are not UTF-8 become one U+FFFD for each broken
 * sequence, not for each byte: text around them survives, and streams need not wait.
 *
 * Source: huggingface/tokenizers, tokenizers/src/tokenizer (added_vocabulary.rs, normalizer.rs, pre_tokenizer.rs).
 */
export class HuggingFaceTokenizer extends PrintedTokenizer implements Tokenizer {
  readonly #data: HuggingFaceData;
  readonly #special: ReadonlySet<number>;
  /** Finds tokens in the text as it is, and in the normalized text. */
  readonly #plainTokens: AddedTokenFinder | undefined;
  readonly #normalizedTokens: AddedTokenFinder | undefined;
  /** If words are bytes: the stages before, and their splitting without regular expressions. */
  readonly #byteWords: ByteWords | undefined;
  #words: WordEncoder | undefined;
  readonly #chain: DecoderChain;
  /** Whether splitting asks what a word comes from. */
  readonly #needsAlignment: boolean;

  /** @throws FormatError for more text in tokens than can be indexed */
  constructor(data: HuggingFaceData) {
    super();
    const { addedTokens, normalizer, preTokenizers } = data;
    this.#data = data;
    this.#special = new Set(addedTokens.filter((token) => token.special).map((token) => token.id));
    const plain = addedTokens.filter((token) => !token.normalized);
    const normalized = addedTokens.filter((token) => token.normalized);
    this.#plainTokens = finder(plain, (content) => content);
    this.#normalizedTokens = finder(normalized, (content) => normalizer?.normalize(content) ?? content);
    this.#byteWords = byteWordsOf(data);
    if (this.#byteWords === undefined) this.#words = new WordEncoder(data.model, data.types);
    this.#chain = new DecoderChain(data.decoders, data.spellings);
    const first = preTokenizers.findIndex((stage) => stage.kind === "metaspace" && stage.prepend === "first");
    this.#needsAlignment = first > 0 || (first === 0 && normalizer !== undefined);
  }

  get kind(): string {
    return "huggingface";
  }

  get vocabSize(): number {
    return this.#data.spellings.length;
  }

  get bosId(): number | undefined {
    return this.#data.bosId;
  }

  get eosIds(): readonly number[] {
    return this.#data.eosIds;
  }

  encode(text: string, options?: EncodeOptions): number[] {
    return this.#encoded(text, options, false).toIds();
  }

  encodeWithOffsets(text: string, options?: EncodeOptions): TokenOffsets {
    return this.#encoded(text, options, true).toOffsets();
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    checkDecode(ids, options);
    return textOfRaw(this.#decodeRaw(ids, options?.special ?? false, false));
  }

  decodeBytes(ids: ArrayLike<number>, options?: DecodeOptions): Uint8Array {
    checkDecode(ids, options);
    return bytesOfRaw(this.#decodeRaw(ids, options?.special ?? false, false));
  }

  bytes(id: number, options?: DecodeOptions): Uint8Array {
    checkDecodeOptions(options);
    return bytesOfRaw(this.#decodeRaw([id], options?.special ?? false, true));
  }

  piece(id: number): string {
    const piece = this.#data.spellings[id];
    if (piece === undefined) {
      throw new TokenizerError(
        `Cannot decode id ${id}: Expected an id of the vocabulary, which has ${this.vocabSize}`,
      );
    }
    return piece;
  }

  stream(options?: TokenStreamOptions): TokenStream {
    checkStreamOptions(options);
    const { special = false, afterText = false } = options ?? {};
    const run = this.#chain.start(afterText);
    const text = new RawTextStream();
    return {
      push: (id) => text.push(this.#pushTo(run, id, special)),
      flush: () => text.push(run.flush()) + text.flush(),
    };
  }

  #decodeRaw(ids: ArrayLike<number>, special: boolean, afterText: boolean): string {
    const run = this.#chain.start(afterText);
    let raw = "";
    for (let i = 0; i < ids.length; i++) raw += this.#pushTo(run, ids[i] as number, special);
    return raw + run.flush();
  }

  #pushTo(run: DecoderRun, id: number, special: boolean): string {
    this.piece(id);
    return !special && this.#special.has(id) ? "" : run.push(id);
  }

  #encoded(text: string, options: EncodeOptions | undefined, withOffsets: boolean): TokenSink {
    checkEncode(text, options);
    const { template, addBos, addEos } = this.#data;
    const { bos = addBos, eos = addEos, special = false, plain = [] } = options ?? {};
    const source = text.toWellFormed();
    const out = new TokenSink(source.length, withOffsets);
    if (bos) pushAll(out, template.before, this.bosId, "BOS", 0);
    this.#encodeText(out, source, { special, plain });
    if (eos) pushAll(out, template.after, this.eosIds[0], "EOS", source.length);
    return out;
  }

  #encodeText(out: TokenSink, text: string, search: Search): void {
    const { special, plain } = search;
    const sections = this.#plainTokens?.sections(text, special, (begin, end) => touches(plain, begin, end));
    if (sections === undefined) this.#encodeSection(out, new AlignedText(text, 0, text.length), search);
    else this.#encodeSections(out, text, sections, search);
  }

  #encodeSections(out: TokenSink, text: string, sections: readonly Section[], search: Search): void {
    for (const { begin, end, id } of sections) {
      if (id !== undefined) out.push(id, begin, end);
      else this.#encodeSection(out, new AlignedText(text.slice(begin, end), begin, end), search);
    }
  }

  #encodeSection(out: TokenSink, section: AlignedText, { special, plain }: Search): void {
    const { normalizer } = this.#data;
    const aligned =
      this.#needsAlignment || out.withOffsets || (plain.length > 0 && this.#normalizedTokens !== undefined);
    let text = section;
    if (normalizer !== undefined) {
      text = aligned ? normalizer.align(section) : section.withText(normalizer.normalize(section.text));
    }
    if (text.text === "") return;
    if (this.#normalizedTokens === undefined) {
      // What a normalizer takes off at the beginning is no part of the text's source.
      this.#encodeWords(out, this.#needsAlignment ? text.slice(0, text.text.length) : text, aligned);
      return;
    }
    const sections = this.#normalizedTokens.sections(text.text, special, (begin, end) =>
      touches(plain, text.startAt(begin), text.endAt(end - 1)),
    );
    for (const { begin, end, id } of sections) {
      if (id !== undefined) out.push(id, text.startAt(begin), text.endAt(end - 1));
      else this.#encodeWords(out, text.slice(begin, end), aligned);
    }
  }

  #encodeWords(out: TokenSink, text: AlignedText, aligned: boolean): void {
    const byteWords = this.#byteWords;
    if (byteWords === undefined) {
      for (const word of preTokenize(this.#data.preTokenizers, text, aligned)) {
        this.#encodeWord(word, out, (source) => (this.#words as WordEncoder).encode(source, out));
      }
      return;
    }
    const { encoder, pretokenizer, stages } = byteWords;
    if (pretokenizer !== undefined) {
      this.#encodeWord(text, out, (source) => encoder.encode(source, pretokenizer, out));
      return;
    }
    for (const word of preTokenize(stages, text, aligned)) {
      this.#encodeWord(word, out, (source) => encoder.encodeWord(source, out));
    }
  }

  /** Encodes a word and makes its offsets those of the source. */
  #encodeWord(word: AlignedText, out: TokenSink, encode: (source: string) => void): void {
    const first = out.length;
    encode(word.text);
    out.mapOffsets(first, (start, end) => {
      const sourceStart = word.startAt(start);
      return [sourceStart, end > start ? word.endAt(end - 1) : sourceStart];
    });
  }
}

/** Whether special tokens are found, and in which parts of the text they are not. */
interface Search {
  readonly special: boolean;
  readonly plain: readonly number[];
}

/** How words of bytes are made and encoded. */
interface ByteWords {
  readonly encoder: ByteBpeEncoder;
  /** Splits without regular expressions, if all stages can. */
  readonly pretokenizer: Pretokenizer | undefined;
  /** The stages, of which the last does not spell bytes. */
  readonly stages: readonly PreTokenizer[];
}

function byteWordsOf({ model, preTokenizers }: HuggingFaceData): ByteWords | undefined {
  const last = preTokenizers.at(-1);
  if (model.type !== "BPE" || last?.kind !== "byteLevel") return undefined;
  if (preTokenizers.some((stage, i) => stage.kind === "byteLevel" && i < preTokenizers.length - 1))
    return undefined;
  const encoder = byteEncoder(model);
  if (encoder === undefined) return undefined;
  return {
    encoder,
    pretokenizer: last.addPrefixSpace ? undefined : knownPretokenizer(preTokenizers),
    stages: [...preTokenizers.slice(0, -1), { ...last, spells: false }],
  };
}

function finder(
  tokens: HuggingFaceData["addedTokens"],
  textOf: (content: string) => string,
): AddedTokenFinder | undefined {
  return tokens.length === 0
    ? undefined
    : new AddedTokenFinder(
        tokens,
        tokens.map(({ content }) => textOf(content)),
      );
}

function pushAll(
  out: TokenSink,
  ids: readonly number[],
  fallback: number | undefined,
  name: string,
  at: number,
): void {
  for (const id of ids.length > 0 ? ids : [present(fallback, name)]) out.push(id, at, at);
}
