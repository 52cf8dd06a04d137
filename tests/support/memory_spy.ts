// Watches what is allocated: a hostile number must never become the size of a memory.

/**
 * Runs `body` and returns the bytes of every WebAssembly memory made meanwhile. An error of `body` is thrown.
 */
export async function memoriesOf(body: () => Promise<unknown>): Promise<number[]> {
  const made: number[] = [];
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, args: [WebAssembly.MemoryDescriptor]) {
      made.push(args[0].initial * 65536);
      return new target(...args);
    },
  });
  try {
    await body();
  } finally {
    WebAssembly.Memory = Memory;
  }
  return made;
}
