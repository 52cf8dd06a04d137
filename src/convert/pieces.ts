// Cuts tensors into pieces that are read, turned into another type and written one after the other.
import type { TensorInfo } from "../format/model_file.ts";
import { UnsupportedError } from "../util/errors.ts";
import { tensorBytes } from "./gguf_parts.ts";
import type { Piece } from "./quantizer.ts";
import { tensorType } from "./type_mix.ts";

/** How the rows of a tensor become those of another one. */
export interface RowChange {
  /** Rows of a head. */
  readonly perHead: number;
  /** Heads that become one, their mean. */
  readonly pool: number;
  /** Whether the two halves of each head's rows are interleaved. */
  readonly interleaved: boolean;
}

/** A tensor to write, and where its values come from. */
export interface PlannedTensor {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly type: string;
  readonly info: TensorInfo;
  readonly rows?: RowChange | undefined;
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
const MAX_PIECE_BYTES = 1 << 29;

/** The pieces of a tensor, in their order. */
export function* piecesOf(tensor: PlannedTensor): Generator<PlannedPiece> {
  const { info, type, rows } = tensor;
  const from = tensorType(info.type);
  const to = tensorType(type);
  const total = tensor.shape.reduce((product, dim) => product * dim, 1);
  const unit = rows ? rowUnit(tensor, rows) : undefined;
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
      ...{ tensor, offset, srcBytes, values, chunkValues, chunkSrcBytes, gathering: unit?.gathering },
      ...{ from: info.type, to: type, outBytes: (values / to.blockCols) * to.blockBytes },
      copied: !rows && info.type === type,
      isLast: done + most >= total,
    };
    offset += srcBytes;
  }
}

/** The rows of one head of the result. */
function rowUnit({ info, shape, type }: PlannedTensor, { perHead, pool, interleaved }: RowChange) {
  // A vector has one value for each row.
  const cols = shape.length > 1 ? (shape.at(-1) as number) : 1;
  const rowBytes = tensorBytes({ shape: [cols], type: info.type });
  const unit = {
    chunkValues: perHead * cols,
    chunkSrcBytes: pool * perHead * rowBytes,
    gathering: { cols, rowBytes, pool, poolBytes: perHead * rowBytes, order: interleaved ? perHead : 0 },
  };
  const { blockCols } = tensorType(type);
  if (unit.chunkSrcBytes > MAX_PIECE_BYTES || unit.chunkValues % blockCols !== 0) {
    throw new UnsupportedError(
      `Cannot convert tensor ${info.name} of ${info.source.name}: Unsupported heads of ${perHead} rows of ${cols} as ${type}`,
    );
  }
  return unit;
}
