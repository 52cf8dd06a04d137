import type { ByteSource } from "../util/byte_source.ts";

/** What the engine needs from the place it runs in. One file of this folder for each runtime. */
export interface Runtime {
  /** Name and version, as statistics and results print them: "bun 1.4.5". */
  readonly name: string;
  /** Logical cores; 1 where the runtime does not say. */
  readonly cores: number;
  /** Whether threads can share memory, and this one may wait for others. */
  readonly threads: boolean;
  /** Opens a local file. @throws SourceError where there is none, it is a directory or files do not exist. */
  openFile(path: string): Promise<ByteSource>;
  /** Largest resident memory of the process so far, in bytes; undefined where the runtime does not say. */
  peakRssBytes(): number | undefined;
  /**
   * Starts a thread that runs `main(data, send)`. It never keeps the process alive.
   * @param main a function that uses nothing of the module around it: its source text is what travels
   * @param data what a structured clone can carry: compiled modules and shared memories among it
   */
  startWorker<Data>(main: WorkerMain<Data>, data: Data): WorkerHandle;
}

/** The body of a worker. `send` passes text to whoever started it. */
export type WorkerMain<Data> = (data: Data, send: (text: string) => void) => void;

/** A started thread. */
export interface WorkerHandle {
  /** Called with each text that the worker sends. */
  onText: (text: string) => void;
  /** Called once where the worker dies, by an error or because it was ended, unless terminate() was called. */
  onDeath: (reason: string) => void;
  /** Ends the thread, wherever it is. Safe to call twice. */
  terminate(): void;
}
