// Garbage collections for programs that cannot call one.

// Memory that is taken and dropped. It is never touched, so that no runtime has to find it.
const BUFFER_BYTES = 16 << 20;
const BUFFERS = 4;

/**
 * Asks for a garbage collection: of the runtime where it was told to offer one (`--expose-gc`), else by taking memory,
 * which every engine answers with a collection sooner or later.
 */
export function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  try {
    if (typeof gc === "function") gc();
    else for (let i = 0; i < BUFFERS; i++) new ArrayBuffer(BUFFER_BYTES);
  } catch {
    // There is no memory to take: a collection was tried.
  }
}
