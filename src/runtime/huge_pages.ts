// Asks Linux to keep a memory in huge pages, through functions of C that Bun and Deno can call.
//
// Else it has pages of 4 KiB. Who reads a model's weights from one end to the other finds each of them in the processor's tables
// only after a search, and prefetchers stop at its end. Most distributions give huge pages only to memory for which they are
// asked (the setting "madvise"). Nothing depends on the answer.

// From <linux/mman.h>, the same on all architectures that these runtimes have.
const MADV_HUGEPAGE = 14;
// Tables of processors hold the places of some megabytes.
const LEAST_BYTES = 32 << 20;
// Of glibc and of musl.
const libraries = ["libc.so.6", "libc.so"];

/** madvise(2) for a memory from its first byte on. */
export type Advise = (memory: WebAssembly.Memory, bytes: number, advice: number) => void;

/**
 * Asks for huge pages for the first `bytes` of a memory, which must be all its own: what it has, or may grow to in its place.
 * @param open opens a library of C; throws if it is not there or may not be opened
 */
export function askForHugePages(
  memory: WebAssembly.Memory,
  bytes: number,
  open: (library: string) => Advise,
): void {
  if (globalThis.process.platform !== "linux" || bytes < LEAST_BYTES) return;
  for (const library of libraries) {
    try {
      open(library)(memory, bytes, MADV_HUGEPAGE);
      return;
    } catch {
      // The memory is as good without it.
    }
  }
}
