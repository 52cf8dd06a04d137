// What the engine needs of the place it runs in.
import type { ByteSource } from "../source/byte_source.ts";
import type { Sha256Stream } from "../util/sha256.ts";

/** What the engine needs from the place it runs in. One file of this folder for each runtime. */
export interface Runtime {
  /** Name and version, as statistics and results print them: "bun 1.4.5". */
  readonly name: string;
  /** Logical cores that may be used, by affinity and quotas too where they can be read; 1 where nothing says. */
  readonly cores: number;
  /** Whether threads can share memory, and this one may wait for others. */
  readonly threads: boolean;
  /**
   * Whether a step may wait for events in its middle. Not in workerd, where a timer ends with the request that set it:
   * a step that waits for one would never end, and every other request waits for the step.
   */
  readonly pauses: boolean;
  /**
   * Whether responses may be without headers that the server sent: in browsers, those of other origins and those that
   * a service worker has made. What is not there then proves nothing.
   */
  readonly hidesHeaders?: boolean;
  /** Begins a SHA-256, the runtime's own if it has one that takes bytes in pieces. */
  sha256(): Sha256Stream;
  /** What can be done where memory is refused, as a part of a sentence: "raise the limit on ..." */
  readonly memoryHint: string;
  /** Opens a local file. @throws SourceError where there is none, it is a directory or files do not exist. */
  openFile(path: string): Promise<ByteSource>;
  /**
   * Opens the place where downloads are kept: `directory`, or the runtime's own. Undefined where there is none, or
   * where it cannot be used and no directory was named.
   * @throws SourceError where `directory` cannot be used
   */
  openCache(directory?: string): Promise<FileCache | undefined>;
  /** Asks for garbage collections, and lets what they found be reported, until `isDone` or until it seems to be in vain. */
  collectGarbage(isDone: () => boolean): Promise<void>;
  /** Largest resident memory of the process so far, in bytes; undefined where the runtime does not say. */
  peakRssBytes(): number | undefined;
  /**
   * Starts a thread that runs `main(data, send)` when it is given its data. It never keeps the process alive.
   * @param main a function that uses nothing of the module around it: its source text is what travels
   * @param url a file that does the same as the text of `main`, for pages that start no worker from text
   * @throws whatever the runtime refuses a worker with; the message says what allows it, where that is known
   */
  startWorker<Data>(main: WorkerMain<Data>, url?: string | URL): WorkerHandle<Data>;
}

/** The body of a worker. `send` passes text to whoever started it. */
export type WorkerMain<Data> = (data: Data, send: (text: string) => void) => void;

/** A started thread. */
export interface WorkerHandle<Data> {
  /**
   * Gives the thread its data, once: what a structured clone can carry, compiled modules and shared memories among it.
   * @throws where they cannot be given
   */
  begin(data: Data): void;
  /** Called with each text that the worker sends. */
  onText: (text: string) => void;
  /** Called once where the worker dies, by an error or because it was ended, unless terminate() was called. */
  onDeath: (reason: string) => void;
  /** Ends the thread, wherever it is. Safe to call twice. */
  terminate(): void;
}

/** Files that are kept between runs, each under a name of letters, digits, ".", "_" and "-". */
export interface FileCache {
  /** Names of the whole files that begin with `prefix`, the newest first. */
  find(prefix: string): Promise<readonly string[]>;
  /** A whole file; undefined where there is none of this name and size. */
  open(name: string, size?: number): Promise<ByteSource | undefined>;
  /**
   * Begins a file; with `resume` it goes on with what is left of an earlier attempt. Several processes may write the
   * same file: what they write under one name must be the same bytes.
   */
  write(name: string, size: number, resume: boolean): Promise<CacheWriter>;
  /** Removes a whole file, if there is one. */
  remove(name: string): Promise<void>;
}

/** A file that is being written from front to back. */
export interface CacheWriter {
  /** Bytes written so far, those of an earlier attempt included. */
  readonly length: number;
  /** @throws SourceError where the bytes cannot be kept, a full disk for example */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads what was written, before and after `publish`. */
  read(offset: number, target: Uint8Array): Promise<void>;
  /** Makes the file a whole one, at once or not at all, and removes other files that begin with `prefix`. */
  publish(prefix: string): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
  /** Lets handles go; what was not published is kept for the next attempt. Safe to call twice. */
  close(): Promise<void>;
}
