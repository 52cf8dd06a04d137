// Cuts tensors into pieces that are read, turned into another type and written one after the other.
import type { TensorInfo } from "../format/model_file.ts";
import { UnsupportedError } from "../util/errors.ts";
import { tensorBytes } from "./gguf_parts.ts";
import type { Piece } from "./quantizer.ts";
import { tensorType } from "./type_mix.ts";

/** Heads that become one, the mean of all. */
export interface Pooling {
  /** Rows of a head. */
  readonly headRows: number;
  /** Heads that become one. */
  readonly heads: number;
}

/** A tensor to write, and where its values come from. */
export interface PlannedTensor {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly type: string;
  readonly info: TensorInfo;
  readonly pooling?: Pooling | undefined;
}

/** A piece of a planned tensor. */
export interface PlannedPiece extends Piece {
  readonly tensor: PlannedTensor;
  /** Where its bytes begin in the tensor's source. */
  readonly offset: number;
  readonly outBytes: number;
  /** The bytes are written as they are. */
  readonly copied: boolean;
  readonly isLast: boolean;
}

/** Values of a piece: a few megabytes, so that reads are long and memory stays small. */
const PIECE_VALUES = 1 << 20;
/** Values that one thread does at once. */
const CHUNK_VALUES = 1 << 16;
/** Largest piece that cannot be cut further: heads that become one. */
const MAX_PIECE_BYTES = 1 << 28;

/** The pieces of a tensor, in their order. */
export function* piecesOf(tensor: PlannedTensor): Generator<PlannedPiece> {
  const { info, type, pooling } = tensor;
  const from = tensorType(info.type);
  const to = tensorType(type);
  const total = tensor.shape.reduce((product, dim) => product * dim, 1);
  const unit = pooling ? pooledUnit(tensor, pooling) : undefined;
  const most = unit
    ? Math.max(1, Math.floor(PIECE_VALUES / unit.chunkValues)) * unit.chunkValues
    : PIECE_VALUES;
  const chunkValues = unit?.chunkValues ?? CHUNK_VALUES;
  const chunkSrcBytes = unit?.chunkSrcBytes ?? (CHUNK_VALUES / from.blockCols) * from.blockBytes;
  let offset = info.offset;
  for (let done = 0; done < total; done += most) {
    const values = Math.min(most, total - done);
    const srcBytes = unit
      ? (values / chunkValues) * chunkSrcBytes
      : (values / from.blockCols) * from.blockBytes;
    yield {
      ...{ tensor, offset, srcBytes, values, chunkValues, chunkSrcBytes, averaging: unit?.averaging },
      ...{ from: info.type, to: type, outBytes: (values / to.blockCols) * to.blockBytes },
      copied: !pooling && info.type === type,
      isLast: done + most >= total,
    };
    offset += srcBytes;
  }
}

/** One head of the result. */
function pooledUnit({ info, shape }: PlannedTensor, { headRows, heads }: Pooling) {
  // A vector has one value for each row.
  const cols = shape.length > 1 ? (shape.at(-1) as number) : 1;
  const rowBytes = tensorBytes({ shape: [cols], type: info.type });
  const unit = {
    chunkValues: headRows * cols,
    chunkSrcBytes: heads * headRows * rowBytes,
    averaging: { cols, rowBytes, pool: heads, poolBytes: headRows * rowBytes },
  };
  if (unit.chunkSrcBytes <= MAX_PIECE_BYTES) return unit;
  throw new UnsupportedError(
    `Cannot convert tensor ${info.name} of ${info.source.name}: Expected at most ${MAX_PIECE_BYTES} bytes for the heads ` +
      `that become one, got ${unit.chunkSrcBytes}`,
  );
}
