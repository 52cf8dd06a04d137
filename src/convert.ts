/**
 * Model files of another type:
 *
 * ```ts
 * import { quantize } from "cria/convert";
 *
 * await quantize("model-f16.gguf", "model-q4_k_m.gguf", { type: "Q4_K_M" });
 * ```
 *
 * @module
 */

export type { QuantizeType } from "./convert/file_kinds.ts";
export type { ConvertProgress, QuantizeOptions, WrittenModel } from "./convert/options.ts";
export type { ModelOutput } from "./convert/output.ts";
export { quantize } from "./convert/quantize.ts";
export {
  CriaError,
  type ErrorCode,
  FormatError,
  SourceError,
  UnsupportedError,
  UsageError,
} from "./util/errors.ts";
