/** What a token is, SentencePiece's numbering (sentencepiece_model.proto, GGUF token_type). */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A vocabulary as read from a file, before it is checked and indexed. */
export interface TokenizerData {
  /** Which algorithm: only "spm-bpe" (SentencePiece BPE merged by scores) for now. */
  readonly kind: "spm-bpe";
  /** Piece text by id; spaces are U+2581 in SentencePiece vocabularies. */
  readonly pieces: readonly string[];
  /** Merge priority by id, higher merges first. */
  readonly scores: ArrayLike<number>;
  /** {@link TokenType} by id. */
  readonly types: ArrayLike<number>;
  readonly bosId: number | undefined;
  /** Every id that ends generation; the first is the one `eos: true` appends. */
  readonly eosIds: readonly number[];
  readonly unkId: number | undefined;
  /** Put a space before the text when encoding, and take one off at the start when decoding. */
  readonly addDummyPrefix: boolean;
  /** Collapse runs of spaces and trim (SentencePiece `remove_extra_whitespaces`). */
  readonly removeExtraWhitespaces: boolean;
  /**
   * Whether user-defined symbols are cut out first and the text after one is encoded as a text of its
   * own, with a dummy prefix (llama.cpp, hence GGUF). Otherwise they are part of the text, as in
   * SentencePiece. Default false.
   */
  readonly userDefinedSplitsText?: boolean;
  /** What `decode` writes for the unknown token; default U+2047 between two spaces, as SentencePiece. */
  readonly unkSurface?: string;
  /** Whether `encode` prepends BOS / appends EOS when the caller does not say. */
  readonly addBos: boolean;
  readonly addEos: boolean;
}

/** Options of {@link Tokenizer.encode}; BOS or EOS of a vocabulary that has none is a TokenizerError. */
export interface EncodeOptions {
  /** Prepend BOS; default: what the file says. */
  bos?: boolean;
  /** Append EOS; default: what the file says. */
  eos?: boolean;
  /** Parse control tokens such as "<s>" inside the text; default false: they stay text. */
  special?: boolean;
}

/** Text to ids and back. Built by {@link createTokenizer} in registry.ts. */
export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  /**
   * Text to ids. Lone surrogates are encoded as U+FFFD; U+2581 is the same as a space.
   * @throws TokenizerError for a character that is no piece, where there are neither byte tokens nor an
   *   unknown token for it
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Ids to text; control tokens are left out unless `special`; invalid UTF-8 becomes U+FFFD.
   * @throws TokenizerError for an id outside the vocabulary
   */
  decode(ids: ArrayLike<number>, options?: { special?: boolean }): string;
  /**
   * The bytes one id stands for (no dummy-prefix handling); empty for control tokens unless `special`.
   * @throws TokenizerError for an id outside the vocabulary
   */
  bytes(id: number, options?: { special?: boolean }): Uint8Array;
  /**
   * The piece as the vocabulary spells it.
   * @throws TokenizerError for an id outside the vocabulary
   */
  piece(id: number): string;
  /**
   * A decoder that never emits half a character; see streaming.ts. `afterText`: a text (the prompt)
   * precedes, so the leading space of the first token is kept.
   */
  stream(options?: { special?: boolean; afterText?: boolean }): TokenStream;
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
