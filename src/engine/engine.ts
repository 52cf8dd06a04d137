import * as control from "../../assembly/layout/control.ts";
import { REC_BARRIER, REC_FLAGS, RECORD_WORDS } from "../../assembly/layout/ops.ts";
import type { ModelFile } from "../format/model_file.ts";
import {
  createInstance,
  type KernelInstance,
  type ReservedMemory,
  reserveMemory,
  WASM_PAGE,
} from "../kernels/instance.ts";
import { compileVariant, pickVariant, type Variant, variantWorks } from "../kernels/variant.ts";
import { headTable } from "../model/gqa.ts";
import { type HolderKind, type PageMemory, PagePool, Sequence } from "../model/kv_cache.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { createSampler, type Sampler } from "../sample/chain.ts";
import type { ResolvedSampling } from "../sample/registry.ts";
import { mebibytes } from "../util/bytes.ts";
import { EngineError, MemoryError } from "../util/errors.ts";
import { Turn } from "../util/turn.ts";
import { yieldToEvents, yieldToRequests } from "../util/yield.ts";
import { type Layout, type LayoutOptions, MAX_SEGMENTS, planLayout } from "./layout.ts";
import { loadWeights } from "./load_weights.ts";
import type { WeightProgress } from "./options.ts";
import { WorkerPool } from "./pool.ts";

/** One sequence's part of a step: ids[begin..end) continue it. */
export interface Segment {
  readonly sequence: Sequence;
  readonly ids: ArrayLike<number>;
  readonly begin: number;
  readonly end: number;
  /** Which positions' logits are wanted. */
  readonly outputs: "none" | "last" | "all";
}

