// Buffers that a plan works on besides weights and the KV cache, and their addresses.
import { ACT_TOKENS, BLOCK_COLS, PADDED_ROWS } from "../../../assembly/layout/blocks.ts";
import { ROUTED_BYTES, ROUTED_LIST } from "../../../assembly/layout/ops.ts";
import type { Arena } from "../../kernels/arena.ts";
import { weightFormats } from "../../quant/registry.ts";
import type { ExpertsSpec, HeadsSpec, LatentSpec, LayerSpec, Model } from "../arch/spec.ts";
import type { ModelConfig } from "../config.ts";
import { channelsOf, distinctHeads, headsOf, hiddenDimOf, largest } from "../heads.ts";
import { distinctRopes, type RopeTable } from "../rope.ts";
import {
  blockInputs,
  blockOf,
  type LayerWeights,
  type Matrix,
  sharedInputs,
  type Vector,
} from "../weights/weights.ts";

/** Rows of equal length, `stride` bytes apart. */
export interface Rows {
  readonly address: number;
  readonly stride: number;
}

/** Addresses of what a plan works on, and the strides between its rows. */
export interface Buffers {
  /** Hidden states, f32 [batch][dim]. */
  readonly x: Rows;
  /** Activations in the format of the next matmul [batch]. */
  readonly act: Rows;
  /** The same in another format each, if matrices with the same input take several formats. */
  readonly moreActs: readonly Rows[];
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  /** Attention's result, f32 [batch][nHeads * headDim]; the padding stays zero. */
  readonly attention: Rows;
  readonly gate: Rows;
  readonly up: Rows;
  /** What a block makes before it is added to x, f32 [batch][dim]; x itself in layers that add it as it is. */
  readonly result: Rows;
  /** f32 [dim] of 1: weights of norms that have none. */
  readonly ones: NormWeights;
  /** f32 [outputs][vocabSize]. */
  readonly logits: Rows;
  /** Frequencies and angles of each rotation of the model. */
  readonly ropes: readonly RopeTable[];
  /** The tables of each shape of heads. */
  readonly heads: readonly HeadTables[];
  /** Undefined if no layer has latent attention. */
  readonly latent?: LatentBuffers;
  /** Undefined if no layer has a mixer, or none has gated heads. */
  readonly mixer?: MixerBuffers;
  readonly gated?: GatedBuffers;
  /** Undefined if no layer has experts. */
  readonly experts?: ExpertBuffers;
}

/** What mixers work on, f32 [batch][...]. */
export interface MixerBuffers {
  /** What is convolved, and what becomes of it. */
  readonly input: Rows;
  readonly mixed: Rows;
  /** Of delta-nets: what heads give, what it is multiplied by, and of each head decay and learning rate. */
  readonly heads: Rows;
  readonly gate: Rows;
  readonly alpha: Rows;
  readonly beta: Rows;
}

/** Rows of heads with a query and a gate each; the gates of all heads, as far apart as attention's rows. */
export interface GatedBuffers {
  readonly queries: Rows;
  readonly gates: Rows;
}

/** What latent attention works on, f32 [batch][...]. */
export interface LatentBuffers {
  /** Queries: of each head plainDim + ropeDim values; the short rows that they are made of. */
  readonly queries: Rows;
  readonly short: Rows;
  /** Values of each head, one behind the other. */
  readonly values: Rows;
  /** A part of each head, padded to whole blocks, and the same as activations [nHeads][batch]. */
  readonly parts: Rows;
  readonly acts: readonly Rows[];
}

/** Weights of a norm, and its bias. */
export type NormWeights = Pick<Vector, "address" | "length" | "bias">;

/** Which query heads read which heads of keys and values: addresses of the i32 tables of gqa.ts. */
export interface HeadTables {
  readonly shape: HeadsSpec;
  readonly heads: number;
  readonly groups: number;
}

/**
 * What experts work on. A slot is a token's row for one of its experts: see assembly/layout/ops.ts. Those of shared experts
 * are behind all others, one for each token.
 */
export interface ExpertBuffers {
  /** The router's products, f32 [batch][experts]. */
  readonly router: Rows;
  /** The routing table, its slots and its picks. */
  readonly route: number;
  readonly slots: number;
  readonly picks: number;
  /** The slot of token 0 for a shared expert. */
  readonly sharedSlot: number;
  /** Inputs of experts [slots], in a format each. */
  readonly acts: readonly Rows[];
  /** f32 [slots][hiddenDim or dim]: what gate and up make, and then, over that of gate, down. */
  readonly gate: Rows;
  readonly up: Rows;
}

