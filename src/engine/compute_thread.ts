/** What a compute thread needs to begin. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly scratch: number;
  readonly statusWord: number;
  readonly trapStatus: number;
  readonly barrierWord: number;
}

/**
 * The body of a compute thread. It also travels as its own source text, through whatever bundlers and
 * minifiers make of it: it may use nothing of this module, and hold no function that they would name.
 */
export function computeThread(data: ThreadData, send: (text: string) => void): void {
  try {
    const { exports } = new WebAssembly.Instance(data.module, { env: { memory: data.memory } });
    (exports.work as (scratch: number) => void)(data.scratch);
  } catch (error) {
    // Whoever waits at the barrier learns of it at once.
    const words = new Int32Array(data.memory.buffer);
    Atomics.compareExchange(words, data.statusWord, 0, data.trapStatus);
    Atomics.notify(words, data.barrierWord);
    send(String(error));
  }
}
