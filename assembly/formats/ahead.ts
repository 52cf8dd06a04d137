// Reads what comes next from memory while something else is computed. WebAssembly has no instruction to prefetch.
//
// A few lines at a time, read as fast as they are needed, keep the processor's own prefetcher ahead of them: then they wait
// for nothing, and are in the second cache when they are computed with. Read all at once, memory is waited for.

const LINE: usize = 64;

let at: usize = 0;
let end: usize = 0;
let step: usize = 0;
// What was read, kept in sight so that no compiler leaves the loads out.
let seen: i32 = 0;

/** From here on read_ahead() reads one line of each in [from, from + bytes), all of them in so many calls. 0 bytes: none. */
export function begin_ahead(from: usize, bytes: usize, calls: i32): void {
  at = from;
  end = from + bytes;
  step = (bytes / (LINE * <usize>calls) + 1) * LINE;
}

/** Reads the next lines. */
export function read_ahead(): void {
  let p = at;
  if (p >= end) return;
  const stop = min(p + step, end);
  let sum = seen;
  for (; p < stop; p += LINE) sum ^= load<i32>(p);
  seen = sum;
  at = stop;
}
