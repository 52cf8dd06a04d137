// The layout of a model's linear memory: every address, decided from the file's header.
import {
  GROUP_STRIPS,
  KV_PAGE,
  PADDED_ROWS,
  UNPACKED_BLOCKS,
  UNPACKED_BYTES,
} from "../../assembly/layout/blocks.ts";
import { CONTROL_BYTES, PACK_SCRATCH_BYTES } from "../../assembly/layout/control.ts";
import { RECORD_BYTES } from "../../assembly/layout/ops.ts";
import type { ModelFile } from "../format/model_file.ts";
import { Arena } from "../kernels/arena.ts";
import { MAX_WASM_PAGES, WASM_PAGE } from "../kernels/instance.ts";
import type { Architecture, Model } from "../model/arch/spec.ts";
import type { KvType, ModelConfig, Precision } from "../model/config.ts";
import { headsOf, hiddenDimOf, largest, stateOf } from "../model/heads.ts";
import { attentionScratchBytes } from "../model/kernel_sizes.ts";
import { type KvLayout, kvLayout, type LayerKv } from "../model/kv_layout.ts";
import { type Buffers, placeBuffers } from "../model/plan/buffers.ts";
import { buildPlan } from "../model/plan/plan.ts";
import type { Plan } from "../model/plan/writer.ts";
import { readModel } from "../model/read_model.ts";
import { type ContextOptions, scaledModel } from "../model/scaled_model.ts";
import type { ChooseFormat } from "../model/weights/formats.ts";
import { placeWeights } from "../model/weights/place.ts";
import type { ModelWeights } from "../model/weights/weights.ts";
import { fileTypes } from "../quant/registry.ts";
import { samplerBytes } from "../sample/chain.ts";
import { mebibytes } from "../util/bytes.ts";
import { MemoryError } from "../util/errors.ts";
import { type Grids, placeGrids } from "./grids.ts";
import { MAX_SEGMENTS, placeStepArea, type StepArea } from "./step_area.ts";

/** Tokens of one step. More reuse each weight more often; beyond this the gain is small. */
export const MAX_BATCH = 64;
/** Logits of one step: as many rows as fit here, and at least one for each of its sequences. */
const LOGITS_BYTES = 4 << 20;
/** File bytes in memory while weights are packed. A few rows of wide matrices need more. */
const STAGING_BYTES = 1 << 20;
/** Bytes that one memory can use: all but the last page, so that the end of a buffer is never 2^32, which is 0. */
export const ADDRESSABLE_BYTES = WASM_PAGE * (MAX_WASM_PAGES - 1);

/**
 * What memory may grow by if nobody says: so many sessions with a full context, and many short ones of small models.
 * Not more, because some runtimes reserve all of it at once.
 */
const GROWTH_SESSIONS = 64;
const GROWTH_BYTES = 256 << 20;

/** A model's whole linear memory, decided before it exists. */
export interface Layout {
  readonly config: ModelConfig;
  readonly contextLength: number;
  readonly weights: ModelWeights;
  readonly buffers: Buffers;
  readonly kv: KvLayout;
  readonly plan: Plan;
  readonly planAddress: number;
  readonly step: StepArea;
  /** Scratch of each thread; the first is the host's own. */
  readonly scratches: readonly number[];
  /** The record that weights are packed by. */
  readonly packRecord: number;
  readonly sampler: number;
  /** What decoders read while weights are packed. */
  readonly grids: Grids;
  /** Most tokens of a step. */
  readonly batch: number;
  /** Rows of logits in a step. */
  readonly maxOutputs: number;
  /** Two buffers of `bytes` bytes each, one after the other. */
  readonly staging: { readonly address: number; readonly bytes: number };
  /** Address of the pages of one sequence, `kv.sequenceBytes` bytes. */
  readonly pages: number;
  /** Bytes from address 0. */
  readonly totalBytes: number;
  /** Bytes that memory may grow to: the budget, or what sessions may need. The runtime may give less. */
  readonly maxBytes: number;
}

