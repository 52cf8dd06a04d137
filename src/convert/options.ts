// Options of quantize() and convert(), and what they report.
import { checkSourceOptions, type SourceOptions, sourceNames } from "../source/options.ts";
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import { didYouMean } from "../util/nearest.ts";
import {
  checkBoolean,
  checkFunction,
  checkOptions,
  checkSignal,
  type OptionNames,
  wrongOption,
} from "../util/options.ts";
import { type QuantizeType, quantizeTypes } from "./file_kinds.ts";

/** How far writing is. */
export interface ConvertProgress {
  /** Bytes of the input that were read, and all that will be. */
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** The tensor that is written. */
  readonly tensor: string;
}

/** What quantize() and convert() have in common. */
interface WritingOptions extends SourceOptions {
  /**
   * Also quantize what was quantized to less than 8 bits before, although it loses twice. Default: false.
   */
  readonly allowRequantize?: boolean | undefined;
  /** Threads that quantize, at most. Default: the cores of the machine. */
  readonly threads?: number | undefined;
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link quantize}. */
export interface QuantizeOptions extends WritingOptions {
  readonly type: QuantizeType;
}

/** Options of {@link convert}. */
export interface ConvertOptions extends WritingOptions {
  /** Default: each tensor keeps its type. */
  readonly type?: QuantizeType | undefined;
  /** Fewer heads of keys and values, each the mean of some that the model has: MHA becomes GQA or MQA. */
  readonly kvHeads?: number | undefined;
}

/** What was written. */
export interface WrittenModel {
  /** Bytes of the file. */
  readonly bytes: number;
  /** Values of all tensors. */
  readonly parameters: number;
  /** Bits of a value, on average over all tensors. */
  readonly bitsPerWeight: number;
  /** How many tensors have which type. */
  readonly types: Readonly<Record<string, number>>;
}

const writingNames: OptionNames<WritingOptions> = {
  ...sourceNames,
  ...{ allowRequantize: true, threads: true, onProgress: true, signal: true },
};
const quantizeNames: OptionNames<QuantizeOptions> = { ...writingNames, type: true };
const convertNames: OptionNames<ConvertOptions> = { ...quantizeNames, kvHeads: true };

/** @throws UsageError naming an option, what it may be and what it is */
export function checkQuantizeOptions(options: QuantizeOptions): void {
  checkOptions("quantize", options, quantizeNames);
  checkWriting("quantize", options);
  checkType("quantize", options.type);
}

/** @throws UsageError naming an option, what it may be and what it is */
export function checkConvertOptions(options: ConvertOptions): void {
  checkOptions("convert", options, convertNames);
  checkWriting("convert", options);
  const { type, kvHeads } = options;
  if (type !== undefined) checkType("convert", type);
  if (kvHeads !== undefined) checkCount("convert", "kvHeads", kvHeads);
}

function checkWriting(action: string, options: WritingOptions): void {
  const { allowRequantize, threads, onProgress, signal } = options;
  checkSourceOptions(options);
  checkBoolean(action, "allowRequantize", allowRequantize);
  if (threads !== undefined) checkCount(action, "threads", threads);
  checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  signal?.throwIfAborted();
}

function checkType(action: string, type: unknown): void {
  if (quantizeTypes.includes(type as QuantizeType)) return;
  const near = typeof type === "string" ? didYouMean(type, quantizeTypes) : "";
  throw new UsageError(
    `Cannot ${action} to type ${describeValue(type)}: Expected one of ${quantizeTypes.join(", ")}${near}`,
  );
}

function checkCount(action: string, name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw wrongOption(action, name, "an integer from 1", value);
  }
}
