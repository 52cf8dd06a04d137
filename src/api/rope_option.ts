// Checks the `ropeScaling` option of loading, as far as no model is needed for it.
import { MAX_CONTEXT } from "../model/config.ts";
import { type RopeScalingOptions, ropeScalingTypes } from "../model/scaled_model.ts";
import { refuse } from "../source/options.ts";
import { checkOptions, type OptionNames } from "../util/options.ts";

const names: OptionNames<RopeScalingOptions> = {
  type: true,
  factor: true,
  originalContextLength: true,
  attentionFactor: true,
  betaFast: true,
  betaSlow: true,
};

export { ropeScalingTypes };

/** Least and most of each number. */
const ranges = {
  factor: [1, MAX_CONTEXT],
  originalContextLength: [1, MAX_CONTEXT],
  attentionFactor: [2 ** -10, 2 ** 10],
  betaFast: [2 ** -20, 2 ** 20],
  betaSlow: [2 ** -20, 2 ** 20],
} as const;

const yarnOnly: readonly string[] = ["attentionFactor", "betaFast", "betaSlow"];

/** @throws UsageError for an unknown name, and for a value, naming the option, what it may be and what it is */
export function checkRopeScaling(options: RopeScalingOptions | undefined): void {
  if (options === undefined) return;
  if (options === null || typeof options !== "object") refuse("ropeScaling", options, "an object");
  checkOptions("load with ropeScaling", options, names);
  const { type } = options;
  if (!ropeScalingTypes.includes(type)) {
    refuse("ropeScaling.type", type, `one of ${ropeScalingTypes.join(", ")}`);
  }
  for (const [key, [least, most]] of Object.entries(ranges)) {
    const value = options[key as keyof typeof ranges];
    if (value === undefined) continue;
    const name = `ropeScaling.${key}`;
    if (type === "none" && key === "factor") refuse(name, value, "none with type none");
    if (type !== "yarn" && yarnOnly.includes(key))
      refuse(name, value, `none with type ${type}; it is yarn's`);
    const whole = key === "originalContextLength";
    const fits = typeof value === "number" && value >= least && value <= most;
    if (fits && (!whole || Number.isInteger(value))) continue;
    refuse(name, value, `${whole ? "an integer" : "a number"} in [${least}, ${most}]`);
  }
}