/** What building an engine takes besides the file. */
export interface EngineOptions extends LayoutOptions {
  readonly kernel?: Variant | undefined;
  readonly workerUrl?: string | URL | undefined;
  readonly onProgress?: ((progress: WeightProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

// Records up to one with a barrier, where the engine may pause, and the weights that they read.
interface Slice {
  readonly end: number;
  readonly bytes: number;
}

// Longest that the engine computes without letting the runtime handle events.
const SLICE_MS = 10;
// Weights that are read between two chances to pause: some milliseconds of work for one token. More tokens take
// longer over the same bytes, once arithmetic is what bounds them.
const SLICE_BYTES = 64 << 20;
const TOKENS_OF_A_READ = 4;

function stopped(status: number): EngineError {
  const reasons: Record<number, string> = {
    [control.STATUS_CANCELLED]: "it was cancelled",
    [control.STATUS_TIMEOUT]: "a thread did not arrive at the barrier",
    [control.STATUS_BAD_RECORD]: "the plan holds an unknown record",
    [control.STATUS_TRAP]: "a kernel trapped in another thread",
  };
  return new EngineError(`Cannot run the step: ${reasons[status] ?? `status ${status}`}`);
}

// Takes the pages that a step writes, for all of its sequences or for none; why there is none.
function reserve(segments: readonly Segment[]): MemoryError | undefined {
  try {
    for (const { sequence, begin, end } of segments) sequence.reserve(end - begin);
  } catch (error) {
    for (const { sequence } of segments) sequence.rollback(sequence.length);
    if (error instanceof MemoryError) return error;
    throw error;
  }
}

function advance(segments: readonly Segment[]): void {
  for (const { sequence, begin, end } of segments) sequence.advance(end - begin);
}

// Memory that a runtime gave, for a layout and a build that it accepts.
interface Allocation {
  readonly layout: Layout;
  readonly variant: Variant;
  readonly reserved: ReservedMemory;
}

// Shared memory that a runtime refuses is not worth an error where nobody asked for threads.
async function allocate(file: ModelFile, runtime: Runtime, options: EngineOptions): Promise<Allocation> {
  const { variant, threads } = chooseKernel(runtime, options);
  const layout = await planLayout(file, { ...options, threads });
  const shared = variant.endsWith("-shared");
  try {
    return { layout, variant, reserved: reserveMemory(layout.totalBytes, shared, layout.maxBytes) };
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    const asked = options.kernel !== undefined || (options.threads ?? 1) > 1;
    if (shared && !asked) return allocate(file, runtime, { ...options, threads: 1 });
    const alone = shared ? "load with threads: 1, which needs no shared memory; " : "";
    throw new MemoryError(`${error.message}; ${alone}${runtime.memoryHint}`, { cause: error.cause });
  }
}

// A model that nobody refers to any more, and nobody disposed, ends its threads once it is collected: they would hold
// its memory as long as the process lives.
const abandoned = {
  registry: undefined as FinalizationRegistry<WorkerPool> | undefined,
  register(engine: Engine, pool: WorkerPool): void {
    this.registry ??= new FinalizationRegistry((pool) => pool.stop());
    this.registry.register(engine, pool);
  },
};

// What a thread's death does to an engine, which the thread must not keep from being collected.
function retiring(engine: Engine): (reason: string) => void {
  const weak = new WeakRef(engine);
  return (reason) => weak.deref()?.retire(new EngineError(`Cannot go on: a compute thread died (${reason})`));
}

// Threads share memory; without them the unshared build serves any runtime.
function chooseKernel(
  runtime: Runtime,
  options: EngineOptions,
): { readonly variant: Variant; readonly threads: number } {
  const { kernel } = options;
  const shared = kernel === undefined ? variantWorks("simd-shared") : kernel.endsWith("-shared");
  const threads = shared && runtime.threads ? (options.threads ?? runtime.cores) : 1;
  const variant = kernel ?? pickVariant(threads > 1);
  // A runtime may validate shared builds and not compile them.
  return { variant, threads: variant.endsWith("-shared") ? threads : 1 };
}

/** A model in linear memory, ready to run steps. One step at a time; callers queue. */
export class Engine {
  readonly layout: Layout;
  readonly variant: Variant;
  readonly pool: PagePool;
  /** Bytes that memory can grow to: the layout's, or less where the runtime gave less. */
  readonly maxBytes: number;
  /** Whether steps, and loading, let the runtime handle events. */
  readonly pauses: boolean;
  /** Held by whoever runs a step or reads its logits. */
  readonly turn: Turn = new Turn();
  readonly #kernel: KernelInstance;
  readonly #slices: readonly Slice[];
  #words: Int32Array;
  #floats: Float32Array;
  // The first slice of the step that has not run.
  #nextSlice = 0;
  #workers: WorkerPool | undefined;
  #failure: Error | undefined;
  #lastYield = performance.now();

  private constructor(
    layout: Layout,
    kernel: KernelInstance,
    variant: Variant,
    pauses: boolean,
    maxBytes: number,
  ) {
    this.layout = layout;
    this.maxBytes = maxBytes;
    this.pauses = pauses;
    this.variant = variant;
    this.#kernel = kernel;
    this.#words = new Int32Array(kernel.memory.buffer);
    this.#floats = new Float32Array(kernel.memory.buffer);
    this.pool = new PagePool(
      this.#pageMemory(),
      layout.pages.bytes,
      layout.pages.address,
      layout.pages.count,
    );
    this.#slices = this.#writePlan();
  }

  /**
   * Decides the layout, allocates it, and streams the weights in.
   * @throws what planLayout and loadWeights throw.
   */
  static async create(file: ModelFile, options: EngineOptions): Promise<Engine> {
    const runtime = detectRuntime();
    const { layout, variant, reserved } = await allocate(file, runtime, options);
    const kernel = await createInstance(compileVariant(variant), reserved.memory);
    const engine = new Engine(layout, kernel, variant, runtime.pauses, reserved.maxBytes);
    // Threads start while the first weights arrive, and help with the rest.
    const starting = engine.#startThreads(runtime, options.workerUrl);
    // It may fail while weights still come, before anybody waits for it.
    starting.catch(() => {});
    try {
      await loadWeights(file.source, engine, options.onProgress, options.signal);
      await file.checkEnd?.();
      await starting;
    } catch (error) {
      await starting.catch(() => {});
      engine.retire(new EngineError("Cannot use a model whose loading failed"));
      throw error;
    }
    engine.#writeTables();
    return engine;
  }

  /** Whether it was retired. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Threads that compute. */
  get threads(): number {
    return this.layout.scratches.length;
  }

  /** Runs the layout's pack record on all threads. */
  pack(): void {
    this.#runRecords(this.layout.packRecord, 0, 1);
  }

  /** An empty sequence over this engine's KV cache. Where nobody frees it, its pages come back once it is collected. */
  sequence(kind?: HolderKind): Sequence {
    return new Sequence(this.pool, this.layout.contextLength, kind);
  }

  /** Gives a sequence's pages back, after the step that may be writing them. */
  release(sequence: Sequence): void {
    const free = () => {
      sequence.free();
      this.turn.release();
    };
    const waiting = this.turn.take();
    if (waiting) void waiting.then(free);
    else free();
  }

  /** Most tokens of a step. */
  get maxBatch(): number {
    return this.layout.batch;
  }

  /** Kernels and memory, for what works on logits in place. */
  get kernel(): KernelInstance {
    return this.#kernel;
  }

  /** A sampler that chooses among the first `vocabSize` logits of a step that asks for one row. */
  sampler(options: ResolvedSampling, vocabSize: number): Sampler {
    const { exports, memory } = this.#kernel;
    return createSampler(options, exports, {
      memory,
      logitsPtr: this.logitsAddress(0),
      scratchPtr: this.layout.sampler,
      vocabSize,
      rows: this.layout.config.vocabSize,
    });
  }

  /** Address of row `i` of the last step's logits: f32 [vocabSize]. */
  logitsAddress(i: number): number {
    return this.layout.buffers.logits.address + i * this.layout.buffers.logits.stride;
  }

  /** Row `i` of the last step's logits, read in place: valid until the next step. */
  logits(i: number): Float32Array {
    this.#refreshViews();
    const begin = this.logitsAddress(i) / 4;
    return this.#floats.subarray(begin, begin + this.layout.config.vocabSize);
  }

  /**
   * Runs one step over all segments, for who holds the turn. A step that ends within a time slice is over at
   * the return, and makes no object; the promise is that of a longer one, which lets the runtime handle events
   * and notices an abort between its slices.
   * A step that fails or is aborted leaves the sequences at the length they had.
   * @throws MemoryError where there is no page, not even after a garbage collection
   */
  run(segments: readonly Segment[], signal?: AbortSignal): Promise<void> | undefined {
    this.#checkAlive();
    signal?.throwIfAborted();
    const full = reserve(segments);
    if (full) return this.#runAfterCollection(segments, signal, full);
    return this.#runReserved(segments, signal);
  }

  #runReserved(segments: readonly Segment[], signal: AbortSignal | undefined): Promise<void> | undefined {
    this.#writeStep(segments);
    this.#nextSlice = 0;
    if (!this.#runSlices()) return this.#runOn(segments, signal);
    advance(segments);
  }

  /** Runs one step over all segments and then `read`, before any other step can begin. Errors as {@link run}. */
  async step<T>(segments: readonly Segment[], read: () => T, signal?: AbortSignal): Promise<T> {
    const waiting = this.turn.take();
    if (waiting) await waiting;
    try {
      await this.run(segments, signal);
      return read();
    } finally {
      this.turn.release();
    }
  }

  /**
   * Feeds ids from `begin` on to a sequence in as many steps as it takes; logits of the last id only, for `read`.
   * @throws ContextError where they do not fit; AbortError.
   */
  async prefill<T>(
    sequence: Sequence,
    ids: ArrayLike<number>,
    read: () => T,
    signal?: AbortSignal,
    begin = 0,
  ): Promise<T> {
    const batch = this.maxBatch;
    for (; begin + batch < ids.length; begin += batch) {
      await this.step([{ sequence, ids, begin, end: begin + batch, outputs: "none" }], () => {}, signal);
      // Where steps do not pause, events are handled between them.
      if (!this.pauses) await yieldToRequests();
    }
    return this.step([{ sequence, ids, begin, end: ids.length, outputs: "last" }], read, signal);
  }

  /** Retires the engine: every later step fails with `reason`. Its memory goes when nothing refers to it. */
  retire(reason: Error): void {
    this.#failure ??= reason;
    this.#workers?.stop();
    this.#workers = undefined;
  }

  // Until they have started the host's thread computes alone.
  async #startThreads(runtime: Runtime, workerUrl: string | URL | undefined): Promise<void> {
    const [, ...scratches] = this.layout.scratches;
    if (scratches.length === 0) return;
    const { memory } = this.#kernel;
    const module = compileVariant(this.variant);
    const onDeath = retiring(this);
    this.#workers = await WorkerPool.start(runtime, module, memory, scratches, onDeath, workerUrl);
    abandoned.register(this, this.#workers);
    if (this.#failure) this.#workers.stop();
    else this.#words[control.CONTROL_N_THREADS / 4] = this.threads;
  }

  // Sequences that were dropped give their pages back once they are collected, and a program that never lets events
  // be handled would wait for that in vain.
  async #runAfterCollection(
    segments: readonly Segment[],
    signal: AbortSignal | undefined,
    full: MemoryError,
  ): Promise<void> {
    let refusal: MemoryError | undefined = full;
    const isDone = () => {
      this.#checkAlive();
      signal?.throwIfAborted();
      refusal = reserve(segments);
      return refusal === undefined;
    };
    if (this.pauses) await detectRuntime().collectGarbage(isDone);
    if (refusal) throw refusal;
    await this.#runReserved(segments, signal);
  }

  #checkAlive(): void {
    if (this.#failure) throw this.#failure;
  }

  async #runOn(segments: readonly Segment[], signal: AbortSignal | undefined): Promise<void> {
    do await this.#pause(signal);
    while (!this.#runSlices());
    advance(segments);
  }

  // Runs what is left of the step; false where the runtime must first handle events.
  #runSlices(): boolean {
    const { planAddress, plan } = this.layout;
    const tokens = this.#words[control.STEP_N_TOKENS / 4] as number;
    const cost = Math.max(1, tokens / TOKENS_OF_A_READ);
    let begin = this.#nextSlice === 0 ? 0 : (this.#slices[this.#nextSlice - 1] as Slice).end;
    let bytes = 0;
    for (let i = this.#nextSlice; i < this.#slices.length; i++) {
      const slice = this.#slices[i] as Slice;
      bytes += slice.bytes * cost;
      if (bytes < SLICE_BYTES && slice.end < plan.records) continue;
      if (this.pauses && performance.now() - this.#lastYield > SLICE_MS) return false;
      this.#runRecords(planAddress, begin, slice.end);
      begin = slice.end;
      this.#nextSlice = i + 1;
      bytes = 0;
    }
    return true;
  }

  // Records [begin, end) of a plan, on all threads.
  #runRecords(plan: number, begin: number, end: number): void {
    let status: number;
    try {
      status = this.#kernel.exports.run_step(plan, begin, end, this.layout.scratches[0] as number);
    } catch (cause) {
      this.retire(new EngineError("Cannot go on: a kernel trapped and the engine was retired", { cause }));
      throw this.#failure;
    }
    if (status === control.STATUS_OK) return;
    this.retire(stopped(status));
    throw this.#failure;
  }

  async #pause(signal: AbortSignal | undefined): Promise<void> {
    await yieldToEvents();
    this.#lastYield = performance.now();
    signal?.throwIfAborted();
    this.#checkAlive();
  }

  // Views die when memory grows.
  #refreshViews(): void {
    if (this.#words.buffer === this.#kernel.memory.buffer) return;
    this.#words = new Int32Array(this.#kernel.memory.buffer);
    this.#floats = new Float32Array(this.#kernel.memory.buffer);
  }

  #pageMemory(): PageMemory {
    const { memory } = this.#kernel;
    let next = this.layout.totalBytes;
    let refused = false;
    return {
      copy: (from, to, bytes) => new Uint8Array(memory.buffer).copyWithin(to, from, from + bytes),
      grow: (bytes) => {
        const address = Math.ceil(next / 64) * 64;
        const missing = Math.ceil((address + bytes - memory.buffer.byteLength) / WASM_PAGE);
        if (address + bytes > this.maxBytes) return undefined;
        // Memory grows by whole pages, and a budget may end within one.
        if (missing > 0 && memory.buffer.byteLength / WASM_PAGE + missing > this.maxBytes / WASM_PAGE)
          return undefined;
        try {
          if (missing > 0) memory.grow(missing);
        } catch {
          refused = true;
          return undefined;
        }
        next = address + bytes;
        return address;
      },
      limit: () => {
        const given = refused ? memory.buffer.byteLength : this.maxBytes;
        const { maxBytes } = this.layout;
        const size = (bytes: number) => `${bytes} bytes (${mebibytes(bytes)})`;
        return refused || given <= maxBytes - WASM_PAGE
          ? `the runtime gives no more memory than ${size(given)}`
          : `the memory budget of ${size(maxBytes)} is spent`;
      },
    };
  }

