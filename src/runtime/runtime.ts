// The interface that every runtime implements.
import type { SourceHost } from "../source/host.ts";

/** What the engine needs from the place it runs in. One file of this folder for each runtime. */
export interface Runtime extends SourceHost {
  /** Name and version, as statistics and results print them: "bun 1.4.5". */
  readonly name: string;
  /** Logical cores that may be used, by affinity and quotas too if they can be read; 1 if nothing says. */
  readonly cores: number;
  /** Whether threads can share memory, and this one may wait for others. */
  readonly threads: boolean;
  /**
   * Whether a step may wait for events in its middle. Not in workerd, where a timer ends with the request that set it:
   * a step that waits for one would never end, and every other request waits for the step.
   */
  readonly pauses: boolean;
  /** What can be done if memory is refused, as a part of a sentence: "raise the limit on ..." */
  readonly memoryHint: string;
  /** Asks the system for huge pages for the first `bytes` of a memory, if the runtime can. Nothing depends on the answer. */
  adviseMemory?(memory: WebAssembly.Memory, bytes: number): void;
  /** Asks for garbage collections, and lets finalizers run, until `isDone` or until more of them seem useless. */
  collectGarbage(isDone: () => boolean): Promise<void>;
  /** Largest resident memory of the process so far, in bytes; undefined if the runtime does not say. */
  peakRssBytes(): number | undefined;
  /**
   * Starts a thread that runs `main(data, send)` when it is given its data. It never keeps the process alive.
   * @param main a function that uses nothing of the module around it: its source text is what travels
   * @param url a file that does the same as the text of `main`, for pages that start no worker from text
   * @throws whatever the runtime refuses a worker with; the message says what allows it, if that is known
   */
  startWorker<Data>(main: WorkerMain<Data>, url?: string | URL): WorkerHandle<Data>;
}

/** The body of a worker. `send` passes text to the code that started it. */
export type WorkerMain<Data> = (data: Data, send: (text: string) => void) => void;

/** A started thread. */
export interface WorkerHandle<Data> {
  /**
   * Gives the thread its data, once: what a structured clone can carry, compiled modules and shared memories among it.
   * @throws if they cannot be given
   */
  begin(data: Data): void;
  /** Called with each text that the worker sends. */
  onText: (text: string) => void;
  /** Called once if the worker dies, unless terminate() was called. */
  onDeath: (reason: string) => void;
  /** Ends the thread, whatever it does. Safe to call twice. */
  terminate(): void;
}
