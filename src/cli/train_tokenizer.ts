// `cria train-tokenizer`: learns a vocabulary from texts.
import process from "node:process";
import { LIMITS, MODEL_TYPES, NORMALIZATIONS } from "../tokenizer/train/options.ts";
import {
  type ByteBpeOptions,
  type ModelType,
  type SentencePieceOptions,
  type SkippedLines,
  type TrainProgress,
  trainTokenizer,
} from "../tokenizer_train.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  choiceFlag,
  describeFlags,
  type Flag,
  type FlagValues,
  helpFlag,
  listFlag,
  numberFlag,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { InputFiles, isSameFile } from "./input/corpus.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { writeErr } from "./terminal/output.ts";
import { OutputFile } from "./terminal/output_file.ts";
import { StageLine } from "./terminal/stage_line.ts";

const DEFAULT_VOCAB_SIZE = 8000;

const generalFlags = {
  input: listFlag(
    "--input",
    "FILE",
    'text to learn from; may be given several times; "-" is standard input',
    {
      aliases: ["-i"],
      isFile: true,
    },
  ),
  output: textFlag("--output", "FILE", "file to write; one that exists is replaced", {
    aliases: ["-o"],
    isFile: true,
  }),
  modelType: choiceFlag("--model-type", MODEL_TYPES, "what to train (default: unigram)"),
  vocabSize: numberFlag("--vocab-size", "N", "tokens in all (default: 8000)", LIMITS.vocabSize),
  maxPieceLength: numberFlag(
    "--max-piece-length",
    "N",
    "longest piece, in characters; with byte-bpe in bytes (default: 16; 128)",
    LIMITS.byteBpePieceLength,
  ),
  softVocabLimit: switchFlag("--soft-vocab-limit", "learn fewer tokens where the text gives no more", {
    option: "hardVocabLimit",
  }),
  help: helpFlag,
};

/** Texts with commas between them; a comma inside one has a backslash before it. */
function symbolsFlag(flag: string, help: string): Flag<string[]> {
  const list = listFlag(flag, "A,B,...", help);
  const split = (text: string) => text.split(/(?<!\\),/).map((symbol) => symbol.replaceAll("\\,", ","));
  return {
    ...list,
    read: (text, previous = []) => [...previous, ...list.read(text, undefined).flatMap(split)],
  };
}

const byteBpeFlags = {
  pattern: textFlag(
    "--pattern",
    "NAME",
    "how byte-bpe splits text into words: gpt-2, qwen2, ... (default: llama-bpe)",
  ),
};

const spmFlags = {
  characterCoverage: numberFlag(
    "--character-coverage",
    "X",
    "share of the text's characters that become pieces (default: 0.9995)",
    LIMITS.characterCoverage,
  ),
  byteFallback: switchFlag("--byte-fallback", "give each byte a token, for unknown characters"),
  normalization: choiceFlag("--normalization", NORMALIZATIONS, "(default: nmt_nfkc)"),
  splitDigits: switchFlag("--split-digits", "every digit is a piece of its own"),
  noSplitByNumber: switchFlag("--no-split-by-number", "let pieces join digits and letters", {
    option: "splitByNumber",
  }),
  noSplitByScript: switchFlag("--no-split-by-script", "let pieces join scripts, such as Latin and Greek", {
    option: "splitByUnicodeScript",
  }),
  noSplitByWhitespace: switchFlag("--no-split-by-whitespace", "let pieces join words", {
    option: "splitByWhitespace",
  }),
  whitespacePieces: switchFlag("--whitespace-pieces", "let several spaces be a piece", {
    option: "allowWhitespaceOnlyPieces",
  }),
  noDummyPrefix: switchFlag("--no-dummy-prefix", "put no space before a text", { option: "addDummyPrefix" }),
  keepWhitespace: switchFlag("--keep-whitespace", "neither trim texts nor join spaces", {
    option: "removeExtraWhitespaces",
  }),
  userDefinedSymbols: symbolsFlag("--user-defined-symbols", "pieces of their own wherever they are"),
  controlSymbols: symbolsFlag("--control-symbols", "tokens that no text becomes"),
  requiredChars: textFlag("--required-chars", "TEXT", "characters that become pieces in any case"),
  unkId: numberFlag("--unk-id", "N", "id of <unk> (default: 0)", { ...LIMITS.specialId, min: 0 }),
  bosId: numberFlag("--bos-id", "N", "id of <s>, -1 for none (default: 1)", LIMITS.specialId),
  eosId: numberFlag("--eos-id", "N", "id of </s>, -1 for none (default: 2)", LIMITS.specialId),
  padId: numberFlag("--pad-id", "N", "id of <pad>, -1 for none (default: -1)", LIMITS.specialId),
  maxSentenceLength: numberFlag(
    "--max-sentence-length",
    "N",
    "lines of more bytes are left out (default: 4192)",
    LIMITS.maxSentenceLength,
  ),
  seedSize: numberFlag(
    "--seed-size",
    "N",
    "unigram: pieces to begin with (default: 1000000)",
    LIMITS.seedSize,
  ),
  shrinkingFactor: numberFlag(
    "--shrinking-factor",
    "X",
    "unigram: share of pieces that a round keeps (default: 0.75)",
    LIMITS.shrinkingFactor,
  ),
  subIterations: numberFlag(
    "--sub-iterations",
    "N",
    "unigram: estimations a round (default: 2)",
    LIMITS.subIterations,
  ),
};

