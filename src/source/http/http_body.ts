// The body of one answer, as it comes.

/** A part of a file that is being received. */
export class AnswerBody {
  /** Offset of its first byte in the file. */
  readonly begin: number;
  /** Offset of its next byte. */
  at: number;
  /** Offset behind its last byte; undefined if only its end will tell. */
  readonly end: number | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(body: ReadableStream<Uint8Array> | null, begin: number, end: number | undefined) {
    this.begin = begin;
    this.at = begin;
    this.end = end;
    this.#reader = body?.getReader();
  }

  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> {
    return this.#reader?.read() ?? Promise.reject();
  }

  /** Ends it; never waits. */
  cancel(): void {
    this.#reader?.cancel().catch(() => {});
  }
}
