// The flags of commands that load a model, and the loading itself, with its progress on standard error.
import { stat } from "node:fs/promises";
import process from "node:process";
import { geluForms } from "../api/load_options.ts";
import { ropeScalingTypes } from "../api/rope_option.ts";
import { Llama, type RopeScalingOptions } from "../mod.ts";
import { DEFAULT_MODEL, isEmbeddedName } from "../package.ts";
import { kvTypes } from "../quant/kv_types.ts";
import { precisions } from "../quant/registry.ts";
import { SourceError } from "../util/errors.ts";
import { chooseModel } from "./chosen_model.ts";
import {
  ArgumentError,
  bytesFlag,
  choiceFlag,
  type FlagValues,
  numberFlag,
  oneLine,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { decodeText } from "./input/decode_text.ts";
import { readFile } from "./input/text_input.ts";
import { withNameHint } from "./model_name.ts";
import { writeErr } from "./terminal/output.ts";
import { ProgressLine } from "./terminal/progress_line.ts";
import { canRedraw } from "./terminal/terminal.ts";

/** Templates of models are smaller. */
const MAX_TEMPLATE_BYTES = 256 << 10;

/** A number of things, as flags take it. */
export const count = { integer: true, max: Number.MAX_SAFE_INTEGER };

/** Where a model comes from. */
export const modelFlags = {
  model: textFlag(
    "--model",
    "FILE|URL",
    "GGUF or llama2.c model, folder of safetensors, hf:owner/repo/file.gguf or hf:owner/repo:Q4_K_M (default: one that comes with cria)",
    { aliases: ["-m"], isFile: true },
  ),
  sha256: textFlag("--sha256", "HEX", "refuse a model whose SHA-256 is another"),
  noCache: switchFlag("--no-cache", "do not keep what is downloaded for the next time", { option: "cache" }),
  tokenizer: textFlag("--tokenizer", "FILE", "tokenizer, for models that carry none (llama2.c)", {
    isFile: true,
  }),
};

/** What decides the memory that a model takes. */
export const memoryFlags = {
  contextLength: numberFlag(
    "--context",
    "N",
    "tokens of prompt and text (default: the model's, at most 4096)",
    { ...count, min: 1 },
    { aliases: ["-c", "--ctx-size"] },
  ),
  ropeScaling: choiceFlag(
    "--rope-scaling",
    ropeScalingTypes,
    "how positions beyond the model's context are reached, instead of what the file says",
  ),
  ropeScale: numberFlag(
    "--rope-scale",
    "N",
    "by how much --rope-scaling reaches farther (default: what --context needs)",
    { integer: false, min: 1, max: Number.MAX_VALUE },
    { option: "ropeScaling.factor" },
  ),
  gelu: choiceFlag("--gelu", geluForms, "the form of GELU, for models that have it (default: tanh)"),
  precision: choiceFlag("--precision", precisions, "weights in memory (default: as the file has them)"),
  kv: choiceFlag("--kv", kvTypes, "keys and values in memory (default: f16, or f32 with f32 weights)"),
  memory: bytesFlag("--memory", "refuse a model that needs more: 512M, 2G, ...", { option: "maxBytes" }),
};

/** How a model computes. */
export const computeFlags = {
  threads: numberFlag("--threads", "N", "threads that compute", { ...count, min: 1 }, { aliases: ["-t"] }),
  ...memoryFlags,
};

/** What makes prompts of messages. */
export const templateFlags = {
  chatTemplate: textFlag(
    "--chat-template",
    "FILE|NAME",
    "chat template instead of the model's: a file, or the name of another one that the model has",
    { isFile: true },
  ),
};

/** Values of {@link modelFlags} and {@link computeFlags}. */
export type ModelValues = FlagValues<typeof modelFlags & typeof computeFlags> &
  Partial<FlagValues<typeof templateFlags>> & { readonly prefixCache?: number };

/** A loaded model. */
export interface LoadedModel {
  readonly llama: Llama;
  /** The file that was chosen of a repository. */
  readonly chosen: string | undefined;
}

/**
 * The scaling of positions that flags ask for.
 * @throws ArgumentError for a factor of none
 */
export function ropeScalingOf({
  ropeScaling: type,
  ropeScale: factor,
}: FlagValues<typeof memoryFlags>): RopeScalingOptions | undefined {
  if (type !== undefined) return { type, ...(factor !== undefined && { factor }) };
  if (factor === undefined) return undefined;
  throw new ArgumentError(`Cannot read --rope-scale: Expected --rope-scaling beside it, got none`);
}

/**
 * The text of the template in a file; a name if it is no file.
 * @throws SourceError if the file cannot be read or has no template
 */
async function chatTemplateOf(given: string): Promise<string> {
  const found = await stat(given).catch(() => undefined);
  if (!found && /^[\w-]+$/.test(given)) return given;
  if (found?.isDirectory())
    throw noTemplate(given, "a folder; name a file in it, such as chat_template.jinja");
  const text = decodeText(await readFile(given, MAX_TEMPLATE_BYTES), given);
  if (text.trim() === "") throw noTemplate(given, "an empty file");
  if (!text.includes("{")) throw noTemplate(given, "a text without a tag such as {{ messages }}");
  return text;
}

function noTemplate(given: string, got: string): SourceError {
  return new SourceError(
    `Cannot read --chat-template ${oneLine(given)}: Expected a file with a template in Jinja, got ${got}`,
  );
}

/**
 * Loads the model that the flags name. Its warnings are printed, and how far it is.
 * @param isQuiet whether standard error is to hold something else, and nothing of this
 * @param fallback the model that is loaded if the flags name none
 * @throws what `Llama.load` throws, with a hint for the name of a file that is not there
 */
export async function loadModel(
  values: ModelValues,
  signal: AbortSignal,
  isQuiet: boolean,
  fallback: string = DEFAULT_MODEL,
): Promise<LoadedModel> {
  const { tokenizer, sha256, noCache = false, threads, contextLength, gelu, precision, kv, memory } = values;
  const ropeScaling = ropeScalingOf(values);
  const given = values.chatTemplate;
  const chatTemplate = given === undefined ? undefined : await chatTemplateOf(given);
  const chosen = await chooseModel(values.model, { cache: !noCache, maxBytes: memory, signal }).catch(
    async (error) => {
      throw await withNameHint(error, values.model);
    },
  );
  if (chosen && !isQuiet) await writeErr(`model: ${chosen.text}\n`);
  const model = chosen?.name ?? values.model ?? fallback;
  const isEmbedded = isEmbeddedName(model);
  // An embedded model is loaded in a moment: a log needs no line for it.
  const isLogged = canRedraw(process.stderr) || !(isEmbedded || isQuiet);
  const title = `loading ${isEmbedded ? "the embedded model" : model.split(/[\\/](?!$)/).at(-1)}`;
  const line = isLogged ? new ProgressLine(process.stderr, title) : undefined;
  try {
    const llama = await Llama.load(model, {
      tokenizer,
      chatTemplate,
      sha256,
      cache: !noCache,
      threads,
      contextLength,
      ropeScaling,
      gelu,
      precision,
      kv,
      maxBytes: memory,
      prefixCache: values.prefixCache,
      onProgress: (progress) => line?.update(progress),
      signal,
    });
    line?.clear();
    if (!isQuiet) for (const text of llama.warnings) await writeErr(`warning: ${oneLine(text)}\n`);
    return { llama, chosen: chosen?.name };
  } catch (error) {
    throw await withNameHint(await withNameHint(error, model), tokenizer);
  } finally {
    line?.clear();
  }
}
