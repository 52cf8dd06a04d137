// quantize() and convert(): a GGUF file of another type, of safetensors, or with fewer heads.
import type { ModelFile } from "../format/model_file.ts";
import type { ModelSource } from "../format/open_model.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { type OpenedInput, openInput } from "./open_input.ts";
import {
  type ConvertOptions,
  checkConvertOptions,
  checkQuantizeOptions,
  type QuantizeOptions,
  type WrittenModel,
} from "./options.ts";
import { type ModelOutput, openModelOutput } from "./output.ts";
import { planModel } from "./plan_model.ts";
import { type PlannedModel, writeModel } from "./write_model.ts";

/**
 * Writes a GGUF file of another type, as llama.cpp's quantizer does: some matrices get more bits than others, vectors keep
 * their type, keys stay. Tensors of F32, F16, BF16 and Q8_0 are quantized; others only with `allowRequantize`.
 * @param input a GGUF file, or any part of a model in several
 * @param output a path, whose file is replaced once the new one is whole, or a stream
 * @throws UsageError for wrong options, an output that is the input, and tensors that were quantized before
 * @throws FormatError, UnsupportedError, SourceError for the input; SourceError if the output cannot be written
 */
export async function quantize(
  input: ModelSource,
  output: ModelOutput,
  options: QuantizeOptions,
): Promise<WrittenModel> {
  checkQuantizeOptions(options);
  return write(input, output, options);
}

/**
 * Writes a GGUF file of a model: of a folder or repository of safetensors, or of a GGUF file. With `kvHeads` the heads of
 * keys and values become fewer: each is the mean of those that it stands for.
 * Source of that: Ainslie et al. 2023, https://arxiv.org/abs/2305.13245, which then trains on; without, a model loses much.
 * @param input what `Llama.load` takes
 * @param output a path, whose file is replaced once the new one is whole, or a stream
 * @throws as {@link quantize}; UsageError for `kvHeads` that do not divide the model's
 */
export async function convert(
  input: ModelSource,
  output: ModelOutput,
  options: ConvertOptions = {},
): Promise<WrittenModel> {
  checkConvertOptions(options);
  return write(input, output, options);
}

/** Writes all of a model or nothing. */
async function write(
  input: ModelSource,
  output: ModelOutput,
  options: ConvertOptions,
): Promise<WrittenModel> {
  const runtime = detectRuntime();
  const opened = await openInput(input, runtime, options);
  try {
    const { file } = opened;
    const plan = await planModel(opened, options);
    const writer = await openModelOutput(output, inputNames(input, file, plan));
    try {
      const written = await writeModel(writer, plan, runtime, options);
      await opened.model.finish();
      await writer.finish();
      return written;
    } catch (error) {
      await writer.discard();
      throw error;
    }
  } finally {
    await close(opened);
  }
}

async function close({ model }: OpenedInput): Promise<void> {
  await model.close();
}

/** Files of a folder that are read beside its tensors. */
const smallFiles = [
  ...["config.json", "generation_config.json", "model.safetensors.index.json"],
  ...[
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
  ],
];

/** Names of all files that are read, as far as they have paths. */
function inputNames(input: ModelSource, { source, format }: ModelFile, { tensors }: PlannedModel): string[] {
  const names = [source.name, ...tensors.map(({ info }) => info.source.name)];
  if (format === "safetensors" && typeof input === "string") {
    // Its source is config.json.
    const folder = source.name.replace(/[^/\\]*$/, "");
    names.push(...smallFiles.map((name) => folder + name));
  }
  return [...new Set(names)];
}
