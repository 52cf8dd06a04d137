// Decides what is written of a model: tensors with their types and heads, and keys.
import { supportedTensorTypes } from "../format/gguf/tensor_types.ts";
import type { ModelFile, TensorInfo } from "../format/model_file.ts";
import { fileTypes } from "../quant/file_types.ts";
import { FormatError, UnsupportedError, UsageError } from "../util/errors.ts";
import { fileKinds, writtenTypes } from "./file_kinds.ts";
import { pooledTensors, poolingKeys } from "./kv_heads.ts";
import { writtenKeys } from "./model_keys.ts";
import { modelNumbers } from "./model_numbers.ts";
import type { OpenedInput } from "./open_input.ts";
import type { ConvertOptions } from "./options.ts";
import type { PlannedTensor } from "./pieces.ts";
import { inFileOrder, mixTypes } from "./type_mix.ts";
import type { PlannedModel } from "./write_model.ts";

/** @throws UsageError, UnsupportedError, FormatError for what cannot be written */
export async function planModel(
  input: OpenedInput,
  { type, kvHeads, allowRequantize = false }: ConvertOptions,
): Promise<PlannedModel> {
  const { file } = input;
  const numbers = modelNumbers(file);
  const given = orderedTensors(file).map(
    (info): PlannedTensor => ({ name: info.name, shape: info.shape, info, type: storedType(file, info) }),
  );
  const pooled = kvHeads === undefined ? given : pooledTensors(given, file, kvHeads);
  const types =
    type && mixTypes(pooled, type, fileKinds[type], { ...numbers, nKvHeads: kvHeads ?? numbers.nKvHeads });
  const tensors = types ? pooled.map((tensor, i) => ({ ...tensor, type: types[i] as string })) : pooled;
  for (const tensor of tensors) checkTypes(tensor, allowRequantize);
  const fileType = type ? fileKinds[type].code : commonKind(file, tensors);
  return { tensors, keys: await writtenKeys(input, fileType, poolingKeys(file, kvHeads)) };
}

// What llama.cpp adds to, or routes by, and has in F32 only, whatever its shape.
const PRECISE = /(_norm|ffn_gate_inp|position_embd)\.weight$/;

/** The type that a tensor has if no other is asked for: llama.cpp wants the vectors of safetensors in F32. */
function storedType({ format }: ModelFile, { name, shape, type }: TensorInfo): string {
  return format === "safetensors" && (shape.length < 2 || PRECISE.test(name)) ? "F32" : type;
}

/** Types that lose nothing, or so little that quantizing them anew is as good. */
const originals = ["F32", "F16", "BF16", "Q8_0"];

function checkTypes({ info, type, pooling }: PlannedTensor, allowRequantize: boolean): void {
  if (info.type === type && !pooling) return;
  const what = `Cannot quantize tensor ${info.name} of ${info.source.name}`;
  if (!fileTypes.has(info.type)) {
    throw new UnsupportedError(
      `${what}: Unsupported type ${info.type}; supported: ${supportedTensorTypes.join(", ")}`,
    );
  }
  if (!writtenTypes.has(type)) {
    throw new UnsupportedError(
      `${what}: Unsupported type ${type}; it can be written with the option type as ${[...writtenTypes].join(", ")}`,
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

/** `general.file_type` of a file whose tensors keep their types: what the input says, or the type of most matrices. */
function commonKind({ metadata }: ModelFile, tensors: readonly PlannedTensor[]): number {
  const stated = metadata.get("general.file_type")?.value;
  if (typeof stated === "number") return stated;
  const counts = new Map<string, number>();
  for (const { shape, type } of tensors) if (shape.length > 1) counts.set(type, (counts.get(type) ?? 0) + 1);
  const [common] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? ["F32"];
  return Object.values(fileKinds).find(({ type }) => type === common)?.code ?? 0;
}
