// Options of `Llama.load`, and what is checked of them before a file is opened.

import { dotForms } from "../kernels/tune/dot_form.ts";
import { splatCodes } from "../kernels/tune/splats.ts";
import { streamChoices } from "../kernels/tune/streams.ts";
import { MAX_THREADS, type StepKind, stepKinds } from "../kernels/tune/thread_tuner.ts";
import type { TuneOptions } from "../kernels/tune/tuner.ts";
import { type Variant, variants, variantWorks } from "../kernels/variant.ts";
import type { KvType, Precision } from "../model/config.ts";
import { type GeluForm, geluForms } from "../model/gelu.ts";
import type { RopeScalingOptions } from "../model/scaled_model.ts";
import { kvTypes } from "../quant/kv_types.ts";
import { precisions } from "../quant/registry.ts";
import {
  checkSourceOptions,
  refuse,
  type SourceLike,
  type SourceOptions,
  sourceNames,
} from "../source/options.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import {
  checkFunction,
  checkOptionNames,
  checkOptions,
  checkSignal,
  type OptionNames,
} from "../util/options.ts";
import { checkRopeScaling } from "./rope_option.ts";

export type { RopeScalingOptions } from "../model/scaled_model.ts";
export { geluForms };

/** How far loading has come. No number of it is ever NaN or infinite. */
export interface LoadProgress {
  /** Bytes of weights that are in place. */
  readonly loadedBytes: number;
  /** Bytes of all weights; 0 before the header was read. */
  readonly totalBytes: number;
  /** If the file comes over the network: its bytes that came, and all of them if the server said. */
  readonly download?: { readonly receivedBytes: number; readonly totalBytes: number | undefined };
  /**
   * What part is done, 0 to 1, and never less than in an earlier report: of the download if its size is known, else
   * of the weights. Undefined while neither size is known.
   */
  readonly fraction?: number | undefined;
  /** Bytes per second, over the last seconds. Undefined until enough was measured. */
  readonly bytesPerSecond?: number | undefined;
  /** Milliseconds that are left at this rate; 0 at the end. Undefined while the rate or the size is not known. */
  readonly remainingMs?: number | undefined;
}

/** Options of `Llama.load`. */
export interface LoadOptions extends SourceOptions {
  /**
   * Most threads that compute; how many take part is decided for each kind of step by what is fastest. More than the
   * cores there are (affinity and quotas included) are never started. Default: those cores, or as many threads as the
   * runtime allows; 1 if memory cannot be shared.
   */
  threads?: number;
  /** Positions a sequence may have. Default: the model's own, at most 4096. */
  contextLength?: number;
  /** How positions beyond the model's context are reached, instead of what the file says. Default: as the file says. */
  ropeScaling?: RopeScalingOptions;
  /**
   * The form of GELU, for models that have it: "tanh", which llama.cpp computes and every golden text is made with, or
   * "erf", the exact one, which some models were trained with. Default "tanh".
   */
  gelu?: GeluForm;
  /** Weights in memory. Default: q4 for Q4_0 files, q8 for every other. */
  precision?: Precision;
  /** Keys and values in memory. Default: f32 if precision is f32, f16 otherwise. */
  kv?: KvType;
  /**
   * Most bytes of linear memory; a model that needs more is refused before anything is allocated. Default: the model
   * and 64 sessions with a full context, 256 MiB of sessions at least; if the runtime does not reserve that much,
   * what it gives.
   */
  maxBytes?: number;
  /**
   * Bytes of keys and values that are kept of what is over, so that a prompt which begins alike computes only the rest. They
   * are part of `maxBytes` and make room when sessions need it. No result depends on them. Default: none are kept.
   */
  prefixCache?: number;
  /** Tokenizer file, or a loaded tokenizer, for models that carry none (llama2.c). */
  tokenizer?: SourceLike | Tokenizer;
  /**
   * The chat template, instead of the model's own: its text, or the name of one that the model has ("tool_use").
   * Default: the model's own; of several the one for tools if tools are given.
   */
  chatTemplate?: string;
  /** Called as bytes and weights arrive, at least once at the end. */
  onProgress?: (progress: LoadProgress) => void;
  /** Gives the loading up. */
  signal?: AbortSignal;
  /** URL of dist/worker.js, for pages whose Content-Security-Policy allows no `blob:` workers. */
  workerUrl?: string | URL;
  /** Kernel build, for tests and measurements. Default: the best that the runtime accepts. */
  kernel?: Variant;
  /** Fixes what is otherwise chosen for the machine, for tests and measurements. No choice changes a result. */
  tune?: TuneOptions;
}