/** What decides a layout besides the file. */
export interface LayoutOptions extends ContextOptions {
  readonly precision?: Precision | undefined;
  readonly kv?: KvType | undefined;
  readonly maxBytes?: number | undefined;
  /** Threads that compute; default 1. */
  readonly threads?: number | undefined;
  /** Where the layout begins, CONTROL_BYTES or more: for tests of high addresses. */
  readonly base?: number | undefined;
  /** The format of each matrix in memory, instead of `precision`: for tests of mixed formats. */
  readonly formats?: ChooseFormat | undefined;
  /** Architectures instead of the registry's: for tests of others. */
  readonly architectures?: readonly Architecture[] | undefined;
}

// Bytes that a group of the widest matrix is unpacked to, for several tokens.
function unpackedBytes(weights: ModelWeights): number {
  const blocks = weights.all.map((weight) =>
    weight.kind === "matrix" && weight.format.scaled ? Math.min(weight.blocks, UNPACKED_BLOCKS) : 0,
  );
  return Math.max(...blocks) * GROUP_STRIPS * UNPACKED_BYTES;
}

// Bytes that a thread works in.
function scratchBytes({ config, layers }: Model, weights: ModelWeights): number {
  const width = largest(layers, (spec) => {
    const { nHeads, headDim } = headsOf(spec, config);
    const inner = spec.mixer?.kind === "delta net" ? spec.mixer.heads * spec.mixer.headDim : 0;
    return Math.max(hiddenDimOf(spec, config), inner, spec.attention.gated ? nHeads * headDim : 0);
  });
  // Experts are chosen in a row of their number.
  const experts = largest(layers, ({ feedForward }) => feedForward.experts?.n ?? 0);
  const rowBytes = 4 * (Math.max(config.dim, width, experts) + 32);
  const attentionBytes = largest(layers, (spec) => {
    const { headDim, nHeads, nKvHeads } = headsOf(spec, config);
    return attentionScratchBytes(headDim, nHeads / nKvHeads);
  });
  const tapBytes = largest(layers, ({ mixer }) => 64 * (mixer?.taps ?? 0));
  return Math.max(rowBytes, attentionBytes, tapBytes, PACK_SCRATCH_BYTES, unpackedBytes(weights));
}

// Bytes of file data that PADDED_ROWS rows of the widest matrix take.
function stagingBytes(weights: ModelWeights): number {
  let most = STAGING_BYTES;
  for (const weight of weights.all) {
    if (weight.kind === "vector") continue;
    const type = fileTypes.get(weight.info.type);
    // Scales of llama2.c groups, at worst one f32 for each value, ride along.
    const perValue = type ? type.blockBytes / type.blockCols + (weight.info.scales ? 4 : 0) : 0;
    most = Math.max(most, Math.ceil(PADDED_ROWS * weight.cols * perValue) + 64);
  }
  return most;
}

/**
 * Decides the memory of a model: weights, KV pages, activations, plan.
 * @throws FormatError, UnsupportedError for what the file says; UsageError for a context longer than the
 *   model's; MemoryError if the whole does not fit `maxBytes` or one memory. Nothing has been allocated then.
 */
