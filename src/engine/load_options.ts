import { variants, variantWorks } from "../kernels/variant.ts";
import { kvTypeCodes } from "../model/plan.ts";
import { weightFormats } from "../quant/registry.ts";
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
  checkSourceOptions(options);
  const { kernel } = options;
  if (kernel !== undefined && !variantWorks(kernel)) {
    refuse("kernel", kernel, "a build that this runtime accepts");
  }
}
