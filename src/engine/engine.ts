// A model in linear memory, ready to run steps: what owns its layout, its memory, its plan and its threads.
import * as control from "../../assembly/layout/control.ts";
import type { ModelFile } from "../format/model_file.ts";
import { createInstance, type KernelInstance } from "../kernels/instance.ts";
import { fixedThreads } from "../kernels/tune/thread_tuner.ts";
import { Tuner } from "../kernels/tune/tuner.ts";
import { compileVariant, type Variant } from "../kernels/variant.ts";
import { headTable } from "../model/gqa.ts";
import { Sequence } from "../model/kv_cache.ts";
import { type HolderKind, PagePool } from "../model/page_pool.ts";
import { writeFrequencies } from "../model/rope.ts";
import { blockOf } from "../model/weights/weights.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { EngineError } from "../util/errors.ts";
import { Mutex } from "../util/mutex.ts";
import { chooseKernel, type EngineOptions, type KernelChoice } from "./kernel_choice.ts";
import type { Layout } from "./layout.ts";
import { loadWeights } from "./load_weights.ts";
import { allocate, EngineMemory } from "./memory.ts";
import { PlanRunner, type StepWatcher } from "./plan_runner.ts";
import { PrefixCache } from "./prefix_cache.ts";
import { Scheduler } from "./scheduler.ts";
import { checkIds, type Segment, type StepSize, writeStep } from "./step_area.ts";
import { stopWhenAbandoned } from "./threads/abandoned.ts";
import { WorkerPool } from "./threads/pool.ts";

export type { EngineOptions } from "./kernel_choice.ts";
export type { Segment } from "./step_area.ts";

