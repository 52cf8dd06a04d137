// The GGUF models among the files of a repository, by the types in their names.
import type { ListedFile } from "./hub_listing.ts";

/** A model: one GGUF file, or all parts of a split one. */
export interface GgufModel {
  /** The file, or its first part. */
  readonly name: string;
  /** The type that its name says, in capitals: "Q4_K_M"; undefined if it says none. */
  readonly tag: string | undefined;
  /** Bytes of all parts. */
  readonly size: number;
  readonly files: readonly ListedFile[];
  /** Whether no part is missing. */
  readonly isWhole: boolean;
}

const PART = /-(\d{5})-of-(\d{5})(?=\.(?:gguf|safetensors)$)/i;
const TAG =
  /(?<![a-z0-9])(?:UD-)?(?:I?Q[1-8](?:_[a-z0-9]+)*|TQ[12]_0|MXFP4(?:_MOE)?|BF16|FP?(?:16|32))(?![a-z0-9_])/gi;
/** What is no model by itself: projectors of images, matrices of importance. */
const NO_MODEL = /mmproj|imatrix/i;

/** The models among files, in the order of the files. Parts of a split file are one model. */
export function ggufModels(files: readonly ListedFile[]): readonly GgufModel[] {
  const sets = new Map<string, ListedFile[]>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.name) || NO_MODEL.test(baseName(file.name))) continue;
    const key = setName(file.name);
    sets.set(key, [...(sets.get(key) ?? []), file]);
  }
  return [...sets.values()].map(modelOf);
}

/** What all parts of a split file have in common in their names; the name itself of any other file. */
export function setName(name: string): string {
  return name.replace(PART, "-of-$2");
}

/** How many parts a file is one of, by its name; 1 for a file that is not split. */
function partCount(name: string): number {
  return Number(PART.exec(name)?.[2] ?? 1);
}

/** The names of all parts of a split file, given any of them; the name itself of any other file. */
export function partNames(name: string): readonly string[] {
  const count = partCount(name);
  if (!PART.test(name)) return [name];
  const number = (n: number) => String(n).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => name.replace(PART, `-${number(i + 1)}-of-${number(count)}`));
}

/** A name without its folders. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The type that a name says, in capitals. */
function quantizationTag(name: string): string | undefined {
  // The folder may say it too: the file's own name counts, which comes last.
  return name.match(TAG)?.at(-1)?.toUpperCase();
}

function modelOf(unsorted: readonly ListedFile[]): GgufModel {
  const files = [...unsorted].sort((a, b) => (a.name < b.name ? -1 : 1));
  const [first] = files as [ListedFile];
  const parts = files.map(({ name }) => PART.exec(name));
  const count = partCount(first.name);
  return {
    name: first.name,
    tag: quantizationTag(first.name),
    size: files.reduce((sum, { size }) => sum + size, 0),
    files,
    isWhole: files.length === count && parts.every((part, i) => Number(part?.[1] ?? 1) === i + 1),
  };
}
