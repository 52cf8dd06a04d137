// Checks the names and types of training's options. Intervals are checked when options are resolved.
import { UsageError } from "../../util/errors.ts";
import {
  checkBoolean,
  checkFunction,
  checkOptionNames,
  checkOptions,
  checkSignal,
  type OptionNames,
  wrongOption,
} from "../../util/options.ts";
import {
  type ByteBpeOptions,
  checkChoice,
  MODEL_TYPES,
  type SentencePieceOptions,
  type TrainOptions,
} from "./options.ts";

const byteBpeNames: OptionNames<ByteBpeOptions> = {
  modelType: true,
  corpus: true,
  vocabSize: true,
  onProgress: true,
  signal: true,
  pattern: true,
  maxPieceLength: true,
  hardVocabLimit: true,
};

const sentencePieceNames: OptionNames<SentencePieceOptions> = {
  modelType: true,
  corpus: true,
  vocabSize: true,
  onProgress: true,
  signal: true,
  characterCoverage: true,
  byteFallback: true,
  splitDigits: true,
  splitByNumber: true,
  splitByUnicodeScript: true,
  splitByWhitespace: true,
  allowWhitespaceOnlyPieces: true,
  normalization: true,
  addDummyPrefix: true,
  removeExtraWhitespaces: true,
  maxPieceLength: true,
  maxSentenceLength: true,
  userDefinedSymbols: true,
  controlSymbols: true,
  unkId: true,
  bosId: true,
  eosId: true,
  padId: true,
  requiredChars: true,
  seedSize: true,
  shrinkingFactor: true,
  subIterations: true,
  hardVocabLimit: true,
};

const booleans = [
  "byteFallback",
  "splitDigits",
  "splitByNumber",
  "splitByUnicodeScript",
  "splitByWhitespace",
  "allowWhitespaceOnlyPieces",
  "addDummyPrefix",
  "removeExtraWhitespaces",
  "hardVocabLimit",
] as const;

/**
 * @throws UsageError for what is no object, an unknown option or one of another model type, null, and values of the
 *   wrong type
 */
export function checkTrainOptions(options: TrainOptions): void {
  checkOptions("train", options, { ...sentencePieceNames, ...byteBpeNames });
  checkChoice("modelType", options.modelType, MODEL_TYPES);
  const names: object = options.modelType === "byte-bpe" ? byteBpeNames : sentencePieceNames;
  checkOptionNames(`train with modelType ${options.modelType}`, options, Object.keys(names));
  const values = options as Partial<Record<keyof SentencePieceOptions | keyof ByteBpeOptions, unknown>>;
  for (const [name, value] of Object.entries(options)) {
    if (value === null && name !== "corpus")
      throw wrongOption("train", name, "undefined for its default, or a value", value);
  }
  const corpus = Object(options.corpus);
  const isIterable = Symbol.asyncIterator in corpus || Symbol.iterator in corpus;
  // Bytes are iterable too, but what they give are numbers.
  if (!isIterable || ArrayBuffer.isView(corpus)) {
    const got = ArrayBuffer.isView(corpus) ? "bytes; pass [bytes]" : typeof options.corpus;
    throw new UsageError(`Cannot train: Expected the corpus to be iterable, got ${got}`);
  }
  for (const name of booleans) checkBoolean("train", name, values[name]);
  checkFunction("train", "onProgress", options.onProgress);
  checkSignal("train", options.signal);
  for (const name of ["userDefinedSymbols", "controlSymbols"] as const) {
    const value = values[name];
    if (value !== undefined && !Array.isArray(value))
      throw wrongOption("train", name, "an array of texts", value);
  }
  if (values.pattern !== undefined && typeof values.pattern !== "string") {
    throw wrongOption("train", "pattern", "a name", values.pattern);
  }
}
