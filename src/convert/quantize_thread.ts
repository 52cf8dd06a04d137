// The code of a thread that quantizes: it takes chunks of the posted piece until none is left.

/** What a thread needs to begin. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  /** An instance of the caller's own: the chunks of the posted piece are done, then the function returns. */
  readonly instance?: WebAssembly.Instance;
  readonly words: Int32Array;
  /** What pieces are read from and written to. */
  readonly bytes: Uint8Array;
  /** Indexes of the words. */
  readonly at: typeof WORD;
}

/** Words that describe the posted piece and count its chunks. */
export const WORD = {
  /** Pieces posted so far: what threads wait for. Negative: they end. */
  posted: 0,
  /** The next chunk that nobody has taken. */
  next: 1,
  chunks: 2,
  done: 3,
  /** What encode() returned for a chunk that could not be quantized. */
  bad: 4,
  from: 5,
  to: 6,
  /** Values of the whole result, and of a chunk of it. */
  values: 7,
  chunkValues: 8,
  /** Bytes of the whole input, and of a chunk of it. */
  srcBytes: 9,
  chunkSrcBytes: 10,
  src: 11,
  out: 12,
  /** The result's type: values and bytes of a block. */
  blockValues: 13,
  blockBytes: 14,
  /** Arguments of average(); pool 0: values are taken as they come. */
  pool: 15,
  poolBytes: 16,
  rowBytes: 17,
  cols: 18,
} as const;

/** How many words there are. */
export const WORDS = 19;

interface Kernels {
  readonly memory: WebAssembly.Memory;
  begin(): number;
  average(...args: number[]): void;
  read(file: number, src: number, n: number, out: number): void;
  encode(type: number, x: number, n: number, out: number): number;
}

/**
 * The body of a thread. It also travels as its own source text: it may use nothing of this module, and hold no function
 * that bundlers would name. After the last chunk of a piece it sends "done".
 */
export function quantizeThread(data: ThreadData, send: (text: string) => void): void {
  const { module, instance, words, bytes, at } = data;
  const kernels = (instance ?? new WebAssembly.Instance(module, { env: { abort() {} } }))
    .exports as unknown as Kernels;
  for (;;) {
    const posted = Atomics.load(words, at.posted);
    if (posted < 0) return;
    for (;;) {
      const chunk = Atomics.add(words, at.next, 1);
      const chunks = words[at.chunks] as number;
      if (chunk >= chunks) break;
      const from = words[at.from] as number;
      const chunkValues = words[at.chunkValues] as number;
      const chunkSrcBytes = words[at.chunkSrcBytes] as number;
      const n = Math.min(chunkValues, (words[at.values] as number) - chunk * chunkValues);
      const srcBytes = Math.min(chunkSrcBytes, (words[at.srcBytes] as number) - chunk * chunkSrcBytes);
      const outBytes = (n / (words[at.blockValues] as number)) * (words[at.blockBytes] as number);
      const cols = words[at.cols] as number;
      const pool = words[at.pool] as number;
      // Addresses: the input, values as f32, a row of them, the result.
      const src = kernels.begin();
      const values = src + Math.ceil(srcBytes / 16) * 16;
      const scratch = values + Math.ceil(n / 4) * 16;
      const out = scratch + Math.ceil(cols / 4) * 16;
      const missing = out + outBytes - kernels.memory.buffer.byteLength;
      if (missing > 0) kernels.memory.grow(Math.ceil(missing / 65536));
      const memory = new Uint8Array(kernels.memory.buffer);
      const begin = (words[at.src] as number) + chunk * chunkSrcBytes;
      memory.set(bytes.subarray(begin, begin + srcBytes), src);
      if (pool > 0) {
        kernels.average(
          from,
          src,
          words[at.rowBytes] as number,
          n / cols,
          cols,
          pool,
          words[at.poolBytes] as number,
          values,
          scratch,
        );
      } else if (from !== 0) {
        kernels.read(from, src, n, values);
      }
      const bad = kernels.encode(words[at.to] as number, pool === 0 && from === 0 ? src : values, n, out);
      if (bad !== 0) Atomics.store(words, at.bad, bad);
      const to =
        (words[at.out] as number) +
        chunk * (chunkValues / (words[at.blockValues] as number)) * (words[at.blockBytes] as number);
      bytes.set(memory.subarray(out, out + outBytes), to);
      if (Atomics.add(words, at.done, 1) + 1 === chunks) send("done");
      // The caller's thread does one chunk at a time, between its events.
      if (instance) return;
    }
    if (instance) return;
    Atomics.wait(words, at.posted, posted);
  }
}