/** Gives every buffer its address, for steps of at most `batch` tokens and `outputs` rows of logits. */
export function placeBuffers(
  { config, layers: specs }: Model,
  layers: readonly LayerWeights[],
  arena: Arena,
  batch: number,
  outputs: number,
): Buffers {
  const { dim, vocabSize } = config;
  const most = (of: (heads: HeadsSpec) => number) => largest(specs, (spec) => of(headsOf(spec, config)));
  const qDim = most(({ nHeads, headDim }) => nHeads * headDim);
  const kvDim = most(({ nKvHeads, headDim }) => nKvHeads * headDim);
  // Of experts, only what the shared one works on lies in rows of tokens.
  const hiddenDim = largest(specs, (spec) => {
    const { experts } = spec.feedForward;
    return experts ? (experts.shared?.hiddenDim ?? 0) : hiddenDimOf(spec, config);
  });
  const rows = (n: number, count: number, pad: number) => placeRows(arena, n, count, pad);
  const mixers = mixerDims(specs, dim);
  const widest = Math.max(dim, hiddenDim, qDim, mixers.inner, ...latentDims(specs));
  const acts = () => placeActs(arena, widest, batch);
  const x = rows(dim, batch, BLOCK_COLS);
  return {
    x,
    act: acts(),
    moreActs: Array.from({ length: mostFormats(inputsOf(specs, layers)) - 1 }, acts),
    q: rows(qDim, batch, PADDED_ROWS),
    k: rows(kvDim, batch, PADDED_ROWS),
    v: rows(kvDim, batch, PADDED_ROWS),
    attention: rows(qDim, batch, BLOCK_COLS),
    gate: rows(hiddenDim, batch, PADDED_ROWS),
    up: rows(hiddenDim, batch, PADDED_ROWS),
    result: specs.some(hasResult) ? rows(dim, batch, BLOCK_COLS) : x,
    ones: { address: arena.alloc(4 * Math.max(dim, mixers.headDim)), length: dim },
    logits: rows(vocabSize, outputs, PADDED_ROWS),
    ropes: distinctRopes(specs.map(({ attention }) => attention.rope)).map((rope) => ({
      rope,
      freqs: arena.alloc(2 * rope.dim + 4),
      angles: arena.alloc(4 * rope.dim * batch),
    })),
    heads: distinctHeads(specs, config).map((shape) => ({
      shape,
      heads: arena.alloc(4 * shape.nHeads),
      groups: arena.alloc(4 * (shape.nKvHeads + 1)),
    })),
    ...placeLatent(specs, config, arena, batch),
    ...placeMixers(specs, mixers, arena, batch),
    ...(specs.some(({ attention }) => attention.gated) && {
      gated: { queries: rows(2 * qDim, batch, PADDED_ROWS), gates: rows(qDim, batch, BLOCK_COLS) },
    }),
    ...placeExperts(specs, layers, arena, dim, batch),
  };
}

// The most that mixers have of each kind of row.
function mixerDims(specs: readonly LayerSpec[], dim: number) {
  const most = { input: 0, mixed: 0, inner: 0, heads: 0, headDim: 0 };
  const raise = (part: keyof typeof most, n: number) => {
    most[part] = Math.max(most[part], n);
  };
  for (const { mixer } of specs) {
    if (!mixer) continue;
    const isConv = mixer.kind === "short convolution";
    raise("input", isConv ? 3 * dim : channelsOf(mixer));
    raise("mixed", isConv ? dim : channelsOf(mixer));
    if (isConv) continue;
    raise("inner", mixer.heads * mixer.headDim);
    raise("heads", mixer.heads);
    raise("headDim", mixer.headDim);
  }
  return most;
}

function placeMixers(
  specs: readonly LayerSpec[],
  { input, mixed, inner, heads }: ReturnType<typeof mixerDims>,
  arena: Arena,
  batch: number,
): Pick<Buffers, "mixer"> {
  if (specs.every(({ mixer }) => !mixer)) return {};
  const rows = (n: number) => placeRows(arena, n, batch, BLOCK_COLS);
  return {
    mixer: {
      input: rows(input),
      mixed: rows(mixed),
      heads: rows(inner),
      gate: rows(inner),
      alpha: rows(heads),
      beta: rows(heads),
    },
  };
}

/** Whether what the blocks of a layer make is changed before it is added to x. */
export function hasResult({ norms = "before", residualScale = 1 }: LayerSpec): boolean {
  return norms !== "before" || residualScale !== 1;
}

