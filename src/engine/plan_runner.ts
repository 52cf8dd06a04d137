// Runs a plan in slices: between two of them the runtime may handle events, and threads are counted and measured.
import * as control from "../../assembly/layout/control.ts";
import { REC_BARRIER, REC_FLAGS, REC_ROWS, RECORD_WORDS, ROWS_OUTPUTS } from "../../assembly/layout/ops.ts";
import type { KernelInstance } from "../kernels/instance.ts";
import { type StepKind, stepKind } from "../kernels/tune/thread_tuner.ts";
import type { Tuner } from "../kernels/tune/tuner.ts";
import { EngineError } from "../util/errors.ts";
import { yieldToEvents } from "../util/yield.ts";
import type { Layout } from "./layout.ts";
import type { EngineMemory } from "./memory.ts";
import type { StepSize } from "./step_area.ts";
import type { WorkerPool } from "./threads/pool.ts";

/** Who a step is run for. */
export interface StepWatcher {
  /** Called between two slices, after the runtime has handled events. What it throws ends the step. */
  betweenSlices(): void;
}

// Records up to one with a barrier, after which the engine may pause, and the weights that they read: for each token,
// and for each row of logits.
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
// Weights that are read between two chances to pause: some milliseconds of work for one token. Eight tokens take 5 to 7
// times as long over the same bytes: 5 (1.1B, Q4_K_M), 6 (1.1B, Q8_0), 7 (tales, whose weights caches hold).
const SLICE_BYTES = 64 << 20;
const TOKENS_OF_A_READ = 1.5;
// A step of more work than this is measured by layers.
const LONG_STEP_BYTES = 512 << 20;

/** The plan of one model on its memory, and the threads that run it. */
export class PlanRunner {
  /** Whether steps let the runtime handle events. */
  readonly pauses: boolean;
  /** Milliseconds that the step has computed so far. */
  stepMs = 0;
  readonly #layout: Layout;
  readonly #kernel: KernelInstance;
  readonly #memory: EngineMemory;
  readonly #tuner: Tuner;
  readonly #slices: readonly Slice[];
  readonly #whole: Pick<Slice, "bytes" | "outputBytes">;
  // The first slice of the step that has not run.
  #nextSlice = 0;
  #size: Readonly<StepSize> = { tokens: 0, outputs: 0 };
  #lap: Lap | undefined;
  #packLap: Lap | undefined;
  #workers: WorkerPool | undefined;
  #failure: Error | undefined;
  #lastYield = performance.now();

  constructor(layout: Layout, kernel: KernelInstance, memory: EngineMemory, tuner: Tuner, pauses: boolean) {
    this.pauses = pauses;
    this.#layout = layout;
    this.#kernel = kernel;
    this.#memory = memory;
    this.#tuner = tuner;
    this.#writePlan();
    this.#slices = slicesOf(layout);
    const sum = (part: "bytes" | "outputBytes") => this.#slices.reduce((all, slice) => all + slice[part], 0);
    this.#whole = { bytes: sum("bytes"), outputBytes: sum("outputBytes") };
  }

  /** Whether it was retired. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** The other threads, once there are any. */
  get workers(): WorkerPool | undefined {
    return this.#workers;
  }

  /** Threads that take part from now on. */
  set workers(pool: WorkerPool) {
    this.#workers = pool;
  }

