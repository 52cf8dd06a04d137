// quantize(): a GGUF file of another type.
import { openGguf } from "../format/detect.ts";
import { supportedTensorTypes } from "../format/gguf/tensor_types.ts";
import type { ModelFile, TensorInfo } from "../format/model_file.ts";
import { fileTypes } from "../quant/file_types.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openSource } from "../source/open.ts";
import type { SourceLike } from "../source/options.ts";
import { FormatError, UnsupportedError, UsageError } from "../util/errors.ts";
import { fileKinds } from "./file_kinds.ts";
import { writtenKeys } from "./model_keys.ts";
import { modelNumbers } from "./model_numbers.ts";
import { checkQuantizeOptions, type QuantizeOptions, type WrittenModel } from "./options.ts";
import { type ModelOutput, openModelOutput } from "./output.ts";
import type { PlannedTensor } from "./pieces.ts";
import { inFileOrder, mixTypes } from "./type_mix.ts";
import { type PlannedModel, writeModel } from "./write_model.ts";

/**
 * Writes a GGUF file of another type, as llama.cpp's quantizer does: some matrices get more bits than others, vectors keep
 * their type, keys stay. Tensors of F32, F16, BF16 and Q8_0 are quantized; others only with `allowRequantize`.
 * @param output a path, whose file is replaced once the new one is whole, or a stream
 * @throws UsageError for wrong options, an output that is the input, and tensors that were quantized before
 * @throws FormatError, UnsupportedError, SourceError for the input; SourceError if the output cannot be written
 */
export async function quantize(
  input: SourceLike,
  output: ModelOutput,
  options: QuantizeOptions,
): Promise<WrittenModel> {
  checkQuantizeOptions(options);
  const runtime = detectRuntime();
  const { signal, sha256, cache, http } = options;
  const source = await openSource(input, runtime, { signal, sha256, cache, http });
  try {
    const file = await openGguf(source);
    return await writePlan(file, await planQuantized(file, options), output, runtime, options);
  } finally {
    await source.close();
  }
}

async function planQuantized(
  file: ModelFile,
  { type, allowRequantize = false }: QuantizeOptions,
): Promise<PlannedModel> {
  const kind = fileKinds[type];
  const infos = orderedTensors(file);
  const types = mixTypes(infos, type, kind, modelNumbers(file));
  const tensors = infos.map((info, i): PlannedTensor => {
    const { name, shape } = info;
    return { name, shape, info, type: types[i] as string };
  });
  for (const tensor of tensors) checkSource(tensor, allowRequantize);
  return { tensors, keys: await writtenKeys(file, kind.code, []) };
}

/** Types that lose nothing, or so little that quantizing them anew is as good. */
const originals = ["F32", "F16", "BF16", "Q8_0"];

function checkSource({ info, type }: PlannedTensor, allowRequantize: boolean): void {
  if (info.type === type) return;
  const what = `Cannot quantize tensor ${info.name} of ${info.source.name}`;
  if (!fileTypes.has(info.type)) {
    throw new UnsupportedError(
      `${what}: Unsupported type ${info.type}; supported: ${supportedTensorTypes.join(", ")}`,
    );
  }
  if (allowRequantize || originals.includes(info.type)) return;
  throw new UsageError(
    `${what}: Expected ${originals.join(", ")}, got ${info.type}, which has lost bits already; take a file of one of ` +
      "these types, or allow it with allowRequantize",
  );
}

/** The tensors in the order in which they are written. A stream's come in its own order. */
function orderedTensors(file: ModelFile): TensorInfo[] {
  if (file.tensors.size === 0) {
    throw new FormatError(
      `Cannot quantize ${file.source.name}: Expected a model, got a file without tensors`,
    );
  }
  const all = [...file.tensors.values()];
  return file.source.size === undefined ? all : inFileOrder(all);
}

/** Writes a planned model to an output, all of it or nothing. */
async function writePlan(
  file: ModelFile,
  plan: PlannedModel,
  output: ModelOutput,
  runtime: Runtime,
  options: QuantizeOptions,
): Promise<WrittenModel> {
  const inputs = new Set([file.source.name, ...plan.tensors.map(({ info }) => info.source.name)]);
  const writer = await openModelOutput(output, [...inputs]);
  try {
    const written = await writeModel(writer, plan, runtime, options);
    await writer.finish();
    return written;
  } catch (error) {
    await writer.discard();
    throw error;
  }
}
