// Runtimes that refuse memory: stand-ins for WebAssembly.Memory.

/** What was asked for: pages. */
export interface AskedMemory {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/**
 * Runs `body` while WebAssembly.Memory refuses what `refuses` says; what was asked for meanwhile, in order.
 */
export async function refusingMemory<T>(
  refuses: (asked: AskedMemory) => boolean,
  body: (asked: readonly AskedMemory[]) => Promise<T>,
): Promise<T> {
  const asked: AskedMemory[] = [];
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, [{ initial, maximum = initial, shared = false }]: [WebAssembly.MemoryDescriptor]) {
      const one = { initial, maximum, shared };
      asked.push(one);
      if (refuses(one)) throw new RangeError("Out of memory");
      return new target(one);
    },
  });
  try {
    return await body(asked);
  } finally {
    WebAssembly.Memory = Memory;
  }
}
