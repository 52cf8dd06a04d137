// Where the package lies, and the model that comes with it.
import { SourceError } from "./util/errors.ts";

/** What the package carries besides code. This file and the bundles in dist/ lie equally deep. */
const EMBEDDED_MODEL = "../models/tales/tales-q4_k_s.gguf";

// `import.meta.url`, of which some bundle formats and workerd have none.
const here: string | undefined = import.meta.url;

/**
 * The URL of the small model that comes with cria, beside the code on disk or where it was imported from.
 * Bundlers leave it behind: they must not see a file here, or each page would carry megabytes it may not need.
 * @throws SourceError if the code does not know where it is
 */
export function embeddedModelUrl(): URL {
  try {
    return new URL(EMBEDDED_MODEL, here);
  } catch (cause) {
    throw missingModel("this code does not know where it lies", cause);
  }
}

/** Says how to do without the embedded model if it cannot be had. */
export function missingModel(reason: string, cause: unknown): SourceError {
  return new SourceError(
    `Cannot load the model that comes with cria: ${reason}; it lies in models/ beside the package's dist/, ` +
      "and bundles are without it: name a model, a path or URL for instance",
    { cause },
  );
}
