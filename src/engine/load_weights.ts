// Streams the weights of a file into memory, packed as the kernels read them.
import { PADDED_ROWS, SCALE_SHIFT, TILE_ROWS } from "../../assembly/layout/blocks.ts";
import {
  CONTROL_BAD_ROW,
  CONTROL_PACKED,
  PACKED_LARGE_SCALE,
  PACKED_LOWEST,
} from "../../assembly/layout/control.ts";
import * as op from "../../assembly/layout/ops.ts";
import type { TensorInfo } from "../format/model_file.ts";
import type { KernelInstance } from "../kernels/instance.ts";
import { MAX_CONTEXT } from "../model/config.ts";
import { packRecord, scaleFactor } from "../model/plan/writer.ts";
import type { Matrix, Vector } from "../model/weights/weights.ts";
import { type FileType, fileTypes } from "../quant/registry.ts";
import type { ByteSource } from "../source/byte_source.ts";
import { FormatError } from "../util/errors.ts";
import { yieldToEvents } from "../util/yield.ts";
import { writeGrids } from "./grids.ts";
import type { Layout } from "./layout.ts";

/** How many of the weights are in memory, in bytes. */
export interface WeightProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** What loading needs of an engine. */
export interface PackEngine {
  readonly layout: Layout;
  readonly kernel: KernelInstance;
  /** Whether loading may let the runtime handle events while it computes; default true. */
  readonly pauses?: boolean;
  /** Lets other threads begin with the record at `layout.packRecord`, of so many bytes in memory; false if none does. */
  openPack(bytes: number): boolean;
  /** Runs what is left of that record, on all threads. */
  pack(bytes: number): void;
}

/** File bytes that a part is made of. */
interface Range {
  readonly offset: number;
  readonly bytes: number;
}

/** Some rows of a matrix, or some values of a vector: as much as the staging buffer holds. */
interface Part {
  readonly source: ByteSource;
  readonly values: Range;
  /** llama2.c's int8 weights: scales of these values. */
  readonly scales?: Range;
  /**
   * Begins to pack what lies at `src` (and `scales`); the loader has read it there. True if other threads are at it
   * until `pack`.
   */
  readonly open: (src: number, scales: number) => boolean;
  /** Packs what is left of it. */
  readonly pack: (src: number, scales: number) => void;
}

// Longest that loading computes without letting the runtime handle events.
const SLICE_MS = 10;
// Strips that a thread packs at once.
const CHUNK_STRIPS = 8;

class WeightLoader {
  readonly #engine: PackEngine;
  // Matrices whose scales are not stored times 2^SCALE_SHIFT, and those that have a weight of -128.
  readonly #shifts = new Map<Matrix, number>();
  readonly #lowest = new Set<Matrix>();

  constructor(engine: PackEngine) {
    this.#engine = engine;
  }

