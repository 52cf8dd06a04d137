import type { HuggingFaceData } from "../huggingface/data.ts";

/** What a token is, SentencePiece's numbering (sentencepiece_model.proto, GGUF token_type). */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What every kind of vocabulary says, as read from a file, before it is checked and indexed. */
export interface VocabularyData {
  /** {@link TokenType} by id. */
  readonly types: ArrayLike<number>;
  readonly bosId: number | undefined;
  /** Every id that ends generation; the first is the one `eos: true` appends. */
  readonly eosIds: readonly number[];
  readonly unkId: number | undefined;
  /** Whether `encode` prepends BOS / appends EOS when the caller does not say. */
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** What the file says wrongly and was passed over, a sentence each. */
  readonly warnings?: readonly string[];
}

/** A SentencePiece vocabulary. */
export interface SentencePieceData extends VocabularyData {
  /** Which algorithm: BPE merged by scores, the unigram language model, or every word or character a piece. */
  readonly kind: "spm-bpe" | "spm-unigram" | "spm-word" | "spm-char";
  /** Piece text by id; spaces are U+2581. */
  readonly pieces: readonly string[];
  /** Merge priority by id, higher merges first; of a unigram model, log probabilities. */
  readonly scores: ArrayLike<number>;
  /** Put a space before the text when encoding, and take one off at the start when decoding. */
  readonly addDummyPrefix: boolean;
  /** Collapse runs of spaces and trim (SentencePiece `remove_extra_whitespaces`). */
  readonly removeExtraWhitespaces: boolean;
  /** Whether spaces are U+2581 in the pieces; default true. */
  readonly escapeWhitespaces?: boolean;
  /** Whether the space that `addDummyPrefix` puts is put after the text (treat_whitespace_as_suffix). */
  readonly whitespaceAsSuffix?: boolean;
  /** The file's replacement rules for text that is encoded, and for text that was decoded; see charsmap.ts. */
  readonly charsmap?: Uint8Array;
  readonly denormalizerCharsmap?: Uint8Array;
  /**
   * Whether user-defined symbols are cut out first and the text after one is encoded as a text of its
   * own, with a dummy prefix (llama.cpp, hence GGUF). Otherwise they are part of the text, as in
   * SentencePiece. Default false.
   */
  readonly userDefinedSplitsText?: boolean;
  /** What `decode` writes for the unknown token; default U+2047 between two spaces, as SentencePiece. */
  readonly unkSurface?: string;
}

/** A byte-level BPE vocabulary: a tiktoken rank file, or a GGUF vocabulary of the "gpt2" kind. */
export interface ByteBpeData extends VocabularyData {
  readonly kind: "byte-bpe";
  /** The bytes of every token, one after the other: token id has bytes [offsets[id], offsets[id + 1]). */
  readonly bytes: Uint8Array;
  /** One more than there are tokens; ascending from 0. A token of no bytes is no token: a gap in the ids. */
  readonly offsets: Uint32Array;
  /**
   * Pairs of ids that merge, the first pair first: [left, right, result] three numbers a merge. Without it,
   * two tokens merge where their bytes together are a token, the lowest id first (tiktoken's ranks).
   */
  readonly merges?: Int32Array;
  /** Name of the pre-tokenizer, see pretokenize/registry.ts. */
  readonly pretokenizer: string;
  /** Whether a word that is a token as a whole is that token, whatever merging would make of it. */
  readonly wholeWords: boolean;
}

/** A vocabulary as read from a file, before it is checked and indexed; `kind` says which. */
export type TokenizerData = SentencePieceData | ByteBpeData | HuggingFaceData;

/**
 * Options of {@link Tokenizer.encode}; BOS or EOS of a vocabulary that has none is a TokenizerError. Unknown options,
 * and values that are neither a boolean nor undefined, are UsageErrors; so are those of decoding.
 */
export interface EncodeOptions {
  /** Prepend BOS; default: what the file says. */
  bos?: boolean;
  /** Append EOS; default: what the file says. */
  eos?: boolean;
  /** Parse control tokens such as "<s>" inside the text; default false: they stay text. */
  special?: boolean;
}

/** Options of {@link Tokenizer.decode}, `decodeBytes` and `bytes`. */
export interface DecodeOptions {
  /** Write control tokens too; default false: they are left out. */
  special?: boolean;
}

/** Options of {@link Tokenizer.stream}. */
export interface TokenStreamOptions extends DecodeOptions {
  /** A text (the prompt) precedes, so the leading space of the first token is kept; default false. */
  afterText?: boolean;
}

/** Ids and where they come from; three lists of one length. */
export interface TokenOffsets {
  readonly ids: number[];
  /** UTF-16 offset of the first code unit of each id's text. */
  readonly starts: number[];
  /** UTF-16 offset after the last one. */
  readonly ends: number[];
}

/** Text to ids and back. Built by {@link createTokenizer} in registry.ts. */
export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  /**
   * Text to ids. Lone surrogates are encoded as U+FFFD; where pieces spell spaces as U+2581, it is the same as a space.
   * @throws TokenizerError for a character that is no piece, where there are neither byte tokens nor an
   *   unknown token for it
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * As {@link encode}, with the part of `text` that each id stands for: UTF-16 offsets [starts[i], ends[i]).
   * BOS and EOS have empty parts; tokens that are bytes of one character all have the whole character;
   * what normalization puts in (a dummy prefix) has no part of its own.
   */
  encodeWithOffsets(text: string, options?: EncodeOptions): TokenOffsets;
  /**
   * Ids to text; control tokens are left out unless `special`; invalid UTF-8 becomes U+FFFD.
   * @throws TokenizerError for an id outside the vocabulary
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /**
   * As {@link decode}, but the bytes as they are, whether or not they are UTF-8.
   * @throws TokenizerError for an id outside the vocabulary
   */
  decodeBytes(ids: ArrayLike<number>, options?: DecodeOptions): Uint8Array;
  /**
   * The bytes one id stands for (no dummy-prefix handling); empty for control tokens unless `special`.
   * @throws TokenizerError for an id outside the vocabulary
   */
  bytes(id: number, options?: DecodeOptions): Uint8Array;
  /**
   * The piece as the vocabulary spells it.
   * @throws TokenizerError for an id outside the vocabulary
   */
  piece(id: number): string;
  /**
   * A decoder that never emits half a character; see streaming.ts.
   */
  stream(options?: TokenStreamOptions): TokenStream;
  /** The tokenizer on one line, as consoles print it. */
  toString(): string;
}

/** Incremental decoding: feed ids, get text that is complete so far. */
export interface TokenStream {
  /**
   * Text that became complete with this id; "" while a character is still open.
   * @throws TokenizerError for an id outside the vocabulary
   */
  push(id: number): string;
  /** What is left at the end: an open sequence becomes U+FFFD. */
  flush(): string;
}
