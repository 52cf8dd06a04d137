// GELU in the form that a caller asks for: its tanh form, which llama.cpp computes, or the exact one.
import { UsageError } from "../util/errors.ts";
import type { LayerSpec, Model } from "./arch/spec.ts";

/** The forms of GELU: x Phi(x) by a formula with tanh, or with erf, exactly (Hendrycks and Gimpel 2016, arXiv:1606.08415). */
export const geluForms = ["tanh", "erf"] as const;

/** One of {@link geluForms}. */
export type GeluForm = (typeof geluForms)[number];

/**
 * The model with GELU in this form.
 * @param name of the file, for errors
 * @throws UsageError if it has no GELU
 */
export function withGelu(model: Model, name: string, form: GeluForm | undefined): Model {
  if (form === undefined) return model;
  if (!model.layers.some(hasGelu)) {
    throw new UsageError(
      `Cannot load ${name} with gelu ${form}: Expected a model with GELU, got architecture ${model.config.architecture}; leave gelu out`,
    );
  }
  if (form === "tanh") return model;
  const layers = model.layers.map((layer) =>
    hasGelu(layer) ? { ...layer, feedForward: { ...layer.feedForward, act: "gelu erf" as const } } : layer,
  );
  return { ...model, layers, config: { ...model.config, gelu: form } };
}

function hasGelu({ feedForward }: LayerSpec): boolean {
  return feedForward.act === "gelu";
}
