/**
 * Model files of another type or container:
 *
 * ```ts
 * import { convert, quantize } from "cria/convert";
 *
 * await quantize("model-f16.gguf", "model-q4_k_m.gguf", { type: "Q4_K_M" });
 * await convert("folder-of-safetensors", "model-f16.gguf", { type: "F16" });
 * ```
 *
 * @module
 */

export type { QuantizeType } from "./convert/file_kinds.ts";
export type { ConvertOptions, ConvertProgress, QuantizeOptions, WrittenModel } from "./convert/options.ts";
export type { ModelOutput } from "./convert/output.ts";
export { convert, quantize } from "./convert/quantize.ts";
export type { ModelSource } from "./format/open_model.ts";
export {
  CriaError,
  type ErrorCode,
  FormatError,
  SourceError,
  UnsupportedError,
  UsageError,
} from "./util/errors.ts";
