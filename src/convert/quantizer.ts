// Turns pieces of tensors into another type, on several threads if the runtime has them.
import { moduleBytes } from "../kernels/packed_modules.ts";
import type { Runtime, WorkerHandle } from "../runtime/runtime.ts";
import { newBytes } from "../util/bytes.ts";
import { EngineError, MemoryError } from "../util/errors.ts";
import { yieldToEvents } from "../util/yield.ts";
import { sizes, text } from "./quantize.gen.ts";
import { quantizeThread, type ThreadData, WORD, WORDS } from "./quantize_thread.ts";
import { tensorType } from "./type_mix.ts";

/** How the rows of a piece are averaged; see average() of the module. */
interface Averaging {
  readonly cols: number;
  readonly rowBytes: number;
  /** How many rows become one, their mean, and the bytes between them. */
  readonly pool: number;
  readonly poolBytes: number;
}

/** A piece of a tensor: what is done at once. */
export interface Piece {
  readonly from: string;
  readonly to: string;
  readonly srcBytes: number;
  /** Values of the result. */
  readonly values: number;
  /** Values of the result that one thread does at once, and the bytes that they come from. */
  readonly chunkValues: number;
  readonly chunkSrcBytes: number;
  readonly averaging?: Averaging | undefined;
}

/** What a piece that could not be quantized holds. */
export type Refusal = "not finite" | "too large";

const refusals: readonly (Refusal | undefined)[] = [undefined, "not finite", "too large"];

let module: WebAssembly.Module | undefined;

function compiled(): WebAssembly.Module {
  try {
    module ??= new WebAssembly.Module(moduleBytes(text, sizes));
    return module;
  } catch (cause) {
    if (cause instanceof MemoryError) throw cause;
    throw new EngineError(`Cannot compile the quantizer: the runtime refuses (${cause})`, { cause });
  }
}

/** Room for two pieces, so that one is quantized while the other is read or written, and the threads. */
export class Quantizer {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #srcBytes: number;
  readonly #outBytes: number;
  readonly #workers: WorkerHandle<ThreadData>[] = [];
  readonly #data: ThreadData;
  #instance: WebAssembly.Instance | undefined;
  #onDone: () => void = () => {};
  #onFailure: (error: Error) => void = () => {};

  /**
   * @param threads at most this many; 1: the caller's own
   * @param srcBytes most bytes that a piece has, and `outBytes` that it becomes
   * @throws EngineError if the module cannot be compiled; MemoryError if the runtime gives no such buffers
   */
  constructor(runtime: Runtime, threads: number, srcBytes: number, outBytes: number) {
    this.#srcBytes = srcBytes;
    this.#outBytes = outBytes;
    const isShared = threads > 1 && runtime.threads && typeof SharedArrayBuffer !== "undefined";
    const size = 2 * (srcBytes + outBytes);
    this.#bytes = isShared
      ? new Uint8Array(new SharedArrayBuffer(size))
      : newBytes(size, "buffers for the quantizer");
    this.#words = new Int32Array(isShared ? new SharedArrayBuffer(4 * WORDS) : new ArrayBuffer(4 * WORDS));
    this.#data = { module: compiled(), words: this.#words, bytes: this.#bytes, at: WORD };
    if (isShared) this.#start(runtime, threads);
  }

  /** Where the bytes of the next piece go; `half` is 0 or 1. */
  input(half: number, bytes: number): Uint8Array {
    const begin = half * this.#srcBytes;
    return this.#bytes.subarray(begin, begin + bytes);
  }

  /** A copy of what the last piece in this half became. */
  output(half: number, bytes: number): Uint8Array {
    const begin = 2 * this.#srcBytes + half * this.#outBytes;
    return this.#bytes.slice(begin, begin + bytes);
  }

  /** Quantizes the piece whose bytes are in a half. Pieces are quantized one after the other. */
  async quantize(half: number, piece: Piece, signal?: AbortSignal): Promise<Refusal | undefined> {
    const chunks = Math.ceil(piece.values / piece.chunkValues);
    this.#describe(half, piece, chunks);
    const done = new Promise<void>((resolve, reject) => {
      this.#onDone = resolve;
      this.#onFailure = reject;
    });
    // Threads keep no process alive, and Node ends one that waits for nothing else.
    const awake = setInterval(() => {}, AWAKE_MS);
    try {
      // Taking chunks begins with this: everything above is written by then.
      Atomics.store(this.#words, WORD.next, 0);
      if (this.#workers.length > 0) {
        Atomics.add(this.#words, WORD.posted, 1);
        Atomics.notify(this.#words, WORD.posted);
      } else {
        await this.#compute(chunks, signal);
      }
      await done;
    } finally {
      clearInterval(awake);
    }
    return refusals[Atomics.load(this.#words, WORD.bad)];
  }

  /** Ends the threads. */
  close(): void {
    Atomics.store(this.#words, WORD.posted, -1);
    Atomics.notify(this.#words, WORD.posted);
    for (const worker of this.#workers.splice(0)) worker.terminate();
  }

  #start(runtime: Runtime, threads: number): void {
    try {
      for (let i = 0; i < threads; i++) {
        const worker = runtime.startWorker(quantizeThread);
        this.#workers.push(worker);
        worker.onText = () => this.#onDone();
        worker.onDeath = (reason) =>
          this.#onFailure(new EngineError(`Cannot quantize: A thread has failed (${reason})`));
        worker.begin(this.#data);
      }
    } catch {
      // What refuses one thread refuses the others: this one does the work.
      this.close();
      Atomics.store(this.#words, WORD.posted, 0);
    }
  }

  #describe(half: number, piece: Piece, chunks: number): void {
    const { blockCols, blockBytes } = tensorType(piece.to);
    const { averaging } = piece;
    const words: Partial<Record<keyof typeof WORD, number>> = {
      chunks,
      done: 0,
      bad: 0,
      from: tensorType(piece.from).code,
      to: tensorType(piece.to).code,
      values: piece.values,
      chunkValues: piece.chunkValues,
      srcBytes: piece.srcBytes,
      chunkSrcBytes: piece.chunkSrcBytes,
      src: half * this.#srcBytes,
      out: 2 * this.#srcBytes + half * this.#outBytes,
      blockValues: blockCols,
      blockBytes,
      pool: averaging?.pool ?? 0,
      poolBytes: averaging?.poolBytes ?? 0,
      rowBytes: averaging?.rowBytes ?? 0,
      cols: averaging?.cols ?? 0,
    };
    for (const [name, value] of Object.entries(words)) this.#words[WORD[name as keyof typeof WORD]] = value;
  }

  /** All chunks, on the caller's thread, with time for events between them. */
  async #compute(chunks: number, signal: AbortSignal | undefined): Promise<void> {
    this.#instance ??= new WebAssembly.Instance(this.#data.module, { env: { abort() {} } });
    let paused = performance.now();
    for (let i = 0; i < chunks; i++) {
      quantizeThread({ ...this.#data, instance: this.#instance }, () => this.#onDone());
      if (performance.now() - paused < SLICE_MS) continue;
      await yieldToEvents();
      signal?.throwIfAborted();
      paused = performance.now();
    }
  }
}

const AWAKE_MS = 1000;

/** Longest that the caller's thread computes without a look at its events. */
const SLICE_MS = 25;
