// Finds the tensors that a model needs, checks them, and gives each weight its address.
import { BLOCK_COLS, PADDED_ROWS, TILE_ROWS } from "../../../assembly/layout/blocks.ts";
import { assertTensorType, OTHER_FILE } from "../../format/gguf/tensor_types.ts";
import type { ModelFile, TensorInfo } from "../../format/model_file.ts";
import type { Arena } from "../../kernels/arena.ts";
import { fileTypes, weightFormats } from "../../quant/registry.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import type { Model } from "../arch/spec.ts";
import type { Precision } from "../config.ts";
import {
  type BlockNeeds,
  type LayerNeeds,
  layerNeeds,
  type MatrixNeed,
  outerNeeds,
  type ProjectionNeeds,
  type VectorNeed,
} from "./declare.ts";
import { type ChooseFormat, defaultFormats } from "./formats.ts";
import { shapeOf, type View } from "./views.ts";
import type { BlockWeights, LayerWeights, Matrix, ModelWeights, Vector } from "./weights.ts";

/** How matrices are held: one format for all of them, a choice for each, or (undefined) the default. */
export type Formats = Precision | ChooseFormat | undefined;

/**
 * Places the weights of a model: checks that each tensor is there with the right shape and a type the packer reads, and
 * gives each weight an address.
 * @throws FormatError for missing tensors and wrong shapes; UnsupportedError for types that cannot be packed
 *   and for tensors that the architecture does not use (biases, experts): ignoring them would change results.
 */
export function placeWeights(file: ModelFile, model: Model, arena: Arena, formats: Formats): ModelWeights {
  const format = typeof formats === "function" ? formats : defaultFormats(formats);
  const placer = new Placer(file, model.architecture, arena, format);
  const outer = outerNeeds(model);
  // In the order of most files.
  const embedding = placer.matrix(outer.embedding);
  // One after the other: needs of all layers would be as many as the file claims heads and layers.
  const layers = model.layers.map((spec, i) => placer.layer(layerNeeds(spec, model.config), i));
  const positions = outer.positions && placer.vector(outer.positions);
  const outputNorm = outer.outputNorm && placer.vector(outer.outputNorm);
  const output = placer.has(outer.output.view) ? placer.matrix(outer.output) : embedding;
  const [ropeFactors, longFactors, shortFactors] = [
    outer.ropeFactors,
    outer.longFactors,
    outer.shortFactors,
  ].map((need) => need && placer.optional(need));
  placer.refuseOthers();
  const factors = { ropeFactors, longFactors, shortFactors };
  const all = placer.inFileOrder();
  return { embedding, positions, layers, outputNorm, output, ...factors, all };
}

class Placer {
  readonly #file: ModelFile;
  readonly #architecture: Model["architecture"];
  readonly #arena: Arena;
  readonly #format: ChooseFormat;
  readonly #used = new Set<string>();
  readonly #all: (Matrix | Vector)[] = [];

  constructor(file: ModelFile, architecture: Model["architecture"], arena: Arena, format: ChooseFormat) {
    this.#file = file;
    this.#architecture = architecture;
    this.#arena = arena;
    this.#format = format;
  }

  layer(needs: LayerNeeds, i: number): LayerWeights {
    const vector = (need: VectorNeed | undefined) => need && this.optional(need, i);
    return {
      attnNorm: vector(needs.attnNorm),
      projections: this.#projections(needs.projections, i),
      qNorm: vector(needs.qNorm),
      kNorm: vector(needs.kNorm),
      sinks: vector(needs.sinks),
      attnOutput: this.matrix(needs.attnOutput, i),
      attnPostNorm: vector(needs.attnPostNorm),
      ffnNorm: vector(needs.ffnNorm),
      ffnPostNorm: vector(needs.ffnPostNorm),
      feedForward: this.#feedForward(needs.feedForward, i),
    };
  }

