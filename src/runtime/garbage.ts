// Garbage collections for programs that cannot call one.

/** How often a collection is asked for at once. */
const QUICK_ATTEMPTS = 16;
// Engines mark what lives beside the program, which takes its time on a busy machine: what was asked for at once may
// have been answered by one collection that is not over yet. The waits add up to a second.
const WAITS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
// Memory that is taken, the largest buffer that is given. It is never touched, so that the system has to find none of
// it; several are held at once, since the youngest garbage alone is collected in another way.
const BUFFER_BYTES = [256 << 20, 64 << 20, 16 << 20];
const MAX_BUFFERS = 4;

/**
 * Asks for garbage collections, and lets what they found be reported, until `isDone` or until it seems to be in vain.
 * @param ask asks the runtime. Default: by the function `gc` where there is one (`--expose-gc`), else by taking memory,
 *   which engines answer with a collection
 */
export async function collectGarbage(isDone: () => boolean, ask?: () => void): Promise<void> {
  const held: ArrayBuffer[] = [];
  const { gc } = globalThis as { gc?: () => void };
  const collect = ask ?? (typeof gc === "function" ? gc : () => takeMemory(held));
  // What was found before may only wait to be reported.
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
