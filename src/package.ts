// Where the package lies, and the models that come with it.
import { quoted } from "./util/bytes.ts";
import { SourceError, UsageError } from "./util/errors.ts";

/** What the package carries besides code. This file and the bundles in dist/ lie equally deep. */
const models: Readonly<Record<string, string>> = {
  tales: "../models/tales/tales-q4_k_s.gguf",
  "tales-chat": "../models/tales-chat/tales-chat-q8_0.gguf",
};

/** The name of the model that continues stories, which is loaded if none is named. */
export const DEFAULT_MODEL = "cria:tales";
/** The name of the model that talks. */
export const CHAT_MODEL = "cria:tales-chat";

/** The names of all models that come with cria. */
export const embeddedNames: readonly string[] = Object.keys(models).map((name) => `cria:${name}`);

// `import.meta.url`, of which some bundle formats and workerd have none.
const here: string | undefined = import.meta.url;

/** Whether a text is the name of a model that comes with cria. */
export function isEmbeddedName(text: string): boolean {
  return /^cria:/i.test(text);
}

/**
 * The URL of a small model that comes with cria ("cria:tales"), beside the code on disk or where it was imported from.
 * Bundlers leave it behind: they must not see a file here, or each page would carry megabytes it may not need.
 * @throws UsageError for a name that no model has; SourceError if the code does not know where it is
 */
export function embeddedModelUrl(name: string = DEFAULT_MODEL): URL {
  const own = name.replace(/^cria:/i, "");
  if (!Object.hasOwn(models, own)) {
    throw new UsageError(`Cannot open ${quoted(name)}: Expected ${embeddedNames.join(" or ")}`);
  }
  try {
    return new URL(models[own] as string, here);
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
