// The interface of every tokenizer: text to ids and back.

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
  /**
   * With `special`, parts of the text in which control tokens, and other marks of turns, stay text all the same, such as
   * what a user wrote: pairs of UTF-16 offsets [begin, end), ascending.
   */
  plain?: readonly number[];
}

/** Options of {@link Tokenizer.decode}, `decodeBytes` and `bytes`. */
export interface DecodeOptions {
  /** Write control tokens too; default false: they are left out. */
  special?: boolean;
}

/** Options of {@link Tokenizer.stream}. */
export interface TokenStreamOptions extends DecodeOptions {
  /** Text (the prompt) comes before, so the leading space of the first token stays; default false. */
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
   * Text to ids. Lone surrogates are encoded as U+FFFD. If pieces spell spaces as U+2581, that is the same as a space.
   * @throws TokenizerError for a character that is no piece, if there are neither byte tokens nor an
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
