// Asks for garbage collections, also in runtimes that have no function for it.

/** How often a collection is asked for at once. */
const QUICK_ATTEMPTS = 16;
// Engines mark live objects beside the program, which takes time on a busy machine: one collection that is not over yet
// may have answered all quick attempts. The waits add up to a second.
const WAITS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
// Sizes of the memory that is taken: the largest that the runtime gives. It is never touched, so the system need not
// provide it. Several buffers are held at once, since engines collect the youngest garbage in another way.
const BUFFER_BYTES = [256 << 20, 64 << 20, 16 << 20];
const MAX_BUFFERS = 4;

/**
 * Asks for garbage collections, and lets finalizers run, until `isDone` or until more of them seem useless.
 * @param ask asks the runtime. Default: the function `gc` if there is one (`--expose-gc`), else taking memory, which
 *   engines answer with a collection
 */
export async function collectGarbage(isDone: () => boolean, ask?: () => void): Promise<void> {
  const held: ArrayBuffer[] = [];
  const { gc } = globalThis as { gc?: () => void };
  const collect = ask ?? (typeof gc === "function" ? gc : () => takeMemory(held));
  // Finalizers of an earlier collection may be waiting.
  for (let i = 0; !isDone() && i < QUICK_ATTEMPTS + WAITS.length; i++) {
    if (i > 0) collect();
    await new Promise((resolve) => setTimeout(resolve, WAITS[i - QUICK_ATTEMPTS] ?? 0));
  }
}

function takeMemory(held: ArrayBuffer[]): void {
  if (held.length === MAX_BUFFERS) held.length = 0;
  for (const bytes of BUFFER_BYTES) {
    try {
      held.push(new ArrayBuffer(bytes));
      return;
    } catch {
      // A smaller one may be given.
    }
  }
}
