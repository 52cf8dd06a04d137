// Models in several GGUF files: finds the parts, checks that they belong together, and joins what they say.
import type { ByteSource } from "../../source/byte_source.ts";
import type { FileShelf } from "../../source/file_shelf.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, SourceError } from "../../util/errors.ts";
import type { ModelFile, TensorInfo } from "../model_file.ts";
import { readGguf } from "./header.ts";

/** How llama.cpp names parts: the whole's name, part and parts. Source: llama.cpp, llama_split_path(). */
export const PART_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/is;

/** In how many files a model lies, as a part of it says; 1 if it says nothing that makes sense. */
export function partCount(file: ModelFile): number {
  const count = stated(file, "split.count");
  return Number.isInteger(count) ? (count as number) : 1;
}

/**
 * Reads the headers of all parts of a model. Metadata are the first part's; each tensor names the source of its own.
 * @param fileName name of one of the parts, with whose numbers its name must agree
 * @param count how many there are
 * @throws SourceError if a part is missing; FormatError for parts of other models, in another order or twice, and for
 *   counts that do not agree; what readGguf throws
 */
export async function readParts(fileName: string, count: number, files: FileShelf): Promise<ModelFile> {
  const total = PART_NAME.exec(fileName)?.[3];
  if (Number(total) !== count) {
    throw new FormatError(
      `Cannot load ${fileName}: Expected a name that ends in -00001-of-${digits(count)}.gguf or the like, since ` +
        `split.count is ${count}; give the ${count} files their own names again`,
    );
  }
  const names = partNames(fileName, count);
  const tensors = new Map<string, TensorInfo>();
  let first: ModelFile | undefined;
  for (let i = 1; i <= count; i++) {
    const name = names[i - 1] as string;
    const source = await files.open(name);
    if (!source) throw await missingParts(fileName, names, i, files);
    const part = await readGguf(source);
    first ??= part;
    checkPart(part, i, first);
    for (const [tensor, info] of part.tensors) {
      const other = tensors.get(tensor);
      if (other) {
        throw new FormatError(
          `Cannot load ${name}: Expected each tensor once, got ${quoted(tensor)}, which ${other.source.name} has too`,
        );
      }
      tensors.set(tensor, info);
    }
  }
  const all = stated(first as ModelFile, TENSORS) ?? tensors.size;
  if (all !== tensors.size) {
    throw new FormatError(
      `Cannot load ${fileName}: Expected ${all} tensors in all ${count} files (${TENSORS}), got ${tensors.size}`,
    );
  }
  return { ...(first as ModelFile), metadata: joinedMetadata(first as ModelFile), tensors };
}

/** A model of which parts are missing. */
export class MissingParts extends SourceError {
  /** Names of the parts that are not there, if they are few. */
  readonly names: readonly string[];
  /** What the header of the part says that was named. */
  readonly part: ModelFile;

  constructor(message: string, names: readonly string[], part: ModelFile) {
    super(message);
    this.names = names;
    this.part = part;
  }
}

const TENSORS = "split.tensors.count";
/** An error names no more missing parts than this. */
const MAX_MISSING = 16;

/** The names of all parts. */
function partNames(fileName: string, count: number): readonly string[] {
  const [, stem, , total, end] = PART_NAME.exec(fileName) ?? [];
  return Array.from({ length: count }, (_, i) => `${stem}-${digits(i + 1)}-of-${total}${end}`);
}

/** @param first the first part that is missing, from 1 on */
async function missingParts(
  fileName: string,
  names: readonly string[],
  first: number,
  files: FileShelf,
): Promise<MissingParts> {
  const missing = [names[first - 1] as string];
  for (const name of names.slice(first)) {
    if (missing.length < MAX_MISSING && !(await files.open(name))) missing.push(name);
  }
  const part = await readGguf((await files.open(fileName)) as ByteSource);
  const more = missing.length < MAX_MISSING ? "" : ", ...";
  return new MissingParts(
    `Cannot load ${fileName}: Expected all ${names.length} files of the model in ${files.name}, got no ${missing.join(", ")}${more}`,
    missing,
    part,
  );
}

function digits(n: number): string {
  return String(n).padStart(5, "0");
}

// A number of a part. NaN for what is none, which equals nothing.
function stated({ metadata }: ModelFile, key: string): number | undefined {
  const found = metadata.get(key);
  return found && (found.type === "array" || found.type === "string" ? Number.NaN : Number(found.value));
}

// Later parts need not name the architecture.
function checkPart(part: ModelFile, i: number, first: ModelFile): void {
  const fail = (expected: string, got: unknown) => {
    throw new FormatError(
      `Cannot load ${part.source.name}: Expected ${expected}, as ${first.source.name} says, got ${got}`,
    );
  };
  const count = stated(first, "split.count");
  const no = stated(part, "split.no");
  if (no !== i - 1) fail(`part ${i} of ${count} (split.no ${i - 1})`, `split.no ${no ?? "none"}`);
  for (const key of ["split.count", TENSORS]) {
    const [own, other] = [stated(part, key), stated(first, key)];
    if (own !== other) fail(`${key} ${other ?? "none"}`, own ?? "none");
  }
  const { architecture } = part;
  if (architecture !== "" && architecture !== first.architecture) {
    fail(`a part of the same model, ${quoted(first.architecture)}`, quoted(architecture));
  }
}

// As of a model that was merged: nothing in it speaks of parts.
function joinedMetadata({ metadata }: ModelFile): ModelFile["metadata"] {
  const joined = new Map([...metadata].filter(([key]) => !key.startsWith("split.")));
  return joined.set("split.count", { type: "u16", value: 0 });
}
