// What a model's configuration says of its rotation.
import type { ModelConfig, RopeScalingKind } from "./config.ts";
import type { RopeSpec } from "./rope.ts";

/** The part of a configuration that describes a rotation. */
export type RopeConfig = Pick<
  ModelConfig,
  "ropeTheta" | "ropeScale" | Extract<keyof ModelConfig, `rope${string}` | `yarn${string}`>
>;

/**
 * The configuration of a rotation.
 * @param otherwise its scaling if the rotation does not show it
 */
export function ropeConfig(
  rope: Omit<RopeSpec, "pairing">,
  otherwise: RopeScalingKind | undefined,
): RopeConfig {
  const { theta, scale, yarn, dynamic, growth, factors } = rope;
  const long = typeof factors === "object" ? factors : undefined;
  const kind = yarn ? "yarn" : long ? "longrope" : dynamic ? "dynamic" : scale > 1 ? "linear" : otherwise;
  return {
    ropeTheta: theta,
    ropeScale: scale,
    ...(kind && { ropeScaling: kind }),
    ...((long ?? dynamic) && { ropeContext: (long ?? dynamic)?.context as number }),
    ...(dynamic && { ropeFactor: dynamic.factor }),
    ...(growth !== undefined && { ropeGrowth: growth }),
    ...(yarn && {
      yarnContext: yarn.context,
      yarnFast: yarn.fast,
      yarnSlow: yarn.slow,
      yarnLogMultiplier: yarn.logMultiplier,
      ...(yarn.extrapolation !== undefined && { yarnExtrapolation: yarn.extrapolation }),
      ...(yarn.fractional && { yarnFractional: 1 }),
    }),
  };
}
