// The context that a model is loaded with, and the scaling of its positions: the file's own, or one that the caller asks for.
import { UsageError } from "../util/errors.ts";
import { ntkTheta } from "../util/ntk.ts";
import type { LayerSpec, Model } from "./arch/spec.ts";
import { MAX_CONTEXT, type ModelConfig } from "./config.ts";
import { type GeluForm, withGelu } from "./gelu.ts";
import type { DynamicSpec, RopeSpec } from "./rope.ts";
import { type RopeConfig, ropeConfig } from "./rope_config.ts";

/** Context if neither the caller nor the model asks for less. */
const DEFAULT_CONTEXT = 4096;

/** The scalings of positions that can be asked for. */
export const ropeScalingTypes = ["none", "linear", "ntk", "dynamic", "yarn"] as const;

/**
 * A scaling of rotary positions that is asked for. It takes the place of the file's own as a whole: factors that the file
 * has as a tensor (Llama 3.1) stay, and layers with a sliding window keep theirs, as nothing there is farther away.
 */
export interface RopeScalingOptions {
  /**
   * "none": positions as they are, also if the file scales them or if `contextLength` is beyond the model's. "linear":
   * positions are divided by the factor. "ntk": the base of the frequencies is raised, so that the slowest pair turns
   * that much more slowly. "dynamic": the same, by as much as the context of the load needs. "yarn": slow pairs only are
   * divided.
   */
  type: (typeof ropeScalingTypes)[number];
  /** How many times as many positions are reached, at least 1. Default: as many as `contextLength` needs. */
  factor?: number;
  /** Positions that the model was trained for. Default: what the file says. */
  originalContextLength?: number;
  /** yarn: what cosines and sines are multiplied by. Default: 1 + 0.1 ln(factor). */
  attentionFactor?: number;
  /** yarn: pairs that turn more often than this in the trained context are not scaled. Default 32. */
  betaFast?: number;
  /** yarn: pairs that turn less often than this are scaled in full. Default 1. */
  betaSlow?: number;
}

/** What decides the scaling and the context of a model, and its form of GELU, besides its file. */
export interface ContextOptions {
  readonly gelu?: GeluForm | undefined;
  readonly contextLength?: number | undefined;
  readonly ropeScaling?: RopeScalingOptions | undefined;
}

/** A model whose rotations are known, and the context that it is loaded with. */
export interface ScaledModel {
  readonly model: Model;
  readonly contextLength: number;
}

/**
 * The model as it is loaded. What depends on the context (dynamic scaling) is computed for the context of the load and
 * never again: keys in the cache were turned by the frequencies of before, and bits must not depend on how a text came
 * to its length.
 * @param name of the file, for errors
 * @throws UsageError for a context that is not reached, and for a scaling or a form of GELU that the model cannot have
 */
export function scaledModel(read: Model, name: string, options: ContextOptions): ScaledModel {
  const { ropeScaling, contextLength: asked, gelu } = options;
  const model = withGelu(read, name, gelu);
  if (ropeScaling) return requested(model, name, ropeScaling, asked);
  const { config, layers } = model;
  const dynamic = layers.flatMap(({ attention }) => attention.rope?.dynamic ?? [])[0];
  const own = config.contextLength;
  const most = dynamic ? reached(dynamic.context, dynamic.factor) : own;
  // A file may state a context that its own scaling does not reach.
  const contextLength = asked ?? Math.min(own, most, DEFAULT_CONTEXT);
  if (contextLength > most) {
    throw new UsageError(
      `Cannot load with contextLength ${asked}: Expected at most ${most} (the model's context); ropeScaling reaches beyond it`,
    );
  }
  if (!dynamic) return { model, contextLength };
  const resolve = (rope: RopeSpec) => (rope.dynamic ? resolved(rope, rope.dynamic, contextLength) : rope);
  return { model: withRopes(model, () => true, resolve, {}), contextLength };
}

function requested(
  model: Model,
  name: string,
  request: RopeScalingOptions,
  asked: number | undefined,
): ScaledModel {
  const { type } = request;
  const scales = checkRotations(model, name, type);
  const trained = trainedContext(model, request);
  const factor = factorOf(request, trained, asked);
  // Without a scaling nothing says how far is too far.
  const most =
    type === "none"
      ? MAX_CONTEXT
      : request.factor === undefined
        ? Math.max(trained, asked ?? 0)
        : reached(trained, factor);
  const contextLength = asked ?? Math.min(type === "none" ? trained : most, DEFAULT_CONTEXT);
  if (contextLength > Math.min(most, MAX_CONTEXT)) {
    const why = most >= MAX_CONTEXT ? "" : ` (the model's ${trained}, and ropeScaling.factor ${factor})`;
    throw new UsageError(
      `Cannot load with contextLength ${asked}: Expected at most ${Math.min(most, MAX_CONTEXT)}${why}`,
    );
  }
  const scale = (rope: RopeSpec) => scaledRope(rope, request, { factor, context: trained }, contextLength);
  const context = type === "none" ? Math.max(trained, contextLength) : most;
  const scaled = withRopes(model, scales, scale, { contextLength: context });
  const { ropeScaling: _, ...plain } = scaled.config;
  const isLlama3 = model.config.ropeScaling === "llama3";
  const kind = type !== "none" ? type : isLlama3 ? "llama3" : undefined;
  return { model: { ...scaled, config: kind ? { ...plain, ropeScaling: kind } : plain }, contextLength };
}

