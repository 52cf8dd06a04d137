// Splits models into several GGUF files, as llama-gguf-split does.
import {
  encodeTensor,
  type GgufFile,
  type GgufTensor,
  type GgufValue,
  ggufFile,
  meta,
  type TinyLlamaOptions,
  tinyLlama,
} from "./gguf_writer.ts";

/** What tests change of one part. */
export interface PartChange {
  /** Keys to add, replace or (undefined) leave out. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  /** What it has of all tensors, instead of its share `own`. */
  readonly tensors?: (own: readonly GgufTensor[], all: readonly GgufTensor[]) => readonly GgufTensor[];
}

/** How a splitter names part `i` of `n`, from 1 on. */
export function partName(i: number, n: number, stem = "model"): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `${stem}-${digits(i)}-of-${digits(n)}.gguf`;
}

/** The parts of {@link tinyLlama}, by their names: tensors are shared out in order, later parts have no other keys. */
export function tinyParts(
  n: number,
  options: TinyLlamaOptions = {},
  changes: Readonly<Record<number, PartChange>> = {},
): Map<string, Uint8Array<ArrayBuffer>> {
  const { keys, weights } = tinyLlama(options);
  const all: GgufTensor[] = [...weights].map(([name, { shape, type, values }]) => {
    return { name, shape, type, data: encodeTensor(type, values) };
  });
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let i = 1; i <= n; i++) {
    const { metadata = {}, tensors = (own: readonly GgufTensor[]) => own } = changes[i] ?? {};
    const split = {
      "split.no": meta("u16", i - 1),
      "split.count": meta("u16", n),
      "split.tensors.count": meta("i32", all.length),
    };
    const entries = Object.entries({ ...(i === 1 ? keys : {}), ...split, ...metadata });
    const own = all.slice(Math.floor(((i - 1) * all.length) / n), Math.floor((i * all.length) / n));
    const file: GgufFile = ggufFile({
      metadata: entries.filter((entry): entry is [string, GgufValue] => entry[1] !== undefined),
      tensors: tensors(own, all),
    });
    files.set(partName(i, n), file.bytes);
  }
  return files;
}
