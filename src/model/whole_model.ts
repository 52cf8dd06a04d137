// Refuses files that are no whole model: parts of one, and other things that programs store in the same format.
import type { ModelFile } from "../format/model_file.ts";
import { quoted } from "../util/bytes.ts";
import { FormatError, UnsupportedError } from "../util/errors.ts";
import { describeMeta } from "./config_keys.ts";

// Values of general.type other than "model".
const otherTypes: ReadonlyMap<string, string> = new Map([
  ["adapter", "an adapter (LoRA), which changes a model"],
  ["mmproj", "a projector for images or sound"],
  ["imatrix", "an importance matrix, which quantizers use"],
]);

// How splitters name the parts of a model: part and parts.
const PART_NAME = /-(\d{5})-of-(\d{5})\.gguf(?:[?#].*)?$/i;

// The layout of quantized blocks that is read, which is the first that GGUF files had.
const QUANTIZATION_VERSION = 2;
const PLAIN_TYPES: ReadonlySet<string> = new Set(["F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"]);

/**
 * Checks that a file is a model, and all of it. A part can look whole: without output.weight a model seems to use its
 * embedding twice, and without rope_freqs.weight it seems to have no factors.
 * @throws UnsupportedError for parts, adapters and the like; FormatError for numbers that contradict each other
 */
export function checkWholeModel(file: ModelFile): void {
  if (file.format !== "gguf") return;
  checkType(file);
  checkParts(file);
  const version = count(file, "general.quantization_version");
  const isQuantized = [...file.tensors.values()].some(({ type }) => !PLAIN_TYPES.has(type));
  if (isQuantized && version !== undefined && version > QUANTIZATION_VERSION) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported general.quantization_version ${version}; supported: up to ${QUANTIZATION_VERSION}`,
    );
  }
}

function checkType(file: ModelFile): void {
  const { metadata, source } = file;
  const found = metadata.get("general.type");
  const type = found?.type === "string" ? String(found.value) : "";
  const what = otherTypes.get(type) ?? (metadata.has("adapter.type") ? otherTypes.get("adapter") : undefined);
  if (what === undefined) return;
  const key = type === "" ? "adapter.type" : `general.type ${quoted(type)}`;
  throw new UnsupportedError(`Cannot load ${source.name}: Expected a model, got ${what} (${key})`);
}

function checkParts(file: ModelFile): void {
  const { name } = file.source;
  const parts = count(file, "split.count");
  const part = count(file, "split.no") ?? 0;
  if ((parts ?? 0) > 1) throw partOf(name, part + 1, parts as number);
  if (part > 0) {
    throw new FormatError(
      `Cannot load ${name}: Expected split.no below split.count ${parts ?? "none"}, got ${part}`,
    );
  }
  const [, number, total] = (parts === undefined && PART_NAME.exec(name)) || [];
  if (Number(total) > 1)
    throw partOf(name, Number(number), Number(total), ", by its name (it has no key split.count)");
  const tensors = count(file, "split.tensors.count") ?? 0;
  if (tensors > file.tensors.size) {
    throw new FormatError(
      `Cannot load ${name}: Expected ${tensors} tensors (split.tensors.count), got ${file.tensors.size}`,
    );
  }
}

function partOf(name: string, part: number, parts: number, why = ""): UnsupportedError {
  return new UnsupportedError(
    `Cannot load ${name}: Expected a whole model, got file ${part} of ${parts}${why}. All ${parts} files must be loaded ` +
      `together: pass the path or URL of one, with the others beside it, or all of them by their names: ` +
      `{ "NAME-00001-of-${String(parts).padStart(5, "0")}.gguf": ..., ... }`,
  );
}

// A number of things; undefined if the file does not say.
function count(file: ModelFile, key: string): number | undefined {
  const found = file.metadata.get(key);
  if (found === undefined) return undefined;
  if (found.type !== "array" && Number.isSafeInteger(found.value) && Number(found.value) >= 0)
    return Number(found.value);
  throw new FormatError(
    `Cannot load ${file.source.name}: Expected ${key} to be an integer of at least 0, got ${describeMeta(found)}`,
  );
}