// Which layers are scaled.
function checkRotations(model: Model, name: string, type: string): (layer: LayerSpec) => boolean {
  const start = `Cannot load ${name} with ropeScaling ${type}: Expected`;
  const rotating = model.layers.filter(({ attention }) => attention.rope);
  if (rotating.length === 0) {
    throw new UsageError(
      `${start} a model with rotary positions, got architecture ${model.config.architecture}`,
    );
  }
  if (rotating.some(({ attention }) => typeof attention.rope?.factors === "object")) {
    throw new UsageError(
      `${start} a model without factors of its own (${model.architecture.tensors("longFactors.weight", 0)}); leave ropeScaling out: they are its scaling`,
    );
  }
  if (type === "yarn" && rotating.some(({ attention }) => attention.rope?.theta === 1)) {
    throw new UsageError(`${start} a model whose rotary base is more than 1, got 1`);
  }
  const all = rotating.every(({ attention }) => attention.window !== undefined);
  return ({ attention }) => all || attention.window === undefined;
}

function trainedContext(model: Model, { originalContextLength: stated }: RopeScalingOptions): number {
  const most = model.config.contextLength;
  if (stated === undefined) return Math.min(model.trainedContext, most);
  if (stated <= most) return stated;
  throw new UsageError(
    `Cannot load with ropeScaling.originalContextLength ${stated}: Expected at most ${most} (the model's context)`,
  );
}

function factorOf({ type, factor }: RopeScalingOptions, trained: number, asked: number | undefined): number {
  if (factor !== undefined || type === "none") return factor ?? 1;
  if (asked !== undefined) return Math.max(1, asked / trained);
  throw new UsageError(
    `Cannot load with ropeScaling ${type}: Expected ropeScaling.factor or contextLength to say how far it reaches, got neither`,
  );
}

function reached(context: number, factor: number): number {
  return Math.min(MAX_CONTEXT, Math.floor(context * factor));
}

function scaledRope(
  { pairing, dim, theta, factors }: RopeSpec,
  request: RopeScalingOptions,
  by: DynamicSpec,
  contextLength: number,
): RopeSpec {
  const plain = { pairing, dim, theta, scale: 1, ...(factors && { factors }) };
  const { factor, context } = by;
  switch (request.type) {
    case "none":
      return plain;
    case "linear":
      return { ...plain, scale: factor };
    case "ntk":
      return { ...plain, theta: ntkTheta(theta, dim, factor) };
    case "dynamic":
      return resolved(plain, by, contextLength);
    case "yarn": {
      const { betaFast: fast = 32, betaSlow: slow = 1, attentionFactor: growth } = request;
      // With a multiplier of 1 all of YaRN's own growth is taken off.
      const yarn = { context, fast, slow, logMultiplier: growth === undefined ? 0 : 1 };
      return { ...plain, scale: factor, yarn, ...(growth !== undefined && { growth }) };
    }
  }
}

// The rotation for a context that is known.
function resolved(rope: RopeSpec, dynamic: DynamicSpec, contextLength: number): RopeSpec {
  const { factor, context } = dynamic;
  const longer = (factor * Math.max(contextLength, context)) / context - (factor - 1);
  return { ...rope, theta: ntkTheta(rope.theta, rope.dim, longer), dynamic };
}

// What a configuration says of a rotation, behind its base.
const RENEWED: Readonly<Record<Exclude<keyof RopeConfig, "ropeTheta">, true>> = {
  ...{ ropeScale: true, ropeScaling: true, ropeContext: true, ropeFactor: true, ropeGrowth: true },
  ...{ yarnContext: true, yarnFast: true, yarnSlow: true, yarnLogMultiplier: true },
  ...{ yarnExtrapolation: true, yarnFractional: true },
};

// The model with other rotations in some of its layers, and with what its configuration says of the first of them.
function withRopes(
  model: Model,
  isChanged: (layer: LayerSpec) => boolean,
  change: (rope: RopeSpec) => RopeSpec,
  more: Partial<ModelConfig>,
): Model {
  let first: RopeSpec | undefined;
  const layers = model.layers.map((layer) => {
    const { rope } = layer.attention;
    if (!rope || !isChanged(layer)) return layer;
    const changed = change(rope);
    first ??= changed;
    return { ...layer, attention: { ...layer.attention, rope: changed } };
  });
  const rotation = Object.entries(first ? ropeConfig(first, undefined) : {});
  // In the place of the old one.
  const entries = Object.entries(model.config).flatMap(([key, value]) =>
    key === "ropeTheta" ? rotation : key in RENEWED ? [] : [[key, value] as const],
  );
  return { ...model, layers, config: { ...(Object.fromEntries(entries) as typeof model.config), ...more } };
}