  /** @throws the reason with which it was retired */
  checkAlive(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Every later step fails with `reason`, and the threads end. */
  retire(reason: Error): void {
    this.#failure ??= reason;
    this.#workers?.stop();
    this.#workers = undefined;
  }

  /** Lets the other threads begin with the pack record; see {@link PackEngine.openPack}. */
  openPack(bytes: number): boolean {
    const lap = this.#beginLap("load", bytes, 1);
    this.#packLap = lap;
    if (lap.threads === 1) return false;
    this.#takePart(lap.threads);
    this.#kernel.exports.open_step(this.#layout.packRecord, 0);
    return true;
  }

  /** Runs what is left of the pack record, on all threads that take part. */
  pack(bytes: number): void {
    const lap = this.#packLap as Lap;
    this.#runRecords(this.#layout.packRecord, 0, 1, bytes, lap);
    this.#endLap("load", lap);
  }

  /**
   * Runs the step that was written. Undefined if it is over at the return, which allocates nothing; else the promise of
   * its end. Without `watcher` the step does not end early.
   */
  run(size: Readonly<StepSize>, watcher: StepWatcher | undefined): Promise<void> | undefined {
    this.#size = size;
    this.#nextSlice = 0;
    this.#lap = undefined;
    this.stepMs = 0;
    if (!this.#runSlices()) return this.#runOn(watcher);
  }

  /** Lets the runtime handle events. */
  async yield(): Promise<void> {
    await yieldToEvents();
    this.#lastYield = performance.now();
  }

  async #runOn(watcher: StepWatcher | undefined): Promise<void> {
    do {
      await this.yield();
      watcher?.betweenSlices();
      this.checkAlive();
    } while (!this.#runSlices());
  }

  // Runs what is left of the step; false if the runtime must first handle events.
  #runSlices(): boolean {
    const { planAddress, plan } = this.#layout;
    const { tokens, outputs } = this.#size;
    const kind = stepKind(tokens);
    const whole = workOf(this.#whole, tokens, outputs);
    if (whole < SLICE_BYTES) return this.#runAtOnce(kind, whole);
    const isLong = whole > LONG_STEP_BYTES;
    let begin = this.#nextSlice === 0 ? 0 : (this.#slices[this.#nextSlice - 1] as Slice).end;
    let work = 0;
    for (let i = this.#nextSlice; i < this.#slices.length; i++) {
      const slice = this.#slices[i] as Slice;
      work += workOf(slice, tokens, outputs);
      const isLast = slice.end === plan.records;
      const endsLap = isLong && slice.endsLayer && (this.#lap?.work ?? 0) + work >= SLICE_BYTES;
      if (work < SLICE_BYTES && !isLast && !endsLap) continue;
      if (this.#isTimeToPause) return false;
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

  // A step that is less than a slice.
  #runAtOnce(kind: StepKind, work: number): boolean {
    if (this.#isTimeToPause) return false;
    const lap = this.#beginLap(kind, work, this.#slices.length);
    this.#runRecords(this.#layout.planAddress, 0, this.#layout.plan.records, work, lap);
    this.#endLap(kind, lap);
    return true;
  }

  get #isTimeToPause(): boolean {
    return this.pauses && performance.now() - this.#lastYield > SLICE_MS;
  }

  #beginLap(kind: StepKind, work: number, segments: number): Lap {
    const ready = this.#workers?.ready ?? 0;
    const threads = this.#tuner.threadTuner.threads(kind, work, segments, 1 + ready);
    return { threads, work: 0, ms: 0, stalled: false };
  }

  #endLap(kind: StepKind, { threads, work, ms, stalled }: Lap): void {
    if (this.#workers) this.#tuner.threadTuner.ran(kind, threads, work, ms, stalled);
  }

  // Records [begin, end) of a plan, on the threads of the lap.
  #runRecords(plan: number, begin: number, end: number, work: number, lap: Lap): void {
    this.#takePart(lap.threads);
    const before = performance.now();
    let status: number;
    try {
      status = this.#kernel.exports.run_step(plan, begin, end, this.#layout.scratches[0] as number);
    } catch (cause) {
      this.retire(new EngineError("Cannot go on: a kernel trapped and the engine was retired", { cause }));
      throw this.#failure;
    }
    if (status !== control.STATUS_OK) {
      this.retire(stopped(status));
      throw this.#failure;
    }
    const ms = performance.now() - before;
    lap.work += work;
    lap.ms += ms;
    this.stepMs += ms;
    lap.stalled ||= (this.#memory.words[control.CONTROL_N_THREADS / 4] as number) < lap.threads;
  }

  // Threads that have no part sleep until they have one.
  #takePart(threads: number): void {
    const { words } = this.#memory;
    const at = control.CONTROL_N_THREADS / 4;
    const before = words[at] as number;
    if (before === threads) return;
    Atomics.store(words, at, threads);
    if (before < threads) Atomics.notify(words, at);
  }

  #writePlan(): void {
    const { words } = this.#memory;
    const { plan, planAddress } = this.#layout;
    words.set(plan.words, planAddress / 4);
    words[control.CONTROL_DOT / 4] = this.#tuner.dotCode;
    words[control.CONTROL_STREAMS / 4] = this.#tuner.streams;
    words[control.CONTROL_SPLATS / 4] = this.#tuner.splatCode;
    words[control.CONTROL_N_THREADS / 4] = 1;
  }
}

function slicesOf({ plan }: Layout): Slice[] {
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

// Weights that are read for so many tokens and rows of logits, times what these cost.
function workOf(slice: Pick<Slice, "bytes" | "outputBytes">, tokens: number, outputs: number): number {
  return readsOf(slice.bytes, tokens) + readsOf(slice.outputBytes, outputs);
}

function readsOf(bytes: number, rows: number): number {
  return rows === 0 ? 0 : bytes * Math.max(1, rows / TOKENS_OF_A_READ);
}

function stopped(status: number): EngineError {
  const reasons: Record<number, string> = {
    [control.STATUS_CANCELLED]: "it was cancelled",
    [control.STATUS_TIMEOUT]: "a thread did not arrive at the barrier",
    [control.STATUS_BAD_RECORD]: "the plan holds an unknown record",
    [control.STATUS_TRAP]: "a kernel trapped in another thread",
  };
  return new EngineError(`Cannot run the step: ${reasons[status] ?? `status ${status}`}`);
}
