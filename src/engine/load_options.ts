import { MAX_THREADS, type StepKind, stepKinds } from "../kernels/tune.ts";
import { variants, variantWorks } from "../kernels/variant.ts";
import { kvTypeCodes } from "../model/plan.ts";
import { weightFormats } from "../quant/registry.ts";
import { checkOptionNames } from "../util/options.ts";
import type { LoadOptions } from "./options.ts";
import { checkSourceOptions, refuse } from "./source_options.ts";

function checkCount(option: string, value: unknown): void {
  if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value > 0)) return;
  refuse(option, value, "a positive integer");
}

function checkChoice(option: string, value: unknown, choices: readonly string[]): void {
  if (value === undefined || (typeof value === "string" && choices.includes(value))) return;
  refuse(option, value, `one of ${choices.join(", ")}`);
}

function checkTune(tune: LoadOptions["tune"]): void {
  if (tune === undefined) return;
  if (tune === null || typeof tune !== "object") refuse("tune", tune, "an object");
  checkOptionNames("load a model", tune, ["threads"]);
  const { threads } = tune;
  if (threads === undefined) return;
  const byKind = typeof threads === "object" && threads !== null;
  if (byKind) checkOptionNames("load a model", threads, stepKinds);
  const counts = byKind ? threads : { all: threads };
  for (const [kind, n] of Object.entries(counts) as [StepKind | "all", unknown][]) {
    const name = kind === "all" ? "tune.threads" : `tune.threads.${kind}`;
    checkCount(name, n);
    if (n !== undefined && (n as number) > MAX_THREADS) refuse(name, n, `at most ${MAX_THREADS}`);
  }
}

/**
 * Checks the options of `Llama.load` that need no model to be checked.
 * @throws UsageError naming the option, what it may be and what it is
 */
export function checkLoadOptions(options: LoadOptions): void {
  checkCount("threads", options.threads);
  checkCount("contextLength", options.contextLength);
  checkCount("maxBytes", options.maxBytes);
  checkChoice("precision", options.precision, Object.keys(weightFormats));
  checkChoice("kv", options.kv, Object.keys(kvTypeCodes));
  checkChoice("kernel", options.kernel, variants);
  checkTune(options.tune);
  checkSourceOptions(options);
  const { kernel } = options;
  if (kernel !== undefined && !variantWorks(kernel)) {
    refuse("kernel", kernel, "a build that this runtime accepts");
  }
}