const loadNames: OptionNames<LoadOptions> = {
  ...sourceNames,
  threads: true,
  contextLength: true,
  ropeScaling: true,
  gelu: true,
  precision: true,
  kv: true,
  maxBytes: true,
  prefixCache: true,
  tokenizer: true,
  chatTemplate: true,
  onProgress: true,
  signal: true,
  workerUrl: true,
  kernel: true,
  tune: true,
};

const tuneNames: OptionNames<TuneOptions> = { threads: true, dot: true, streams: true, splats: true };

function checkCount(option: string, value: unknown): void {
  if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value > 0)) return;
  refuse(option, value, "a positive integer");
}

function checkChoice(option: string, value: unknown, choices: readonly unknown[]): void {
  if (value === undefined || choices.includes(value)) return;
  refuse(option, value, `one of ${choices.join(", ")}`);
}

function checkTune(tune: LoadOptions["tune"]): void {
  if (tune === undefined) return;
  if (tune === null || typeof tune !== "object") refuse("tune", tune, "an object");
  checkOptions("load", tune, tuneNames);
  checkChoice("tune.dot", tune.dot, Object.keys(dotForms));
  checkChoice("tune.streams", tune.streams, streamChoices);
  checkChoice("tune.splats", tune.splats, Object.keys(splatCodes));
  const { threads } = tune;
  if (threads === undefined) return;
  const byKind = typeof threads === "object" && threads !== null;
  if (byKind) checkOptionNames("load", threads, stepKinds);
  const counts = byKind ? threads : { all: threads };
  for (const [kind, n] of Object.entries(counts) as [StepKind | "all", unknown][]) {
    const name = kind === "all" ? "tune.threads" : `tune.threads.${kind}`;
    checkCount(name, n);
    if (n !== undefined && (n as number) > MAX_THREADS) refuse(name, n, `at most ${MAX_THREADS}`);
  }
}

/**
 * Checks the options of `Llama.load` that need no model to be checked.
 * @throws UsageError for an unknown option, and for a value, naming the option, what it may be and what it is
 */
export function checkLoadOptions(options: LoadOptions): void {
  checkOptions("load", options, loadNames);
  checkFunction("load", "onProgress", options.onProgress);
  checkSignal("load", options.signal);
  checkCount("threads", options.threads);
  checkCount("contextLength", options.contextLength);
  checkCount("maxBytes", options.maxBytes);
  checkCount("prefixCache", options.prefixCache);
  checkChoice("precision", options.precision, precisions);
  checkChoice("gelu", options.gelu, geluForms);
  checkChoice("kv", options.kv, kvTypes);
  checkChoice("kernel", options.kernel, variants);
  checkRopeScaling(options.ropeScaling);
  checkTune(options.tune);
  checkSourceOptions(options);
  const { kernel, workerUrl, tokenizer, chatTemplate } = options;
  if (chatTemplate !== undefined && (typeof chatTemplate !== "string" || chatTemplate === "")) {
    refuse("chatTemplate", chatTemplate, "a template's text or name");
  }
  if (workerUrl !== undefined && typeof workerUrl !== "string" && !(workerUrl instanceof URL)) {
    refuse("workerUrl", workerUrl, "a URL");
  }
  if (tokenizer === null) refuse("tokenizer", tokenizer, "a tokenizer file");
  if (kernel !== undefined && !variantWorks(kernel)) {
    refuse("kernel", kernel, "a build that this runtime accepts");
  }
}
