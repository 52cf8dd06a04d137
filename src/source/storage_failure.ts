// Caching is an optimisation: if the storage fails in the middle of a file, the file is fetched without it.
import type { ByteSource } from "./byte_source.ts";

/** What a storage threw, to tell it apart from what a network throws. */
class StorageFailure extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super("storage failed");
    this.reason = reason;
  }
}

/** The result of `work`. @throws StorageFailure */
export async function ofStorage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new StorageFailure(error);
  }
}

/**
 * A source over a storage; if that fails, it is replaced by one that needs no storage.
 * @param plain opens that one; without it what the storage threw is thrown
 */
export function withoutStorage(
  source: ByteSource,
  plain: (() => Promise<ByteSource>) | undefined,
): ByteSource {
  return new ReplaceableSource(source, plain);
}

class ReplaceableSource implements ByteSource {
  readonly name: string;
  readonly size: number | undefined;
  #source: ByteSource;
  readonly #plain: (() => Promise<ByteSource>) | undefined;
  #replacing: Promise<ByteSource> | undefined;
  #closed = false;

  constructor(source: ByteSource, plain: (() => Promise<ByteSource>) | undefined) {
    this.name = source.name;
    this.size = source.size;
    this.#source = source;
    this.#plain = plain;
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#attempt((source) => source.read(offset, target));
  }

  finish(): Promise<void> {
    return this.#attempt(async (source) => source.finish?.());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#replacing?.catch(() => {});
    await this.#source.close();
  }

  async #attempt(work: (source: ByteSource) => Promise<void>): Promise<void> {
    try {
      await work(this.#source);
    } catch (error) {
      if (!(error instanceof StorageFailure)) throw error;
      if (!this.#plain || this.#closed) throw error.reason;
      this.#replacing ??= this.#replace(this.#plain);
      await work(await this.#replacing);
    }
  }

  async #replace(plain: () => Promise<ByteSource>): Promise<ByteSource> {
    // Its connection and its handles are no longer of use.
    await this.#source.close().catch(() => {});
    this.#source = await plain();
    return this.#source;
  }
}