  #writePlan(): Slice[] {
    const { plan, planAddress } = this.layout;
    this.#words.set(plan.words, planAddress / 4);
    this.#words[control.CONTROL_N_THREADS / 4] = 1;
    const slices: Slice[] = [];
    let bytes = 0;
    for (let i = 0; i < plan.records; i++) {
      bytes += plan.weightBytes[i] as number;
      if (!((plan.words[i * RECORD_WORDS + REC_FLAGS] as number) & REC_BARRIER)) continue;
      slices.push({ end: i + 1, bytes });
      bytes = 0;
    }
    return slices;
  }

  #writeTables(): void {
    const { config, buffers, weights } = this.layout;
    const { heads, groups } = headTable(config.nHeads, config.nKvHeads);
    this.#words.set(heads, buffers.heads / 4);
    this.#words.set(groups, buffers.groups / 4);
    this.#kernel.exports.rope_freqs(config.ropeTheta, config.headDim, buffers.freqs);
    const factors = weights.ropeFactors;
    for (let i = 0; i < config.headDim / 2; i++) {
      const factor = factors ? (this.#floats[factors.address / 4 + i] as number) : 1;
      const at = buffers.freqs / 4 + i;
      this.#floats[at] = (this.#floats[at] as number) / (factor * config.ropeScale);
    }
  }

  // Ids, positions, page tables, query tiles and outputs of a step. Everything was reserved before.
  #writeStep(segments: readonly Segment[]): void {
    this.#refreshViews();
    const words = this.#words;
    const { step } = this.layout;
    if (segments.length > MAX_SEGMENTS) {
      throw new EngineError(
        `Cannot run a step of ${segments.length} sequences: Expected at most ${MAX_SEGMENTS}`,
      );
    }
    let token = 0;
    let outputs = 0;
    let tiles = 0;
    let table = step.tables;
    for (const { sequence, ids, begin, end, outputs: wanted } of segments) {
      const n = end - begin;
      if (token + n > this.maxBatch) {
        throw new EngineError(`Cannot run a step of ${token + n} tokens: Expected at most ${this.maxBatch}`);
      }
      for (let p = 0; p < sequence.pages.length; p++) words[table / 4 + p] = sequence.pages[p] as number;
      for (let i = 0; i < n; i += control.QUERY_TILE) {
        const tile = (step.tiles + tiles * control.QUERY_TILE_BYTES) / 4;
        words[tile + control.QUERY_FIRST_TOKEN / 4] = token + i;
        words[tile + control.QUERY_N_TOKENS / 4] = Math.min(control.QUERY_TILE, n - i);
        words[tile + control.QUERY_FIRST_POSITION / 4] = sequence.length + i;
        words[tile + control.QUERY_PAGE_TABLE / 4] = table;
        tiles++;
      }
      for (let i = 0; i < n; i++, token++) {
        words[step.ids / 4 + token] = this.#checkedId(ids[begin + i]);
        words[step.positions / 4 + token] = sequence.length + i;
        words[step.pageTables / 4 + token] = table;
        if (wanted === "all" || (wanted === "last" && i === n - 1)) {
          if (outputs === this.layout.maxOutputs) {
            throw new EngineError(`Cannot run a step with more than ${outputs} rows of logits`);
          }
          words[step.outputs / 4 + outputs++] = token;
        }
      }
      table += step.tableBytes;
    }
    words[control.STEP_N_TOKENS / 4] = token;
    words[control.STEP_N_OUTPUTS / 4] = outputs;
    words[control.STEP_N_TILES / 4] = tiles;
    words[control.STEP_IDS / 4] = step.ids;
    words[control.STEP_POSITIONS / 4] = step.positions;
    words[control.STEP_PAGE_TABLES / 4] = step.pageTables;
    words[control.STEP_OUTPUTS / 4] = step.outputs;
    words[control.STEP_TILES / 4] = step.tiles;
  }

  #checkedId(id: number | undefined): number {
    if (id === undefined || !Number.isInteger(id) || id < 0 || id >= this.layout.config.vocabSize) {
      throw new EngineError(`Cannot run token ${id}: Expected an id in [0, ${this.layout.config.vocabSize})`);
    }
    return id;
  }
}
