// Tensors of a GGUF file as its header describes them: name, shape, type and place.

import type { TensorType } from "../../quant/file_types.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import type { HeaderReader } from "../header_reader.ts";
import { ggmlTypes, OTHER_FILE, removedGgmlTypes } from "./tensor_types.ts";

/** Longest tensor name: ggml keeps 64 bytes with the closing zero. */
const MAX_TENSOR_NAME_BYTES = 63;
/** Most dimensions of a tensor: ggml's limit. */
const MAX_DIMS = 4;

/** A tensor as the header describes it. */
export interface TensorLayout {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: string;
  readonly byteLength: number;
  /** Offset from the start of the tensor data. */
  readonly relative: number | bigint;
}

/**
 * Reads the descriptions of `n` tensors.
 * @param fileName what error messages call the file
 * @throws FormatError for repeated names, and for shapes and types that cannot be
 * @throws UnsupportedError for types that ggml gave up
 */
export async function readTensorLayouts(
  header: HeaderReader,
  n: number,
  fileName: string,
): Promise<TensorLayout[]> {
  const layouts: TensorLayout[] = [];
  const names = new Set<string>();
  for (let i = 0; i < n; i++) {
    const layout = await readTensorLayout(header, fileName);
    if (names.has(layout.name)) {
      throw new FormatError(
        `Cannot read ${fileName}: Expected each tensor once, got ${quoted(layout.name)} again`,
      );
    }
    names.add(layout.name);
    layouts.push(layout);
  }
  return layouts;
}

async function readTensorLayout(header: HeaderReader, fileName: string): Promise<TensorLayout> {
  const name = await header.text(MAX_TENSOR_NAME_BYTES, "bytes of a tensor name");
  const where = `Cannot read ${fileName}: Tensor ${quoted(name)}`;
  const nDims = (await header.need(4)).u32();
  if (nDims > MAX_DIMS) {
    throw new FormatError(`${where}: Expected at most ${MAX_DIMS} dimensions, got ${nDims}`);
  }
  const cursor = await header.need(8 * nDims + 12);
  const dims = Array.from({ length: nDims }, () => cursor.u64());
  const type = typeOf(cursor.u32(), where);
  const relative = cursor.u64();
  const byteLength = sizeOf(dims, type, where);
  // The file has the innermost dimension first.
  return { name, shape: dims.map(Number).reverse(), type: type.name, byteLength, relative };
}

function typeOf(id: number, where: string): TensorType {
  const type = ggmlTypes.get(id);
  if (type !== undefined) return type;
  const removed = removedGgmlTypes.get(id);
  if (removed !== undefined) {
    throw new UnsupportedError(`${where}: Unsupported type ${removed}, which GGUF gave up; ${OTHER_FILE}`);
  }
  const last = Math.max(...ggmlTypes.keys());
  throw new FormatError(`${where}: Expected a tensor type from 0 to ${last}, got ${id | 0}; ${OTHER_FILE}`);
}

/** Bytes of a tensor. Products of elements and bytes stay below 2^53: none is rounded. */
function sizeOf(dims: readonly (number | bigint)[], type: TensorType, where: string): number {
  const rowElements = dims[0] ?? 1;
  if (typeof rowElements === "number" && rowElements % type.blockCols !== 0) {
    throw new FormatError(
      `${where}: Expected rows of a multiple of ${type.blockCols} elements for type ${type.name}, ` +
        `got ${rowElements}`,
    );
  }
  // A dimension of zero must not hide that the others are absurd.
  let most = Math.max(type.blockBytes / type.blockCols, 1);
  for (const dim of dims) most *= Math.max(Number(dim), 1);
  if (!(most <= Number.MAX_SAFE_INTEGER)) {
    const shape = [...dims].reverse().join(", ");
    throw new FormatError(
      `${where}: Expected at most ${Number.MAX_SAFE_INTEGER} bytes, got shape [${shape}]`,
    );
  }
  const elements = dims.reduce<number>((product, dim) => product * Number(dim), 1);
  return (elements / type.blockCols) * type.blockBytes;
}
