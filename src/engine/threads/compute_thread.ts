// The code of a compute thread.
/** What a compute thread needs to begin. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly scratch: number;
  /** Set when the thread enters WebAssembly: what fails before is no more than a thread that did not start. */
  readonly startedWord: number;
  readonly statusWord: number;
  readonly trapStatus: number;
  readonly insideWord: number;
}

/**
 * The body of a compute thread. It also travels as its own source text, through whatever bundlers and
 * minifiers make of it: it may use nothing of this module, and hold no function that they would name.
 */
export function computeThread(data: ThreadData, send: (text: string) => void): void {
  const words = new Int32Array(data.memory.buffer);
  try {
    const { exports } = new WebAssembly.Instance(data.module, { env: { memory: data.memory } });
    Atomics.store(words, data.startedWord, 1);
    (exports.work as (scratch: number) => void)(data.scratch);
  } catch (error) {
    if (Atomics.load(words, data.startedWord) === 1) {
      // The thread that waits for the end of a segment learns of it at once.
      Atomics.compareExchange(words, data.statusWord, 0, data.trapStatus);
      Atomics.notify(words, data.insideWord);
    }
    send(String(error));
  }
}
