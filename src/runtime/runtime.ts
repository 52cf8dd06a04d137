import type { ByteSource } from "../util/byte_source.ts";

/** What the engine needs from the place it runs in. One file of this folder for each runtime. */
export interface Runtime {
  /** Name and version, as statistics and results print them: "bun 1.4.5". */
  readonly name: string;
  /** Logical cores; 1 where the runtime does not say. */
  readonly cores: number;
  /**
   * Opens a local file.
   * @throws SourceError where there is none, it may not be read, it is a directory, or the runtime has no files.
   */
  openFile(path: string): Promise<ByteSource>;
  /** Largest resident memory of the process so far, in bytes; undefined where the runtime does not say. */
  peakRssBytes(): number | undefined;
}
