// What sources need of the place they run in: files, a cache of downloads, hashes.
import type { Sha256Stream } from "../util/sha256.ts";
import type { ByteSource } from "./byte_source.ts";

/** What sources need of a runtime. `Runtime` extends it. */
export interface SourceHost {
  /** Opens a local file. @throws SourceError if there is none, it is a directory, or files do not exist. */
  openFile(path: string): Promise<ByteSource>;
  /**
   * Opens a cache of downloads: `directory`, or the runtime's own. Undefined if there is none, or if it cannot be used
   * and no directory was named.
   * @param toRead whether it is read only: one that does not exist is not made, and has no files
   * @throws SourceError if `directory` cannot be used
   */
  openCache(directory?: string, toRead?: boolean): Promise<FileCache | undefined>;
  /** Begins a SHA-256, the runtime's own if it has one that takes bytes in pieces. */
  sha256(): Sha256Stream;
  /**
   * Whether responses may lack headers that the server sent: in browsers, those of other origins and those that a
   * service worker has made. An absent header then proves nothing.
   */
  readonly hidesHeaders?: boolean;
  /** The value of an environment variable; undefined if it is not set or may not be read. Absent without variables. */
  variable?(name: string): string | undefined;
  /** Bytes of memory that the machine, or the container around the process, has; undefined if nothing says. */
  memoryBytes?(): number | undefined;
}

/** Files that are cached between runs, each under a name of letters, digits, ".", "_" and "-". */
export interface FileCache {
  /** Names of the whole files that begin with `prefix`, the newest first. */
  find(prefix: string): Promise<readonly string[]>;
  /** A whole file; undefined if there is none of this name and size. */
  open(name: string, size?: number): Promise<ByteSource | undefined>;
  /**
   * Begins a file; with `resume` it resumes an earlier attempt. Several processes may write the same file: what they
   * write under one name must be the same bytes.
   */
  write(name: string, size: number, resume: boolean): Promise<CacheWriter>;
  /** Removes a file, whole or not, and its note. */
  remove(name: string): Promise<void>;
  /**
   * Stores a short text beside a file that there is, whole or not; `list` gives it. One that cannot be stored is left
   * out.
   */
  note(name: string, text: string): Promise<void>;
  /** All files, whole or not. Each name stands once. */
  list(): Promise<readonly CacheEntry[]>;
}

/** A cached file, as a list shows it. */
export interface CacheEntry {
  readonly name: string;
  /** Bytes that are stored. */
  readonly size: number;
  /** Whether it is a whole file. */
  readonly isWhole: boolean;
  /** When it was last written, in milliseconds since 1970; undefined if the place does not say. */
  readonly time: number | undefined;
  /** What `note` stored. */
  readonly note: string | undefined;
  /** Where it is; undefined if the place has no paths. */
  readonly path: string | undefined;
}

/** A file that is being written from front to back. */
export interface CacheWriter {
  /** Bytes written so far, those of an earlier attempt included. */
  readonly length: number;
  /** @throws SourceError if the bytes cannot be stored, for example on a full disk */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads what was written, before and after `publish`. */
  read(offset: number, target: Uint8Array): Promise<void>;
  /** Makes the file a whole one, at once or not at all, and removes other files that begin with `prefix`. */
  publish(prefix: string): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
  /** Releases handles; what was not published stays for the next attempt. Safe to call twice. */
  close(): Promise<void>;
}