const flags = { ...generalFlags, ...byteBpeFlags, ...spmFlags };

type Values = FlagValues<typeof flags>;

const help = `Usage: cria train-tokenizer --input FILE --output FILE [flags] [more input files]

Trains a tokenizer from texts of any size: "unigram" and "bpe" make a SentencePiece model as spm_train does,
"byte-bpe" a tiktoken rank file. The same texts and flags give the same file. Bytes that are not UTF-8 count as
U+FFFD; a byte order mark at the beginning of a text is left out.

Flags:
${describeFlags({ ...generalFlags, ...byteBpeFlags })}
Flags of unigram and bpe:
${describeFlags(spmFlags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM, which leave no
file behind.
`;

/** `cria train-tokenizer`: learns a vocabulary from texts. */
export const trainTokenizerCommand = command({
  name: "train-tokenizer",
  summary: "learn a tokenizer from texts",
  help,
  flags,
  operands: "files",
  async run({ values, operands }) {
    const inputs = [...(values.input ?? []), ...operands];
    checkUsage(values, inputs);
    const signal = interruptSignal();
    const output = await openOutput(values.output as string, inputs);
    const files = await InputFiles.open(inputs);
    const line = new StageLine(process.stderr, "training");
    const onProgress = (progress: TrainProgress) => line.update(progress.stage, done(progress, files));
    try {
      const trained = await trainTokenizer({
        ...trainOptions(values),
        corpus: files.parts(),
        onProgress,
        signal,
      });
      await output.write(trained.bytes);
      line.clear();
      await writeErr(report(values.output as string, trained.vocabSize, trained.skipped));
      return 0;
    } finally {
      line.clear();
      await files.close();
    }
  },
});

function checkUsage(values: Values, inputs: readonly string[]): void {
  const missing = inputs.length === 0 ? flags.input : values.output === undefined ? flags.output : undefined;
  if (missing) throw new ArgumentError(`Cannot train: Expected ${missing.flag} FILE, got none`);
  if (inputs.filter((name) => name === "-").length > 1) {
    throw new ArgumentError('Cannot train: Expected standard input ("-") once, got it several times');
  }
  const type = modelType(values);
  const foreign = Object.keys(type === "byte-bpe" ? spmFlags : byteBpeFlags) as (keyof Values &
    keyof typeof flags)[];
  const given = foreign.find((key) => values[key] !== undefined);
  if (given) throw new ArgumentError(`Cannot use ${flags[given].flag} with --model-type ${type}`);
}

function modelType({ modelType = "unigram" }: Values): ModelType {
  return modelType;
}

async function openOutput(name: string, inputs: readonly string[]): Promise<OutputFile> {
  for (const input of inputs) {
    if (input !== "-" && (await isSameFile(name, input))) {
      throw new ArgumentError(`Cannot write ${name}: Expected another file than the input`);
    }
  }
  return OutputFile.check(name);
}

type Settings = Omit<SentencePieceOptions, "corpus"> | Omit<ByteBpeOptions, "corpus">;

function trainOptions(values: Values): Settings {
  const common = {
    vocabSize: values.vocabSize ?? DEFAULT_VOCAB_SIZE,
    maxPieceLength: values.maxPieceLength,
    hardVocabLimit: !values.softVocabLimit,
  };
  const type = modelType(values);
  if (type === "byte-bpe") return { ...common, modelType: type, pattern: values.pattern };
  return {
    ...common,
    modelType: type,
    characterCoverage: values.characterCoverage,
    byteFallback: values.byteFallback,
    normalization: values.normalization,
    splitDigits: values.splitDigits,
    splitByNumber: !values.noSplitByNumber,
    splitByUnicodeScript: !values.noSplitByScript,
    splitByWhitespace: !values.noSplitByWhitespace,
    allowWhitespaceOnlyPieces: values.whitespacePieces,
    addDummyPrefix: !values.noDummyPrefix,
    removeExtraWhitespaces: !values.keepWhitespace,
    userDefinedSymbols: values.userDefinedSymbols,
    controlSymbols: values.controlSymbols,
    requiredChars: values.requiredChars,
    unkId: values.unkId,
    bosId: values.bosId,
    eosId: values.eosId,
    padId: values.padId,
    maxSentenceLength: values.maxSentenceLength,
    seedSize: values.seedSize,
    shrinkingFactor: values.shrinkingFactor,
    subIterations: values.subIterations,
  };
}

/** How far reading is, the files know. */
function done({ stage, done }: TrainProgress, { readBytes, totalBytes }: InputFiles): number | undefined {
  if (stage !== "reading" || done !== undefined) return done;
  return totalBytes ? readBytes / totalBytes : undefined;
}

function report(name: string, vocabSize: number, { tooLong, reserved }: SkippedLines): string {
  const lines = [`${name}: ${vocabSize} tokens`];
  if (tooLong > 0) lines.push(`left out ${tooLong} lines longer than --max-sentence-length`);
  if (reserved > 0) lines.push(`left out ${reserved} lines that hold U+2585, which is reserved`);
  return lines.map((text) => `${text}\n`).join("");
}
