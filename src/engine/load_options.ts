import { dotForms } from "../kernels/tune/dot_form.ts";
import { streamChoices } from "../kernels/tune/streams.ts";
import { MAX_THREADS, type StepKind, stepKinds } from "../kernels/tune/thread_tuner.ts";
import { variants, variantWorks } from "../kernels/variant.ts";
import { kvTypeCodes } from "../model/plan.ts";
import { weightFormats } from "../quant/registry.ts";
import {
  checkFunction,
  checkOptionNames,
  checkOptions,
  checkSignal,
  type OptionNames,
} from "../util/options.ts";
import type { LoadOptions, TuneOptions } from "./options.ts";
import { checkSourceOptions, refuse, sourceNames } from "./source_options.ts";

const loadNames: OptionNames<LoadOptions> = {
  ...sourceNames,
  threads: true,
  contextLength: true,
  precision: true,
  kv: true,
  maxBytes: true,
  tokenizer: true,
  onProgress: true,
  signal: true,
  workerUrl: true,
  kernel: true,
  tune: true,
};

const tuneNames: OptionNames<TuneOptions> = { threads: true, dot: true, streams: true };

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
  checkChoice("precision", options.precision, Object.keys(weightFormats));
  checkChoice("kv", options.kv, Object.keys(kvTypeCodes));
  checkChoice("kernel", options.kernel, variants);
  checkTune(options.tune);
  checkSourceOptions(options);
  const { kernel, workerUrl, tokenizer } = options;
  if (workerUrl !== undefined && typeof workerUrl !== "string" && !(workerUrl instanceof URL)) {
    refuse("workerUrl", workerUrl, "a URL");
  }
  if (tokenizer === null) refuse("tokenizer", tokenizer, "a tokenizer file");
  if (kernel !== undefined && !variantWorks(kernel)) {
    refuse("kernel", kernel, "a build that this runtime accepts");
  }
}