// What latent attention quantizes as a whole: the short rows of queries, and the values of all heads, which are no longer
// than rows of the cache.
function latentDims(specs: readonly LayerSpec[]): number[] {
  return specs.map(({ attention }) => attention.latent?.queryRank ?? 0);
}

// Kernels of several tokens compute ACT_TOKENS at a time.
function placeRows(arena: Arena, n: number, count: number, pad: number): Rows {
  const stride = 4 * padded(n, pad);
  return { address: arena.alloc(stride * (count > 1 ? padded(count, ACT_TOKENS) : 1)), stride };
}

// Rows of up to n values in any activation format.
function placeActs(arena: Arena, n: number, count: number): Rows {
  const blockBytes = Object.values(weightFormats).map((format) => format.activationBlockBytes);
  const stride = (padded(n, BLOCK_COLS) / BLOCK_COLS) * Math.max(...blockBytes);
  return { address: arena.alloc(stride * padded(count, ACT_TOKENS)), stride };
}

function placeLatent(
  specs: readonly LayerSpec[],
  config: ModelConfig,
  arena: Arena,
  batch: number,
): Pick<Buffers, "latent"> {
  const layers = specs.filter(({ attention }) => attention.latent);
  if (layers.length === 0) return {};
  const most = (of: (latent: LatentSpec, nHeads: number) => number) =>
    largest(layers, (spec) => of(spec.attention.latent as LatentSpec, headsOf(spec, config).nHeads));
  const part = most(({ rank, plainDim }) => padded(Math.max(rank, plainDim), BLOCK_COLS));
  const nHeads = most((_, heads) => heads);
  return {
    latent: {
      queries: placeRows(
        arena,
        most((l, n) => n * (l.plainDim + l.ropeDim)),
        batch,
        PADDED_ROWS,
      ),
      short: placeRows(
        arena,
        most(({ queryRank = 1 }) => queryRank),
        batch,
        BLOCK_COLS,
      ),
      values: placeRows(
        arena,
        most(({ valueDim }, n) => n * valueDim),
        batch,
        BLOCK_COLS,
      ),
      parts: placeRows(arena, nHeads * part, batch, BLOCK_COLS),
      acts: Array.from({ length: nHeads }, () => placeActs(arena, part, batch)),
    },
  };
}

function placeExperts(
  specs: readonly LayerSpec[],
  layers: readonly LayerWeights[],
  arena: Arena,
  dim: number,
  batch: number,
): Pick<Buffers, "experts"> {
  const experts = specs.flatMap(({ feedForward }) => feedForward.experts ?? []);
  if (experts.length === 0) return {};
  const most = (size: (spec: ExpertsSpec) => number) => Math.max(...experts.map(size));
  const n = most((spec) => spec.n);
  const used = most((spec) => spec.used);
  const shared = experts.some((spec) => spec.shared) ? 1 : 0;
  const picks = batch * (used + shared);
  // An expert of several tokens has up to three slots more, and never more than twice its tokens.
  const slots = batch * used + Math.min(batch * used, (ACT_TOKENS - 1) * n);
  const sharedSlot = padded(slots, ACT_TOKENS);
  const sharedSlots = shared * padded(batch, ACT_TOKENS);
  const width = Math.max(
    dim,
    most(({ hiddenDim }) => hiddenDim),
  );
  const inputs = layers
    .filter(({ feedForward }) => feedForward.experts)
    .flatMap((layer) => blockInputs(blockOf(layer)));
  return {
    experts: {
      router: placeRows(arena, n, batch, PADDED_ROWS),
      route: arena.alloc(ROUTED_LIST + ROUTED_BYTES * n),
      slots: arena.alloc(8 * slots),
      picks: arena.alloc(8 * picks),
      sharedSlot,
      acts: Array.from({ length: mostFormats(inputs) }, () => placeActs(arena, width, slots)),
      gate: placeRows(arena, width, sharedSlot + sharedSlots, PADDED_ROWS),
      up: placeRows(arena, width, slots, PADDED_ROWS),
    },
  };
}

function inputsOf(specs: readonly LayerSpec[], layers: readonly LayerWeights[]) {
  return layers.flatMap((layer, i) => sharedInputs(layer, specs[i]?.parallel === "one norm"));
}

// Formats that an input is written in, at most; 1 without matrices.
function mostFormats(inputs: readonly (readonly Matrix[])[]): number {
  return Math.max(1, ...inputs.map((matrices) => actFormats(matrices).length));
}

/** ACT_* of the activations that some matrices take, each once. */
export function actFormats(matrices: readonly Matrix[]): number[] {
  return [...new Set(matrices.map(({ format }) => format.activation))];
}

/** The next multiple of `to`. */
export function padded(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
