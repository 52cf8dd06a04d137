// What a vocabulary file says: plain data that the readers fill in and the tokenizers check and index.

/** What a token is, SentencePiece's numbering (sentencepiece_model.proto, GGUF token_type). */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What every kind of vocabulary says, as read from a file. It is not checked yet. */
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
  /** What the file says wrongly and was ignored, one sentence each. */
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
   * two tokens merge if their bytes together are a token, the lowest id first (tiktoken's ranks).
   */
  readonly merges?: Int32Array;
  /** Name of the pre-tokenizer, see pretokenize/registry.ts. */
  readonly pretokenizer: string;
  /** Whether a word that is a token as a whole is that token, whatever merging would make of it. */
  readonly wholeWords: boolean;
}