  #projections(needs: ProjectionNeeds, layer: number): LayerWeights["projections"] {
    const matrix = (need: MatrixNeed) => this.matrix(need, layer);
    const vector = (need: VectorNeed) => this.vector(need, layer);
    if (needs.mixer === "short convolution") {
      return { mixer: needs.mixer, input: matrix(needs.input), kernel: vector(needs.kernel) };
    }
    if (needs.mixer) {
      return {
        mixer: needs.mixer,
        qkv: matrix(needs.qkv),
        kernel: vector(needs.kernel),
        gate: matrix(needs.gate),
        norm: vector(needs.norm),
        alpha: matrix(needs.alpha),
        beta: matrix(needs.beta),
        rates: vector(needs.rates),
      };
    }
    const { q } = needs;
    if (!needs.latent) return { q: matrix(q), k: matrix(needs.k), v: matrix(needs.v) };
    return {
      latent: true,
      qDown: needs.qDown && matrix(needs.qDown),
      qDownNorm: needs.qDownNorm && vector(needs.qDownNorm),
      q: matrix(q),
      kvDown: matrix(needs.kvDown),
      kvDownNorm: vector(needs.kvDownNorm),
      kUp: needs.kUp.map(matrix),
      vUp: needs.vUp.map(matrix),
    };
  }

  #feedForward(needs: LayerNeeds["feedForward"], layer: number): LayerWeights["feedForward"] {
    if (needs.experts === undefined) return this.#block(needs, layer);
    const { router, choiceBias, experts, shared, sharedGate } = needs;
    // The first is found before there are objects for all that a number in the file speaks of.
    return {
      router: this.matrix(router, layer),
      choiceBias: choiceBias && this.optional(choiceBias, layer),
      shared: shared && this.#block(shared, layer),
      // Kernels multiply whole blocks of columns.
      sharedGate:
        sharedGate && this.vector(sharedGate, layer, Math.ceil(router.cols / BLOCK_COLS) * BLOCK_COLS),
      experts: [
        this.#block(needs.expert(0), layer),
        ...Array.from({ length: experts - 1 }, (_, i) => this.#block(needs.expert(i + 1), layer)),
      ],
    };
  }

  #block({ gate, up, down }: BlockNeeds, layer: number): BlockWeights {
    return {
      gate: gate && this.matrix(gate, layer),
      up: this.matrix(up, layer),
      down: this.matrix(down, layer),
    };
  }

  matrix({ view, cols, bias, precise }: MatrixNeed, layer?: number): Matrix {
    const info = this.#find(view, shapeOf(view, cols), layer);
    const { firstRow, rows } = view;
    const format = weightFormats[precise ? "f32" : this.#format(info)];
    const strips = Math.ceil(rows / PADDED_ROWS) * (PADDED_ROWS / TILE_ROWS);
    const blocks = Math.ceil(cols / BLOCK_COLS);
    const address = this.#arena.alloc(strips * blocks * format.tileBytes);
    const placed: Matrix = {
      kind: "matrix",
      info,
      firstRow,
      format,
      address,
      rows,
      cols,
      strips,
      blocks,
      // Kernels add whole strips of it.
      bias: bias && this.optional(bias, layer, strips * TILE_ROWS),
    };
    this.#all.push(placed);
    return placed;
  }

  /** @param room values that there is room for; those behind its own stay zero */
  vector({ view, bias }: VectorNeed, layer?: number, room = view.rows): Vector {
    const info = this.#find(view, shapeOf(view), layer);
    const { firstRow, rows: length } = view;
    const { blockCols } = fileTypes.get(info.type) as { blockCols: number };
    if (firstRow % blockCols || (length < view.tensorRows && length % blockCols)) {
      throw new UnsupportedError(
        `Cannot load tensor ${info.name} of ${info.source.name}: Unsupported type ${info.type} of a vector whose parts are no whole blocks; ${OTHER_FILE}`,
      );
    }
    const address = this.#arena.alloc(4 * room);
    const placed: Vector = {
      kind: "vector",
      info,
      firstRow,
      address,
      length,
      bias: bias && this.optional(bias, layer),
    };
    this.#all.push(placed);
    return placed;
  }

  /** A vector that files need not have, if it says so. */
  optional(need: VectorNeed, layer?: number, room?: number): Vector | undefined {
    if (need.presence === "optional" && !this.has(need.view, layer)) return undefined;
    return this.vector(need, layer, room);
  }

  /** Whether the file has a view's tensor. */
  has(view: View, layer?: number): boolean {
    return this.#file.tensors.has(this.#nameOf(view, layer));
  }

  /** @throws UnsupportedError for a tensor that nothing needs */
  refuseOthers(): void {
    const { name, ignored } = this.#architecture;
    for (const tensor of this.#file.tensors.keys()) {
      if (this.#used.has(tensor) || ignored?.test(tensor)) continue;
      throw new UnsupportedError(
        `Cannot load tensor ${quoted(tensor)} of ${this.#file.source.name}: Unsupported by architecture ${name}; leaving it out would change results`,
      );
    }
  }

  inFileOrder(): readonly (Matrix | Vector)[] {
    return this.#all.sort((a, b) => a.info.offset - b.info.offset || a.firstRow - b.firstRow);
  }

  #nameOf(view: View, layer = 0): string {
    return this.#architecture.tensors(view.tensor, layer);
  }

  #find(view: View, shape: readonly number[], layer: number | undefined): TensorInfo {
    const name = this.#nameOf(view, layer);
    const info = this.#file.tensors.get(name);
    const expected = `Expected shape [${shape.join(", ")}]`;
    if (!info)
      throw new FormatError(`Cannot load tensor ${name} of ${this.#file.source.name}: ${expected}, got none`);
    if (info.shape.length !== shape.length || shape.some((n, i) => info.shape[i] !== n)) {
      throw new FormatError(
        `Cannot load tensor ${name} of ${info.source.name}: ${expected}, got [${info.shape.join(", ")}]`,
      );
    }
    assertTensorType(info);
    this.#used.add(name);
    return info;
  }
}