// A smaller file is packed by one thread: it is done before others have started.
const SMALL_FILE_BYTES = 16 << 20;

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
  /** Kernels and memory, for what works on logits in place. */
  readonly kernel: KernelInstance;
  /** Held while a step runs and its logits are read. */
  readonly mutex: Mutex = new Mutex();
  /** What is chosen for this machine: form of the dot product, streams, splats, threads. */
  readonly tuner: Tuner;
  /** Joins what waits for the model into steps. Everything that computes goes through it. */
  readonly scheduler: Scheduler;
  /** What was computed for prompts that begin alike; only if it was asked for. */
  prefixCache: PrefixCache | undefined;
  /** Steps that have begun. */
  steps = 0;
  readonly #memory: EngineMemory;
  readonly #runner: PlanRunner;
  readonly #size: StepSize = { tokens: 0, outputs: 0 };

  private constructor(
    layout: Layout,
    kernel: KernelInstance,
    variant: Variant,
    pauses: boolean,
    maxBytes: number,
    tuner: Tuner,
  ) {
    this.layout = layout;
    this.kernel = kernel;
    this.variant = variant;
    this.tuner = tuner;
    this.#memory = new EngineMemory(kernel, layout, maxBytes);
    this.pool = new PagePool(this.#memory, layout.kv.classes, layout.pages);
    this.#runner = new PlanRunner(layout, kernel, this.#memory, tuner, pauses);
    this.scheduler = new Scheduler(this);
  }

  /**
   * Chooses the kernels and starts the threads, so that they are there when weights arrive. For a small file they start
   * when it is packed.
   * @param fileBytes undefined if it is not known
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
   *   EngineError if threads were asked for and cannot be started.
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
      if (options.prefixCache) engine.prefixCache = new PrefixCache(engine.pool, options.prefixCache);
      if (early) engine.#employ(pool);
      // Threads help as soon as they are there. Those that nobody asked for are not waited for, and may fail to come.
      await loadWeights(engine, options.onProgress, options.signal);
      await file.checkEnd?.();
      if (!early) engine.#employ(pool);
      const asked = options.threads !== undefined || options.tune?.threads !== undefined;
      if (asked) await engine.#runner.workers?.allReady(layout.scratches.length - 1);
      engine.#runner.checkAlive();
    } catch (error) {
      engine?.retire(new EngineError("Cannot use a model whose loading failed"));
      pool.stop();
      throw error;
    }
    engine.#writeTables();
    engine.#measure();
    return engine;
  }

  /** Bytes that memory can grow to: the layout's, or less if the runtime gave less. */
  get maxBytes(): number {
    return this.#memory.maxBytes;
  }

  /** Whether steps, and loading, let the runtime handle events. */
  get pauses(): boolean {
    return this.#runner.pauses;
  }

  /** Milliseconds that the last step has computed, pauses left out. */
  get stepMs(): number {
    return this.#runner.stepMs;
  }

  /** Whether it was retired. */
  get failed(): boolean {
    return this.#runner.failed;
  }

  /** Threads that compute, or will when they have started. How many take part is decided for each run. */
  get threads(): number {
    return 1 + (this.#runner.workers?.size ?? 0);
  }

  /** Most tokens of a step. */
  get maxBatch(): number {
    return this.layout.batch;
  }

  /**
   * Lets the other threads begin with the layout's pack record, of so many bytes in memory. False if none takes part.
   * The next call must be {@link pack}.
   */
  openPack(bytes: number): boolean {
    return this.#runner.openPack(bytes);
  }

  /** Runs what is left of the record, on all threads that take part. */
  pack(bytes: number): void {
    this.#runner.pack(bytes);
  }

  /** An empty sequence over this engine's KV cache. If nobody frees it, its pages come back once it is collected. */
  sequence(kind?: HolderKind): Sequence {
    return new Sequence(this.pool, this.layout.contextLength, kind);
  }

  /**
   * Gives a sequence's pages back, after the step that may be writing them.
   * @param ids what its positions are of, for the prefix cache
   */
  release(sequence: Sequence, ids?: readonly number[]): void {
    const free = () => {
      if (ids && !this.failed) this.prefixCache?.add(sequence, ids, false);
      sequence.free();
      this.mutex.release();
    };
    const waiting = this.mutex.acquire();
    if (waiting) void waiting.then(free);
    else free();
  }

  /** Address of row `i` of the last step's logits: f32 [vocabSize]. */
  logitsAddress(i: number): number {
    return this.layout.buffers.logits.address + i * this.layout.buffers.logits.stride;
  }

  /** Row `i` of the last step's logits, read in place: valid until the next step. */
  logits(i: number): Float32Array {
    const begin = this.logitsAddress(i) / 4;
    return this.#memory.floats.subarray(begin, begin + this.layout.config.vocabSize);
  }

  /**
   * Checks the ids of a segment and takes the pages that it writes.
   * @throws EngineError for an id outside the vocabulary, and after a failure; ContextError; MemoryError if there is no page
   */
  admit(segment: Segment): void {
    this.#runner.checkAlive();
    checkIds(segment, this.layout.config.vocabSize);
    segment.sequence.reserve(segment.end - segment.begin);
  }

  /**
   * Runs one step over segments that were admitted, for the caller that holds `mutex` and advances the sequences after
   * it. A step that ends within a time slice is over at the return, and makes no object. The promise is that of a longer
   * one, which lets the runtime handle events; `watcher` is asked between its slices.
   * @throws EngineError; what `watcher` throws. The sequences have the length they had, or less if the step has spoilt a state.
   */
  run(segments: readonly Segment[], watcher?: StepWatcher): Promise<void> | undefined {
    writeStep(this.#memory.words, this.layout.step, this.layout, segments, this.#size);
    this.steps++;
    for (let i = 0; i < segments.length; i++) segments[i]?.sequence.write();
    try {
      const rest = this.#runner.run(this.#size, watcher);
      if (rest === undefined) return undefined;
      // The caller may use the list again while the step pauses.
      const paused = segments.slice();
      return rest.catch((error) => abandon(paused, error));
    } catch (error) {
      return abandon(segments, error);
    }
  }

  /** Lets the runtime handle events. */
  yield(): Promise<void> {
    return this.#runner.yield();
  }

  /** Asks for garbage collections until `isDone` or until it seems to be in vain. */
  collectGarbage(isDone: () => boolean): Promise<void> {
    return detectRuntime().collectGarbage(isDone);
  }

  /**
   * Runs one step over exactly these segments, and then `read`, before any other step can begin: for benchmarks and
   * tests. It does not wait for memory.
   * @throws what {@link admit} and {@link run} throw; the signal's reason
   */
  async step<T>(segments: readonly Segment[], read: () => T, signal?: AbortSignal): Promise<T> {
    const waiting = this.mutex.acquire();
    if (waiting) await waiting;
    try {
      signal?.throwIfAborted();
      for (const segment of segments) this.admit(segment);
      const rest = this.run(segments, signal && { betweenSlices: () => signal.throwIfAborted() });
      if (rest) await rest;
      for (const { sequence, begin, end } of segments) sequence.advance(end - begin);
      return read();
    } finally {
      this.mutex.release();
    }
  }

  /**
   * Feeds ids from `begin` on to a sequence in as many steps as it takes, and gives the logits of the last id to `read`,
   * which learns the row where they are.
   * @throws what {@link Scheduler.submit} throws
   */
  async prefill<T>(
    sequence: Sequence,
    ids: ArrayLike<number>,
    read: (row: number) => T,
    signal?: AbortSignal,
    begin = 0,
  ): Promise<T> {
    let result: T | undefined;
    const keep = (row: number) => {
      result = read(row);
    };
    const segment: Segment = { sequence, ids, begin, end: ids.length, outputs: "last" };
    await this.scheduler.compute(segment, keep, signal);
    return result as T;
  }

  /** Retires the engine: every later step fails with `reason`. Its memory goes when nothing refers to it. */
  retire(reason: Error): void {
    this.#runner.retire(reason);
  }

  // Memory that could not be shared serves one thread.
  #employ(pool: WorkerPool): void {
    const [, ...scratches] = this.layout.scratches;
    if (scratches.length === 0) {
      pool.stop();
      return;
    }
    pool.begin(compileVariant(this.variant), this.kernel.memory, scratches, retiring(this));
    this.#runner.workers = pool;
    stopWhenAbandoned(this, pool);
  }

  // Gate and up matrices are the largest of most models, logits' of small ones; their products fit into its buffer.
  #measure(): void {
    const { buffers, weights, scratches } = this.layout;
    const matrices = [
      ...weights.layers.map(blockOf).flatMap(({ gate, up }) => (gate ? [gate, up] : [up])),
      weights.output,
    ];
    const most = weights.output.strips;
    const measured = matrices.filter(({ format, strips }) => format.scaled && strips <= most);
    const area = { x: buffers.act.address, out: buffers.logits.address, scratch: scratches[0] as number };
    this.tuner.measure(this.kernel.exports, measured, area, (code) => {
      this.#memory.words[control.CONTROL_SPLATS / 4] = code;
    });
    this.#memory.words[control.CONTROL_STREAMS / 4] = this.tuner.streams;
  }

  #writeTables(): void {
    const { buffers, weights, contextLength } = this.layout;
    for (const { shape, heads, groups } of buffers.heads) {
      const table = headTable(shape.nHeads, shape.nKvHeads);
      this.#memory.words.set(table.heads, heads / 4);
      this.#memory.words.set(table.groups, groups / 4);
    }
    const { address, length } = buffers.ones;
    this.#memory.floats.fill(1, address / 4, address / 4 + length);
    writeFrequencies(this.kernel, buffers.ropes, weights, contextLength);
  }
}

// The step has come to no end.
function abandon(segments: readonly Segment[], error: unknown): never {
  for (const { sequence } of segments) sequence.rollback(sequence.length);
  throw error;
}

// What a thread's death does to an engine, which the thread must not keep from being collected.
function retiring(engine: Engine): (reason: string) => void {
  const weak = new WeakRef(engine);
  return (reason) => weak.deref()?.retire(new EngineError(`Cannot go on: a compute thread died (${reason})`));
}
