// How URLs are read: what a caller may choose, and what cria adds to it.
import type { Sha256Stream } from "../../util/sha256.ts";

/** How URLs are read. */
export interface HttpOptions {
  /** Sent with every request. */
  headers?: Record<string, string>;
  /** How often a lost connection is resumed without 64 KB of progress. Default 5. */
  retries?: number;
  /** Milliseconds before the first new attempt, doubled for each further one. Default 250. */
  retryMs?: number;
  /** Milliseconds without a byte after which a connection counts as lost. Default 60000. */
  idleMs?: number;
}

/** How one URL's file is read. */
export interface UrlOptions {
  readonly signal?: AbortSignal | undefined;
  readonly http?: HttpOptions | undefined;
  /** SHA-256 that the file must have, in 64 hexadecimal digits. */
  readonly sha256?: string | undefined;
  /** Begins a SHA-256; cria's own if absent. */
  readonly newHash?: (() => Sha256Stream) | undefined;
  /** Whether responses may lack headers that the server sent; see `SourceHost.hidesHeaders`. */
  readonly hidesHeaders?: boolean | undefined;
  /** Whether it is a file of the Hugging Face hub: errors then say what may be done there. */
  readonly isHub?: boolean | undefined;
  /** Called with the headers of the first answer. */
  readonly onHeaders?: ((headers: Headers) => void) | undefined;
  /** Called as bytes come. */
  readonly onBytes?: ((receivedBytes: number, totalBytes: number | undefined) => void) | undefined;
}