export async function planLayout(file: ModelFile, options: LayoutOptions): Promise<Layout> {
  const budget = Math.min(options.maxBytes ?? ADDRESSABLE_BYTES, ADDRESSABLE_BYTES);
  const read = readModel(file, options.architectures);
  const { model, contextLength } = scaledModel(read, file.source.name, options);
  const { config } = model;
  const kvType = options.kv ?? (options.precision === "f32" ? "f32" : "f16");
  const batch = Math.min(MAX_BATCH, contextLength);
  const maxOutputs = Math.min(
    batch,
    Math.max(MAX_SEGMENTS, Math.floor(LOGITS_BYTES / (4 * config.vocabSize))),
  );

  const begin = options.base ?? CONTROL_BYTES;
  const arena = new Arena(begin);
  const weights = placeWeights(file, model, arena, options.formats ?? options.precision);
  const weightBytes = arena.size - begin;
  const kvOf = (length: number) => kvLayout(kvType, layersKv(model), length, batch);
  const kv = kvOf(contextLength);
  const pages = arena.alloc(kv.sequenceBytes);
  const buffers = placeBuffers(model, weights.layers, arena, batch, maxOutputs);
  const plan = buildPlan(model, weights, buffers, kv.layers);
  const planAddress = arena.alloc(plan.words.byteLength);
  const step = placeStepArea(arena, { batch, maxOutputs }, kv);
  const scratch = scratchBytes(model, weights);
  const scratches = Array.from({ length: options.threads ?? 1 }, () => arena.alloc(scratch));
  const packRecord = arena.alloc(RECORD_BYTES);
  const sampler = arena.alloc(samplerBytes(config.vocabSize));
  const grids = placeGrids(weights.all, arena);
  const stagingSize = Math.ceil(stagingBytes(weights) / 64) * 64;
  const staging = { address: arena.alloc(2 * stagingSize), bytes: stagingSize };
  if (arena.size > budget) {
    const parts = { weights: weightBytes, pages: kv.sequenceBytes, all: arena.size };
    throw tooLarge(file.source.name, budget, contextLength, parts, (length) => kvOf(length).sequenceBytes);
  }
  const growth = Math.max(GROWTH_BYTES, GROWTH_SESSIONS * kv.sequenceBytes);
  const maxBytes = options.maxBytes === undefined ? Math.min(arena.size + growth, budget) : budget;
  return {
    config,
    contextLength,
    weights,
    buffers,
    kv,
    plan,
    planAddress,
    step,
    scratches,
    packRecord,
    sampler,
    grids,
    batch,
    maxOutputs,
    staging,
    pages,
    totalBytes: arena.size,
    maxBytes,
  };
}

function layersKv({ config, layers }: Model): LayerKv[] {
  return layers.map((spec) => {
    const { nKvHeads, headDim } = headsOf(spec, config);
    const { mixer } = spec;
    if (!mixer) return { nKvHeads, headDim, window: spec.attention.window };
    const none = { nKvHeads: 0, headDim: 0 };
    return mixer.kind === "short convolution"
      ? { ...none, rows: config.dim, window: mixer.taps }
      : { ...none, state: stateOf(mixer).values };
  });
}

function tooLarge(
  name: string,
  budget: number,
  contextLength: number,
  { weights, pages, all }: { readonly [part in "weights" | "pages" | "all"]: number },
  pagesOf: (length: number) => number,
): MemoryError {
  // Behind fewer pages, buffers are aligned to 64 bytes anew.
  const left = budget - (all - pages) - 64;
  let [room, tooLong] = [0, Math.ceil(contextLength / KV_PAGE) * KV_PAGE];
  while (tooLong - room > KV_PAGE) {
    const middle = Math.floor((room + tooLong) / 2 / KV_PAGE) * KV_PAGE;
    if (pagesOf(middle) <= left) room = middle;
    else tooLong = middle;
  }
  const wayOut =
    room > 0 ? `it fits with contextLength: ${room}` : "take a file of fewer bits a weight, such as Q4_K_M";
  const limit = budget < ADDRESSABLE_BYTES ? "the budget" : "one WebAssembly memory";
  return new MemoryError(
    `Cannot load ${name}: Expected at most ${budget} bytes (${limit}), it takes ${all}: ` +
      `weights ${mebibytes(weights)}, KV cache of ${contextLength} positions ${mebibytes(pages)}, ` +
      `the rest ${mebibytes(all - weights - pages)}; ${wayOut}`,
  );
}
