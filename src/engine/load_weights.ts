import { TILE_ROWS } from "../../assembly/layout/blocks.ts";
import type { KernelInstance } from "../kernels/instance.ts";
import type { Matrix, Vector } from "../model/weights.ts";
import { type FileType, fileTypes } from "../quant/registry.ts";
import type { ByteSource } from "../util/byte_source.ts";
import { FormatError } from "../util/errors.ts";
import type { Layout } from "./layout.ts";
import type { LoadProgress } from "./options.ts";

/** Streams weights from a file into their tiles through the staging buffer. */
class WeightLoader {
  readonly #source: ByteSource;
  readonly #kernel: KernelInstance;
  readonly #staging: Layout["staging"];
  readonly #advance: (bytes: number) => void;

  constructor(
    source: ByteSource,
    kernel: KernelInstance,
    staging: Layout["staging"],
    advance: (bytes: number) => void,
  ) {
    this.#source = source;
    this.#kernel = kernel;
    this.#staging = staging;
    this.#advance = advance;
  }

  async load(weight: Matrix | Vector): Promise<void> {
    const type = fileTypes.get(weight.info.type) as FileType;
    if (weight.kind === "vector") await this.#vector(weight, type);
    else if (weight.info.scales) await this.#grouped(weight, type, weight.info.scales);
    else await this.#matrix(weight, type);
  }

  // Reads file bytes to `at` bytes behind the staging buffer's begin; returns their address.
  async #read(offset: number, bytes: number, at = 0): Promise<number> {
    const address = this.#staging.address + at;
    await this.#source.read(offset, new Uint8Array(this.#kernel.memory.buffer, address, bytes));
    this.#advance(bytes);
    return address;
  }

  #pack(weight: Matrix, type: FileType, src: number, scales: Scales, firstRow: number, rows: number): void {
    const { format, blocks, cols } = weight;
    const rowBytes = (cols / type.blockCols) * type.blockBytes;
    const out = weight.address + (firstRow / TILE_ROWS) * blocks * format.tileBytes;
    const { address, group, phase } = scales;
    const bad = this.#kernel.exports.pack(
      type.code,
      format.code,
      src,
      rowBytes,
      address,
      group,
      phase,
      rows,
      cols,
      out,
    );
    if (bad) {
      throw new FormatError(
        `Cannot load tensor ${weight.info.name}: row ${firstRow + bad - 1} holds a value that is NaN, infinite or too large`,
      );
    }
  }

  async #matrix(weight: Matrix, type: FileType): Promise<void> {
    const rowBytes = (weight.cols / type.blockCols) * type.blockBytes;
    const most = Math.floor(this.#staging.bytes / rowBytes / TILE_ROWS) * TILE_ROWS;
    for (let row = 0; row < weight.rows; row += most) {
      const rows = Math.min(most, weight.rows - row);
      const src = await this.#read(weight.info.offset + row * rowBytes, rows * rowBytes);
      this.#pack(weight, type, src, NO_SCALES, row, rows);
    }
  }

  // llama2.c int8: groups count through the whole tensor, and their scales lie behind its values.
  async #grouped(
    weight: Matrix,
    type: FileType,
    scales: NonNullable<Matrix["info"]["scales"]>,
  ): Promise<void> {
    const { cols } = weight;
    const group = scales.groupSize;
    const perRow = cols + 4 * (Math.ceil(cols / group) + 2);
    const most = Math.max(TILE_ROWS, Math.floor(this.#staging.bytes / perRow / TILE_ROWS) * TILE_ROWS);
    for (let row = 0; row < weight.rows; row += most) {
      const rows = Math.min(most, weight.rows - row);
      const first = row * cols;
      const src = await this.#read(weight.info.offset + first, rows * cols);
      const firstGroup = Math.floor(first / group);
      const groups = Math.ceil((first + rows * cols) / group) - firstGroup;
      const at = Math.ceil((rows * cols) / 4) * 4;
      const address = await this.#read(scales.offset + 4 * firstGroup, 4 * groups, at);
      this.#pack(weight, type, src, { address, group, phase: first - firstGroup * group }, row, rows);
    }
  }

  async #vector(weight: Vector, type: FileType): Promise<void> {
    const most = Math.floor(this.#staging.bytes / type.blockBytes) * type.blockCols;
    for (let i = 0; i < weight.length; i += most) {
      const n = Math.min(most, weight.length - i);
      const offset = weight.info.offset + (i / type.blockCols) * type.blockBytes;
      const src = await this.#read(offset, (n / type.blockCols) * type.blockBytes);
      if (this.#kernel.exports.unpack(type.code, src, 0, 0, 0, n, weight.address + 4 * i)) {
        throw new FormatError(
          `Cannot load tensor ${weight.info.name}: Expected finite values, got NaN or infinity`,
        );
      }
    }
  }
}

interface Scales {
  readonly address: number;
  readonly group: number;
  readonly phase: number;
}

const NO_SCALES: Scales = { address: 0, group: 0, phase: 0 };

/** Reads and packs every weight of a layout, in the order of the file. */
export async function loadWeights(
  source: ByteSource,
  layout: Layout,
  kernel: KernelInstance,
  onProgress?: (progress: LoadProgress) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { all } = layout.weights;
  const totalBytes = all.reduce((sum, { info }) => sum + info.byteLength + (info.scales?.byteLength ?? 0), 0);
  let loadedBytes = 0;
  const loader = new WeightLoader(source, kernel, layout.staging, (bytes) => {
    signal?.throwIfAborted();
    loadedBytes += bytes;
    onProgress?.({ loadedBytes, totalBytes });
  });
  for (const weight of all) await loader.load(weight);
}
