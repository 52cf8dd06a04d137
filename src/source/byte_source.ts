// The interface of everything that bytes are read from.

/**
 * Bytes with a name: a file, a URL, a Blob, bytes in memory or a stream. Formats and the loader read ranges from it and
 * never ask for the whole.
 */
export interface ByteSource {
  /** What error messages call it: a path, a URL, "bytes". */
  readonly name: string;
  /**
   * Total bytes; undefined if it cannot be known before the end (a stream). It is known after a read that met the
   * end.
   */
  readonly size: number | undefined;
  /**
   * Fills `target` with the bytes at [offset, offset + target.length).
   * `target` may be a view of (possibly shared) WebAssembly memory.
   * @throws SourceError when the bytes cannot be had; FormatError when the source ends before them
   *   ("Cannot read NAME: Expected N bytes at offset O, the file ends at S").
   */
  read(offset: number, target: Uint8Array): Promise<void>;
  /**
   * Called once, after all that is needed was read and before it is used. Completes what must hold for the whole: its
   * digest, its place in a cache. Absent if there is nothing to complete.
   * @throws SourceError if the digest is another
   */
  finish?(): Promise<void>;
  /** Releases handles. Safe to call twice. */
  close(): Promise<void>;
}
