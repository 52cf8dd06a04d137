import * as control from "../../assembly/layout/control.ts";
import { REC_BARRIER, REC_FLAGS, REC_ROWS, RECORD_WORDS, ROWS_OUTPUTS } from "../../assembly/layout/ops.ts";
import type { ModelFile } from "../format/model_file.ts";
import {
  createInstance,
  type KernelInstance,
  type ReservedMemory,
  reserveMemory,
  WASM_PAGE,
} from "../kernels/instance.ts";
import { fixedThreads, neededThreads, type StepKind, stepKind } from "../kernels/tune/thread_tuner.ts";
import { type TuneOptions, Tuner } from "../kernels/tune/tuner.ts";
import { compileVariant, pickVariant, type Variant, variantWorks } from "../kernels/variant.ts";
import { headTable } from "../model/gqa.ts";
import { type HolderKind, type PageMemory, PagePool, Sequence } from "../model/kv_cache.ts";
import { writeFrequencies } from "../model/rope.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { createSampler, type Sampler, type SamplerSetup } from "../sample/chain.ts";
import type { ResolvedSampling } from "../sample/registry.ts";
import { mebibytes } from "../util/bytes.ts";
import { EngineError, MemoryError } from "../util/errors.ts";
import { Mutex } from "../util/mutex.ts";
import { yieldToEvents, yieldToRequests } from "../util/yield.ts";
import { type Layout, type LayoutOptions, MAX_SEGMENTS, planLayout } from "./layout.ts";
import type { WeightProgress } from "./load_weights.ts";
import { loadWeights } from "./load_weights.ts";
import { WorkerPool } from "./threads/pool.ts";

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
  readonly tune?: TuneOptions | undefined;
  readonly workerUrl?: string | URL | undefined;
  readonly onProgress?: ((progress: WeightProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

// Records up to one with a barrier, where the engine may pause, and the weights that they read: for each token, and
// for each row of logits.
interface Slice {
  readonly end: number;
  readonly bytes: number;
  readonly outputBytes: number;
  readonly endsLayer: boolean;
}

// Work that is measured as one: a step, or some layers of a long one, so that what is compared is of the same kind.
interface Lap {
  readonly threads: number;
  work: number;
  ms: number;
  stalled: boolean;
}

// Longest that the engine computes without letting the runtime handle events.
const SLICE_MS = 10;
// Weights that are read between two chances to pause: some milliseconds of work for one token. More tokens take
// longer over the same bytes, once arithmetic is what bounds them.
const SLICE_BYTES = 64 << 20;
const TOKENS_OF_A_READ = 4;
// A smaller file is packed by one thread: it is done before others have started.
const SMALL_FILE_BYTES = 16 << 20;
// A step of more work than this is measured by layers.
const LONG_STEP_BYTES = 512 << 20;

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
async function allocate(
  file: ModelFile,
  runtime: Runtime,
  options: EngineOptions,
  { variant, threads }: KernelChoice,
): Promise<Allocation> {
  const layout = await planLayout(file, { ...options, threads });
  const shared = variant.endsWith("-shared");
  try {
    return { layout, variant, reserved: reserveMemory(layout.totalBytes, shared, layout.maxBytes) };
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    const asked =
      options.kernel !== undefined || (options.threads ?? 1) > 1 || options.tune?.threads !== undefined;
    if (shared && !asked) {
      const alone = { ...options, threads: 1 };
      return allocate(file, runtime, alone, chooseKernel(runtime, alone));
    }
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

// Weights that are read for so many rows, times what the rows cost.
function workOf(bytes: number, rows: number): number {
  return rows === 0 ? 0 : bytes * Math.max(1, rows / TOKENS_OF_A_READ);
}

interface KernelChoice {
  readonly variant: Variant;
  readonly threads: number;
}

// Threads share memory; without them the unshared build serves any runtime. More threads than cores never gain.
function chooseKernel(
  runtime: Runtime,
  { kernel, threads = Number.POSITIVE_INFINITY, tune }: EngineOptions,
): KernelChoice {
  const shared = kernel === undefined ? variantWorks("simd-shared") : kernel.endsWith("-shared");
  const most = neededThreads(tune, Math.max(1, Math.min(threads, runtime.cores)));
  const limit = shared && runtime.threads ? most : 1;
  const variant = kernel ?? pickVariant(limit > 1);
  // A runtime may validate shared builds and not compile them.
  return { variant, threads: variant.endsWith("-shared") ? limit : 1 };
}

/** Kernels and threads for a model whose header is still to be read. The caller stops the pool if no engine comes of it. */
export interface Preparation extends KernelChoice {
  readonly pool: WorkerPool;
  /** Whether threads help with loading. */
  readonly early: boolean;
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
  readonly mutex: Mutex = new Mutex();
  /** What is chosen for this machine: form of the dot product, streams, threads. */
  readonly tuner: Tuner;
  readonly #kernel: KernelInstance;
  readonly #slices: readonly Slice[];
  readonly #whole: Pick<Slice, "bytes" | "outputBytes">;
  #words: Int32Array;
  #floats: Float32Array;
  // The first slice of the step that has not run.
  #nextSlice = 0;
  #lap: Lap | undefined;
  #packLap: Lap | undefined;
  #workers: WorkerPool | undefined;
  #failure: Error | undefined;
  #lastYield = performance.now();

  private constructor(
    layout: Layout,
    kernel: KernelInstance,
    variant: Variant,
    pauses: boolean,
    maxBytes: number,
    tuner: Tuner,
  ) {
    this.layout = layout;
    this.maxBytes = maxBytes;
    this.tuner = tuner;
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
    const sum = (part: "bytes" | "outputBytes") => this.#slices.reduce((all, slice) => all + slice[part], 0);
    this.#whole = { bytes: sum("bytes"), outputBytes: sum("outputBytes") };
  }

  /**
   * Chooses the kernels and starts the threads, so that they are there when weights arrive. For a small file they start
   * when it is packed.
   * @param fileBytes undefined where it is not known
   * @throws EngineError
   */
  static prepare(options: EngineOptions, fileBytes: number | undefined): Preparation {
    const runtime = detectRuntime();
    const choice = chooseKernel(runtime, options);
    const pool = new WorkerPool(runtime, choice.threads - 1, options.workerUrl);
    const large = fileBytes === undefined || fileBytes >= SMALL_FILE_BYTES;
    const early = large || fixedThreads(options.tune, "load") !== undefined;
    if (early) pool.start();
    return { ...choice, pool, early };
  }

  /**
   * Decides the layout, allocates it, and streams the weights in.
   * @throws what planLayout and loadWeights throw; UsageError for a form of the dot product that is wrong here;
   *   EngineError where threads were asked for and cannot be started.
   */
  static async create(
    file: ModelFile,
    options: EngineOptions,
    prepared: Preparation = Engine.prepare(options, file.source.size),
  ): Promise<Engine> {
    const { pool, early } = prepared;
    let engine: Engine | undefined;
    try {
      const runtime = detectRuntime();
      const { layout, variant, reserved } = await allocate(file, runtime, options, prepared);
      const kernel = await createInstance(compileVariant(variant), reserved.memory);
      const tuner = new Tuner(variant, kernel.exports, options.tune);
      engine = new Engine(layout, kernel, variant, runtime.pauses, reserved.maxBytes, tuner);
      if (early) engine.#employ(pool);
      // Threads help as soon as they are there. Those that nobody asked for are not waited for, and may fail to come.
      await loadWeights(engine, options.onProgress, options.signal);
      await file.checkEnd?.();
      if (!early) engine.#employ(pool);
      const asked = options.threads !== undefined || options.tune?.threads !== undefined;
      if (asked) await engine.#workers?.allReady(layout.scratches.length - 1);
      engine.#checkAlive();
    } catch (error) {
      engine?.retire(new EngineError("Cannot use a model whose loading failed"));
      pool.stop();
      throw error;
    }
    engine.#writeTables();
    engine.#chooseStreams();
    return engine;
  }

  /** Whether it was retired. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Threads that compute, or will when they have started. How many take part is decided for each run. */
  get threads(): number {
    return 1 + (this.#workers?.size ?? 0);
  }

  /**
   * Lets the other threads begin with the layout's pack record, of so many bytes in memory. False where none takes
   * part. The next call must be {@link pack}.
   */
  openPack(bytes: number): boolean {
    const lap = this.#beginLap("load", bytes, 1);
    this.#packLap = lap;
    if (lap.threads === 1) return false;
    this.#takePart(lap.threads);
    this.#kernel.exports.open_step(this.layout.packRecord, 0);
    return true;
  }

  /** Runs what is left of the record, on all threads that take part. */
  pack(bytes: number): void {
    const lap = this.#packLap as Lap;
    this.#runRecords(this.layout.packRecord, 0, 1, bytes, lap);
    this.#endLap("load", lap);
  }

  /** An empty sequence over this engine's KV cache. Where nobody frees it, its pages come back once it is collected. */
  sequence(kind?: HolderKind): Sequence {
    return new Sequence(this.pool, this.layout.contextLength, kind);
  }

  /** Gives a sequence's pages back, after the step that may be writing them. */
  release(sequence: Sequence): void {
    const free = () => {
      sequence.free();
      this.mutex.release();
    };
    const waiting = this.mutex.acquire();
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
  sampler(options: ResolvedSampling, vocabSize: number, setup?: SamplerSetup): Sampler {
    const { exports, memory } = this.#kernel;
    const place = {
      memory,
      logitsPtr: this.logitsAddress(0),
      scratchPtr: this.layout.sampler,
      vocabSize,
      rows: this.layout.config.vocabSize,
    };
    return createSampler(options, exports, place, setup);
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
   * Runs one step over all segments, for the caller that holds `mutex`. A step that ends within a time slice is over at
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
    this.#lap = undefined;
    if (!this.#runSlices()) return this.#runOn(segments, signal);
    advance(segments);
  }

  /** Runs one step over all segments and then `read`, before any other step can begin. Errors as {@link run}. */
  async step<T>(segments: readonly Segment[], read: () => T, signal?: AbortSignal): Promise<T> {
    const waiting = this.mutex.acquire();
    if (waiting) await waiting;
    try {
      await this.run(segments, signal);
      return read();
    } finally {
      this.mutex.release();
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

  // Memory that could not be shared serves one thread.
  #employ(pool: WorkerPool): void {
    const [, ...scratches] = this.layout.scratches;
    if (scratches.length === 0) {
      pool.stop();
      return;
    }
    pool.begin(compileVariant(this.variant), this.#kernel.memory, scratches, retiring(this));
    this.#workers = pool;
    abandoned.register(this, pool);
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
    const outputs = this.#words[control.STEP_N_OUTPUTS / 4] as number;
    const kind = stepKind(tokens);
    const workOfSlice = ({ bytes, outputBytes }: Pick<Slice, "bytes" | "outputBytes">) =>
      workOf(bytes, tokens) + workOf(outputBytes, outputs);
    const whole = workOfSlice(this.#whole);
    const isLong = whole > LONG_STEP_BYTES;
    let begin = this.#nextSlice === 0 ? 0 : (this.#slices[this.#nextSlice - 1] as Slice).end;
    let work = 0;
    for (let i = this.#nextSlice; i < this.#slices.length; i++) {
      const slice = this.#slices[i] as Slice;
      work += workOfSlice(slice);
      const isLast = slice.end === plan.records;
      const endsLap = isLong && slice.endsLayer && (this.#lap?.work ?? 0) + work >= SLICE_BYTES;
      if (work < SLICE_BYTES && !isLast && !endsLap) continue;
      if (this.pauses && performance.now() - this.#lastYield > SLICE_MS) return false;
      this.#lap ??= this.#beginLap(kind, whole, this.#slices.length);
      this.#runRecords(planAddress, begin, slice.end, work, this.#lap);
      begin = slice.end;
      this.#nextSlice = i + 1;
      work = 0;
      // The rest of a long step, behind its layers, is of another kind.
      if (endsLap || (isLast && !isLong)) this.#endLap(kind, this.#lap);
      if (endsLap) this.#lap = undefined;
    }
    return true;
  }

  #beginLap(kind: StepKind, work: number, segments: number): Lap {
    const ready = this.#workers?.ready ?? 0;
    const threads = this.tuner.threadTuner.threads(kind, work, segments, 1 + ready);
    return { threads, work: 0, ms: 0, stalled: false };
  }

  #endLap(kind: StepKind, { threads, work, ms, stalled }: Lap): void {
    if (this.#workers) this.tuner.threadTuner.ran(kind, threads, work, ms, stalled);
  }

  // Records [begin, end) of a plan, on the threads of the lap.
  #runRecords(plan: number, begin: number, end: number, work: number, lap: Lap): void {
    this.#takePart(lap.threads);
    const before = performance.now();
    let status: number;
    try {
      status = this.#kernel.exports.run_step(plan, begin, end, this.layout.scratches[0] as number);
    } catch (cause) {
      this.retire(new EngineError("Cannot go on: a kernel trapped and the engine was retired", { cause }));
      throw this.#failure;
    }
    if (status !== control.STATUS_OK) {
      this.retire(stopped(status));
      throw this.#failure;
    }
    lap.work += work;
    lap.ms += performance.now() - before;
    lap.stalled ||= (this.#words[control.CONTROL_N_THREADS / 4] as number) < lap.threads;
  }

  // Threads that have no part sleep until they have one.
  #takePart(threads: number): void {
    const at = control.CONTROL_N_THREADS / 4;
    const before = this.#words[at] as number;
    if (before === threads) return;
    Atomics.store(this.#words, at, threads);
    if (before < threads) Atomics.notify(this.#words, at);
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
    this.#words[control.CONTROL_DOT / 4] = this.tuner.dotCode;
    this.#words[control.CONTROL_STREAMS / 4] = this.tuner.streams;
    this.#words[control.CONTROL_N_THREADS / 4] = 1;
    const slices: Slice[] = [];
    let bytes = 0;
    let outputBytes = 0;
    for (let i = 0; i < plan.records; i++) {
      const record = i * RECORD_WORDS;
      if (plan.words[record + REC_ROWS] === ROWS_OUTPUTS) outputBytes += plan.weightBytes[i] as number;
      else bytes += plan.weightBytes[i] as number;
      if (!((plan.words[record + REC_FLAGS] as number) & REC_BARRIER)) continue;
      slices.push({ end: i + 1, bytes, outputBytes, endsLayer: plan.layerEnds.includes(i + 1) });
      bytes = 0;
      outputBytes = 0;
    }
    return slices;
  }

  // Gate and up matrices are the largest of most models, logits' of small ones; their products fit into its buffer.
  #chooseStreams(): void {
    const { buffers, weights } = this.layout;
    const matrices = [
      ...weights.layers.flatMap(({ gate, up }) => (gate ? [gate, up] : [up])),
      weights.output,
    ];
    const most = weights.output.strips;
    const measured = matrices.filter(({ format, strips }) => format.scaled && strips <= most);
    const area = { x: buffers.act.address, out: buffers.logits.address };
    this.tuner.chooseStreams(this.#kernel.exports, measured, area);
    this.#words[control.CONTROL_STREAMS / 4] = this.tuner.streams;
  }

  #writeTables(): void {
    const { config, buffers, weights } = this.layout;
    const { heads, groups } = headTable(config.nHeads, config.nKvHeads);
    this.#words.set(heads, buffers.heads / 4);
    this.#words.set(groups, buffers.groups / 4);
    writeFrequencies(this.#kernel, buffers.ropes, weights.ropeFactors?.address);
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