  /** All parts of all weights: each source from front to back, one after the other. */
  *all(): Generator<Part> {
    for (const weight of inReadingOrder(this.#engine.layout.weights.all)) yield* this.#parts(weight);
  }

  /** Tells the plan's records what was met in the matrices that they read. */
  finish(): void {
    const { layout, kernel } = this.#engine;
    const words = new Int32Array(kernel.memory.buffer, layout.planAddress, layout.plan.words.length);
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
    const byAddress = (matrices: Iterable<Matrix>) => new Set([...matrices].map(({ address }) => address));
    const unshifted = byAddress(this.#shifts.keys());
    const lowest = byAddress(this.#lowest);
    for (let record = 0; record < words.length; record += op.RECORD_WORDS) {
      const isMatmul = words[record + op.REC_OP] === op.OP_MATMUL;
      if (!isMatmul && words[record + op.REC_OP] !== op.OP_EMBED) continue;
      const address = (words[record + (isMatmul ? op.MATMUL_W : op.EMBED_TABLE)] as number) >>> 0;
      if (unshifted.has(address)) {
        floats[record + (isMatmul ? op.MATMUL_FACTOR : op.EMBED_FACTOR)] = scaleFactor(0);
      }
      if (isMatmul && lowest.has(address)) words[record + op.MATMUL_LOWEST] = 1;
    }
  }

  #parts(weight: Matrix | Vector): Generator<Part> {
    const type = fileTypes.get(weight.info.type) as FileType;
    if (weight.kind === "vector") return this.#vector(weight, type);
    const { scales } = weight.info;
    return scales ? this.#grouped(weight, type, scales) : this.#matrix(weight, type);
  }

  *#matrix(weight: Matrix, type: FileType): Generator<Part> {
    const rowBytes = (weight.cols / type.blockCols) * type.blockBytes;
    const most = Math.floor(this.#engine.layout.staging.bytes / rowBytes / PADDED_ROWS) * PADDED_ROWS;
    for (let row = 0; row < weight.rows; row += most) {
      const rows = Math.min(most, weight.rows - row);
      yield {
        source: weight.info.source,
        values: { offset: weight.info.offset + (weight.firstRow + row) * rowBytes, bytes: rows * rowBytes },
        ...this.#packing(weight, type, row, rows),
      };
    }
  }

  // llama2.c int8: groups count through the whole tensor, and their scales lie behind its values.
  *#grouped(weight: Matrix, type: FileType, scales: NonNullable<Matrix["info"]["scales"]>): Generator<Part> {
    const { cols } = weight;
    const group = scales.groupSize;
    const perRow = cols + 4 * (Math.ceil(cols / group) + 2);
    const most = Math.max(
      PADDED_ROWS,
      Math.floor(this.#engine.layout.staging.bytes / perRow / PADDED_ROWS) * PADDED_ROWS,
    );
    for (let row = 0; row < weight.rows; row += most) {
      const rows = Math.min(most, weight.rows - row);
      const first = (weight.firstRow + row) * cols;
      const firstGroup = Math.floor(first / group);
      const groups = Math.ceil((first + rows * cols) / group) - firstGroup;
      yield {
        source: weight.info.source,
        values: { offset: weight.info.offset + first, bytes: rows * cols },
        scales: { offset: scales.offset + 4 * firstGroup, bytes: 4 * groups },
        ...this.#packing(weight, type, row, rows, { size: group, phase: first - firstGroup * group }),
      };
    }
  }

  *#vector(weight: Vector, type: FileType): Generator<Part> {
    const { kernel, layout } = this.#engine;
    const most = Math.floor(layout.staging.bytes / type.blockBytes) * type.blockCols;
    for (let i = 0; i < weight.length; i += most) {
      const n = Math.min(most, weight.length - i);
      yield {
        source: weight.info.source,
        values: {
          offset: weight.info.offset + ((weight.firstRow + i) / type.blockCols) * type.blockBytes,
          bytes: (n / type.blockCols) * type.blockBytes,
        },
        open: () => false,
        pack: (src) => {
          if (kernel.exports.unpack(type.code, src, this.#grid(type), 0, 0, n, weight.address + 4 * i)) {
            throw new FormatError(`${describe(weight.info)}: Expected finite values, got NaN or infinity`);
          }
        },
      };
    }
  }

  // The address of the grid that a type needs.
  #grid({ grid }: FileType): number {
    return (grid && this.#engine.layout.grids.get(grid)) ?? 0;
  }

  // How some rows are packed; `groups` are those of scales that are stored apart.
  #packing(
    weight: Matrix,
    type: FileType,
    firstRow: number,
    rows: number,
    groups?: { readonly size: number; readonly phase: number },
  ): Pick<Part, "open" | "pack"> {
    const { kernel, layout } = this.#engine;
    const { format, blocks, info, strips } = weight;
    const firstStrip = firstRow / TILE_ROWS;
    const bytes = Math.ceil(rows / TILE_ROWS) * blocks * format.tileBytes;
    const word = (address: number) => new Int32Array(kernel.memory.buffer, address, 1);
    const open = (src: number, scales: number) => {
      const record = packRecord({
        w: weight,
        type,
        src,
        rows,
        firstStrip,
        groups: groups && { scales, ...groups },
        grid: this.#grid(type),
        chunk: CHUNK_STRIPS,
        shift: this.#shifts.get(weight) ?? SCALE_SHIFT,
      });
      new Int32Array(kernel.memory.buffer, layout.packRecord, op.RECORD_WORDS).set(record);
      word(CONTROL_BAD_ROW).fill(0);
      word(CONTROL_PACKED).fill(0);
      return this.#engine.openPack(bytes);
    };
    const pack = (src: number, scales: number) => {
      this.#engine.pack(bytes);
      const bad = word(CONTROL_BAD_ROW)[0] as number;
      const met = word(CONTROL_PACKED)[0] as number;
      if (met & PACKED_LOWEST) this.#lowest.add(weight);
      if (bad === 0 && met & PACKED_LARGE_SCALE) {
        // Too large to be stored times 2^SCALE_SHIFT: the whole matrix goes without.
        this.#shifts.set(weight, 0);
        kernel.exports.unshift_scales(weight.address, format.code, firstStrip, strips, blocks);
        open(src, scales);
        pack(src, scales);
        return;
      }
      if (bad === 0) return;
      const worse = format.scaled
        ? `NaN, infinity or one too large for ${format.name}; the precision option (--precision f32) loads all that are finite`
        : "NaN or infinity";
      throw new FormatError(
        `${describe(info)}: Expected finite values in row ${weight.firstRow + firstRow + bad - 1}, got ${worse}`,
      );
    };
    return { open, pack };
  }
}

// How errors about the values of a tensor begin.
function describe({ name, type, source }: TensorInfo): string {
  return `Cannot load tensor ${name} of type ${type} of ${source.name}`;
}

// Sources in the order in which their first tensors are placed; the tensors of each by their offsets.
function inReadingOrder(weights: readonly (Matrix | Vector)[]): (Matrix | Vector)[] {
  const ranks = new Map<ByteSource, number>();
  for (const { info } of weights) if (!ranks.has(info.source)) ranks.set(info.source, ranks.size);
  const rank = ({ info }: Matrix | Vector) => ranks.get(info.source) as number;
  return [...weights].sort((a, b) => rank(a) - rank(b) || a.info.offset - b.info.offset);
}

// A rotary frequency is at most 1 and divided by its factor: with these, no angle of the context is beyond what
// sin and cos are exact for.
function checkRopeFactors(
  { address, length, info }: Vector,
  contextLength: number,
  buffer: ArrayBufferLike,
): void {
  const least = contextLength / MAX_CONTEXT;
  const factors = new Float32Array(buffer, address, length);
  const bad = factors.find((factor) => !(factor >= least));
  if (bad === undefined) return;
  throw new FormatError(
    `Cannot load tensor ${info.name} of ${info.source.name}: Expected values of at least ${least}, got ${bad}`,
  );
}

/**
 * Reads and packs every weight of a layout, each from its own source, and each source in its order. While one half of
 * the staging buffer is packed, the other is filled. The other threads pack until it is, then this one joins them: a
 * read takes a core too. Alone, it packs at once.
 * @throws FormatError for values that are NaN, infinite or too large for their format, and for rotary factors
 *   that are not positive; what the sources throw; the signal's reason
 */
export async function loadWeights(
  engine: PackEngine,
  onProgress?: (progress: WeightProgress) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { layout, kernel } = engine;
  const { all, ropeFactors, longFactors, shortFactors } = layout.weights;
  const totalBytes = bytesOf(new Set(all.map(({ info }) => info)));
  let loadedBytes = 0;
  writeGrids(layout.grids, kernel.memory.buffer);
  const loader = new WeightLoader(engine);
  const reader = new PartReader(engine, loader.all());
  let reading = reader.next();
  let paused = performance.now();
  try {
    while (reading) {
      const { part, src, at } = await reading;
      signal?.throwIfAborted();
      const helped = part.open(src, at);
      // Others read what it says until it was packed, whatever happens meanwhile.
      reading = reader.next();
      if (helped) await reading?.catch(() => {});
      // Bytes in memory are read without waiting: a timer's abort would never arrive.
      if (engine.pauses !== false && performance.now() - paused > SLICE_MS) {
        await yieldToEvents();
        paused = performance.now();
      }
      part.pack(src, at);
      signal?.throwIfAborted();
      loadedBytes += part.values.bytes + (part.scales?.bytes ?? 0);
      onProgress?.({ loadedBytes, totalBytes });
    }
  } finally {
    // Nobody may write into this memory any more, or close the source, while a read is under way.
    await reading?.catch(() => {});
  }
  signal?.throwIfAborted();
  loader.finish();
  for (const factors of [ropeFactors, longFactors, shortFactors]) {
    if (factors) checkRopeFactors(factors, layout.contextLength, kernel.memory.buffer);
  }
}

function bytesOf(tensors: Iterable<TensorInfo>): number {
  let bytes = 0;
  for (const { byteLength, scales } of tensors) bytes += byteLength + (scales?.byteLength ?? 0);
  return bytes;
}

/** A part whose bytes are in the staging buffer: its values at `src`, its scales at `at`. */
interface StagedPart {
  readonly part: Part;
  readonly src: number;
  readonly at: number;
}

// Reads parts into the two halves of the staging buffer by turns.
class PartReader {
  readonly #engine: PackEngine;
  readonly #parts: Iterator<Part>;
  #half = 0;

  constructor(engine: PackEngine, parts: Iterator<Part>) {
    this.#engine = engine;
    this.#parts = parts;
  }

  /** Begins to read the next part; undefined after the last. The half that it fills must be free. */
  next(): Promise<StagedPart> | undefined {
    const { done, value } = this.#parts.next();
    if (done) return undefined;
    const reading = this.#read(value, this.#half);
    // If the caller gives up before it is awaited, no unhandled rejection must be left behind.
    reading.catch(() => {});
    this.#half = 1 - this.#half;
    return reading;
  }

  async #read(part: Part, half: number): Promise<StagedPart> {
    const { layout, kernel } = this.#engine;
    const src = layout.staging.address + half * layout.staging.bytes;
    const at = src + Math.ceil(part.values.bytes / 4) * 4;
    await part.source.read(part.values.offset, new Uint8Array(kernel.memory.buffer, src, part.values.bytes));
    if (part.scales) {
      await part.source.read(part.scales.offset, new Uint8Array(kernel.memory.buffer, at, part.scales.bytes));
    }
    return { part, src, at };
  }
}
