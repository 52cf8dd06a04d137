// The part of the browser's Cache API that cria uses, in memory and with a quota.

/** A `CacheStorage` of one cache, whose entries a test may look at. */
export class FakeCacheStorage {
  readonly entries = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Most bytes of all entries. */
  quota = Number.POSITIVE_INFINITY;
  puts = 0;

  async open(_name: string): Promise<Cache> {
    return {
      match: async (key: string) => {
        const bytes = this.entries.get(key);
        return bytes && new Response(bytes);
      },
      put: async (key: string, response: Response) => {
        const bytes = new Uint8Array(await response.arrayBuffer());
        const used = [...this.entries].reduce((sum, [k, v]) => sum + (k === key ? 0 : v.length), 0);
        if (used + bytes.length > this.quota) throw new DOMException("no room", "QuotaExceededError");
        this.puts++;
        this.entries.set(key, bytes);
      },
      delete: async (key: string) => this.entries.delete(key),
      keys: async () => [...this.entries.keys()].map((url) => new Request(url)),
    } as unknown as Cache;
  }

  /** As browsers' own type has it. */
  get storage(): CacheStorage {
    return this as unknown as CacheStorage;
  }
}
