// Reads what a file's model is: its architecture, hyper-parameters and layers.
import type { ModelFile } from "../format/model_file.ts";
import { architectureOf, architectures } from "./arch/registry.ts";
import type { Architecture, Model } from "./arch/spec.ts";
import type { ModelConfig } from "./config.ts";
import { checkWholeModel } from "./whole_model.ts";

/**
 * The model of a file, checked.
 * @param known architectures to choose from; others than the registry's are for tests
 * @throws FormatError if a hyper-parameter is missing, of the wrong type, out of its interval or contradicts another;
 *   UnsupportedError for parts of models, other architectures, mixtures of experts, rope scalings and keys than are
 *   implemented
 */
export function readModel(file: ModelFile, known: readonly Architecture[] = architectures): Model {
  checkWholeModel(file);
  const architecture = architectureOf(file, known);
  const hyper = architecture.hyper(file);
  const { config } = hyper;
  return {
    architecture,
    config,
    embedScale: architecture.embedScale?.(hyper) ?? 1,
    positions: architecture.positions ?? false,
    outputBias: architecture.outputBias,
    logitScale: architecture.logitScale?.(hyper) ?? 1,
    logitCap: architecture.logitCap?.(hyper),
    layers: Array.from({ length: config.nLayers }, (_, i) => architecture.layer(i, hyper)),
    outputNorm: architecture.outputNorm(hyper),
    trainedContext: hyper.trainedContext ?? config.contextLength,
  };
}

/** Hyper-parameters of a model file, translated and checked. @throws as {@link readModel} */
export function readConfig(file: ModelFile): ModelConfig {
  return readModel(file).config;
}
