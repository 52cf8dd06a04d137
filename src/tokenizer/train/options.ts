// Options of training, their defaults and their limits.
import { quoted } from "../../util/bytes.ts";
import { describeValue } from "../../util/describe.ts";
import { UsageError } from "../../util/errors.ts";

/** What can be trained: two kinds of SentencePiece models, and byte-level BPE as a tiktoken rank file. */
export const MODEL_TYPES = ["unigram", "bpe", "byte-bpe"] as const;
export type ModelType = (typeof MODEL_TYPES)[number];

/** What text goes through before pieces are learned from it and before it is encoded. */
export const NORMALIZATIONS = ["identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"] as const;
export type Normalization = (typeof NORMALIZATIONS)[number];

/**
 * A text in parts of any size, as UTF-8 or as strings. Each byte of invalid UTF-8 becomes U+FFFD after
 * normalization, as in SentencePiece; lone surrogates in strings count as U+FFFD.
 */
export type Corpus = Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/** How far training is. */
export interface TrainProgress {
  /** What is being done: "reading", "merging", ... */
  readonly stage: string;
  /** How much of it, 0 to 1; undefined if the end is not known. */
  readonly done: number | undefined;
}

/** Settings of all model types. */
interface CommonOptions {
  readonly corpus: Corpus;
  /** Number of tokens, the special ones and bytes among them. */
  readonly vocabSize: number;
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
  /** Ends the training, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Settings of SentencePiece models; the names and defaults are SentencePiece's. */
export interface SentencePieceOptions extends CommonOptions {
  readonly modelType: "unigram" | "bpe";
  /** Share of the corpus's characters that become pieces, 0.98 to 1; the rest are unknown. Default 0.9995. */
  readonly characterCoverage?: number | undefined;
  /** Give each byte a token, so that unknown characters can be spelled. Default false. */
  readonly byteFallback?: boolean | undefined;
  /** Keep every digit a piece of its own. Default false. */
  readonly splitDigits?: boolean | undefined;
  /** Keep digits apart from letters. Default true. */
  readonly splitByNumber?: boolean | undefined;
  /** Keep scripts apart, Chinese and Japanese counting as one. Default true. */
  readonly splitByUnicodeScript?: boolean | undefined;
  /** Keep words apart. Default true. */
  readonly splitByWhitespace?: boolean | undefined;
  /** Let several spaces be a piece. Default false. */
  readonly allowWhitespaceOnlyPieces?: boolean | undefined;
  /** Default "nmt_nfkc". */
  readonly normalization?: Normalization | undefined;
  /** Put a space before a text. Default true. */
  readonly addDummyPrefix?: boolean | undefined;
  /** Trim and make one of several spaces. Default true. */
  readonly removeExtraWhitespaces?: boolean | undefined;
  /** Longest piece, in characters, 1 to 512. Default 16. */
  readonly maxPieceLength?: number | undefined;
  /** Lines of more bytes are left out. Default 4192. */
  readonly maxSentenceLength?: number | undefined;
  /** Texts that always become one piece. */
  readonly userDefinedSymbols?: readonly string[] | undefined;
  /** Tokens that no text becomes. */
  readonly controlSymbols?: readonly string[] | undefined;
  /** Ids of the special tokens; -1 for none, except for the unknown token. Defaults 0, 1, 2 and -1. */
  readonly unkId?: number | undefined;
  readonly bosId?: number | undefined;
  readonly eosId?: number | undefined;
  readonly padId?: number | undefined;
  /** Characters that become pieces whether or not the corpus has them. */
  readonly requiredChars?: string | undefined;
  /** Unigram: pieces to begin with. Default 1,000,000. */
  readonly seedSize?: number | undefined;
  /** Unigram: share of the pieces that each round keeps, 0.5 to 0.95. Default 0.75. */
  readonly shrinkingFactor?: number | undefined;
  /** Unigram: steps of expectation and maximization a round, 1 to 10. Default 2. */
  readonly subIterations?: number | undefined;
  /** Whether too small a corpus is an error; otherwise the vocabulary becomes smaller. Default true. */
  readonly hardVocabLimit?: boolean | undefined;
}

/** Settings of byte-level BPE. */
export interface ByteBpeOptions extends CommonOptions {
  readonly modelType: "byte-bpe";
  /**
   * How text is split into words first, by the name of a pre-tokenizer: "cl100k_base", "gpt-2", "qwen2" and others.
   * Default "llama-bpe", by which rank files are read if nothing else is said.
   */
  readonly pattern?: string | undefined;
  /** Longest token in bytes, 1 to 65536. Default 128. */
  readonly maxPieceLength?: number | undefined;
  /** Whether too small a corpus is an error; otherwise the vocabulary becomes smaller. Default true. */
  readonly hardVocabLimit?: boolean | undefined;
}

export type TrainOptions = SentencePieceOptions | ByteBpeOptions;

/** What training gives. */
export interface TrainedTokenizer {
  /** The file: a SentencePiece model, or a tiktoken rank file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly vocabSize: number;
  readonly skipped: SkippedLines;
}

/** Lines that nothing was learned from; none in byte-level BPE. */
export interface SkippedLines {
  /** Longer than `maxSentenceLength`. */
  readonly tooLong: number;
  /** They hold U+2585, which stands for rare characters while pieces are learned. */
  readonly reserved: number;
}

type Defaults<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** Everything about a SentencePiece model that is not the corpus. */
export type SentencePieceSpec = Defaults<Omit<SentencePieceOptions, keyof CommonOptions>> & {
  readonly vocabSize: number;
};

/** The interval of each number; also what the command line says. */
export const LIMITS = {
  vocabSize: { integer: true, min: 1, max: 1 << 20 },
  characterCoverage: { integer: false, min: 0.98, max: 1 },
  maxPieceLength: { integer: true, min: 1, max: 512 },
  maxSentenceLength: { integer: true, min: 10, max: 1 << 24 },
  seedSize: { integer: true, min: 1, max: 5_000_000 },
  shrinkingFactor: { integer: false, min: 0.5, max: 0.95 },
  subIterations: { integer: true, min: 1, max: 10 },
  specialId: { integer: true, min: -1, max: (1 << 20) - 1 },
  byteBpePieceLength: { integer: true, min: 1, max: 1 << 16 },
} as const;

/** Most characters of all special symbols together. */
const MAX_SYMBOL_CHARS = 1 << 20;

/** @throws UsageError for a setting outside of its interval */
export function sentencePieceSpec(options: SentencePieceOptions): SentencePieceSpec {
  const number = (name: Exclude<keyof typeof LIMITS, "byteBpePieceLength" | "specialId">, fallback: number) =>
    checkNumber(name, options[name] ?? fallback, LIMITS[name]);
  return {
    modelType: options.modelType,
    vocabSize: checkNumber("vocabSize", options.vocabSize, LIMITS.vocabSize),
    characterCoverage: number("characterCoverage", 0.9995),
    byteFallback: options.byteFallback ?? false,
    splitDigits: options.splitDigits ?? false,
    splitByNumber: options.splitByNumber ?? true,
    splitByUnicodeScript: options.splitByUnicodeScript ?? true,
    splitByWhitespace: options.splitByWhitespace ?? true,
    allowWhitespaceOnlyPieces: options.allowWhitespaceOnlyPieces ?? false,
    normalization: checkChoice("normalization", options.normalization ?? "nmt_nfkc", NORMALIZATIONS),
    addDummyPrefix: options.addDummyPrefix ?? true,
    removeExtraWhitespaces: options.removeExtraWhitespaces ?? true,
    maxPieceLength: number("maxPieceLength", 16),
    maxSentenceLength: number("maxSentenceLength", 4192),
    userDefinedSymbols: checkSymbols("userDefinedSymbols", options.userDefinedSymbols ?? []),
    controlSymbols: checkSymbols("controlSymbols", options.controlSymbols ?? []),
    unkId: checkNumber("unkId", options.unkId ?? 0, { ...LIMITS.specialId, min: 0 }),
    bosId: checkNumber("bosId", options.bosId ?? 1, LIMITS.specialId),
    eosId: checkNumber("eosId", options.eosId ?? 2, LIMITS.specialId),
    padId: checkNumber("padId", options.padId ?? -1, LIMITS.specialId),
    requiredChars: checkText("requiredChars", options.requiredChars ?? ""),
    seedSize: number("seedSize", 1_000_000),
    shrinkingFactor: number("shrinkingFactor", 0.75),
    subIterations: number("subIterations", 2),
    hardVocabLimit: options.hardVocabLimit ?? true,
  };
}

/** @throws UsageError if `value` is not one of `choices` */
export function checkChoice<T extends string>(name: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  throw new UsageError(`Cannot train: Expected ${name} to be one of ${choices.join(", ")}, got ${value}`);
}

/** @throws UsageError if `value` is outside of the interval */
export function checkNumber(
  name: string,
  value: number,
  { integer, min, max }: { integer: boolean; min: number; max: number },
): number {
  const right = integer ? Number.isSafeInteger(value) : typeof value === "number";
  if (right && value >= min && value <= max) return value;
  throw new UsageError(
    `Cannot train: Expected ${name} to be ${integer ? "an integer" : "a number"} from ${min} to ${max}, got ${describeValue(value)}`,
  );
}

function checkSymbols(name: string, symbols: readonly string[]): readonly string[] {
  for (const symbol of symbols) {
    if (typeof symbol !== "string" || symbol === "" || !symbol.isWellFormed() || symbol.includes("\0")) {
      throw new UsageError(
        `Cannot train: Expected ${name} to be text without NUL and lone surrogates, got ${quoted(String(symbol))}`,
      );
    }
  }
  if (symbols.reduce((sum, { length }) => sum + length, 0) > MAX_SYMBOL_CHARS) {
    throw new UsageError(
      `Cannot train: Expected at most ${MAX_SYMBOL_CHARS} characters of ${name}, got more`,
    );
  }
  return [...symbols];
}

function checkText(name: string, text: string): string {
  if (typeof text === "string" && text.isWellFormed()) return text;
  throw new UsageError(`Cannot train: Expected ${name} to be text without lone surrogates`);
}
