// The flags of commands that generate: one for each parameter that a sampler has, and what ends a text.
import type { SamplingOptions } from "../../mod.ts";
import { samplingParams } from "../../sample/registry.ts";
import { type Flag, type FlagValues, listFlag, numberFlag, parsedFlag, switchFlag } from "./args.ts";

/** One flag for each parameter that a sampler has. */
export const samplingFlags = Object.fromEntries(
  samplingParams.map((param) => {
    const { key, flag, valueName, aliases = [] } = param;
    if (param.kind === "value") return [key, parsedFlag(flag, valueName, param.help, param, { aliases })];
    const help = `${param.help} (default: ${param.default ?? "random"})`;
    return [key, numberFlag(flag, valueName, help, param, { aliases })];
  }),
) as { readonly [K in keyof Required<SamplingOptions>]: Flag<Required<SamplingOptions>[K]> };

/** What ends a text. */
export const endFlags = {
  stop: listFlag("--stop", "TEXT", "text that ends the generation; may be given several times", {
    aliases: ["-r"],
  }),
  ignoreEos: switchFlag("--ignore-eos", "go on after an end-of-text token"),
};

/** The flag that limits a text. @param fallback what the help says of its default */
export function maxTokensFlag(fallback: string): Flag<number> {
  return numberFlag(
    "--max-tokens",
    "N",
    `most tokens to generate (default: ${fallback})`,
    { integer: true, min: 0, max: Number.MAX_SAFE_INTEGER },
    { aliases: ["-n", "--predict", "--n-predict"] },
  );
}

/** The samplers' options that flags stand for. */
export function samplingOf(values: FlagValues<typeof samplingFlags>): SamplingOptions {
  const keys = Object.keys(samplingFlags) as (keyof SamplingOptions)[];
  return Object.fromEntries(keys.map((key) => [key, values[key]]));
}
