// Segments, chunk counters and sleep: the only file that knows whether there are threads. Without threads the same loop
// runs alone.
//
// A segment is the records up to one with a barrier. The host's thread goes through all segments by itself; other
// threads help with those that they find open:
//
//   host    describe; INSIDE = open; SEGMENT++; work; INSIDE -= open; wait until INSIDE is 0; reset counters; next
//   helper  wait until SEGMENT is another; if INSIDE is open, INSIDE++ (one compare-exchange); work; INSIDE--
//
// The host may open a segment some time before it works on it (open_step() in plan/run.ts). Until then only the others
// work on it, and the host writes nothing that it reads.
//
// The host does not wait for a thread that does not run when a segment begins: that thread enters later, or not at all,
// and the host does the work. It waits only for threads that are inside.
//
// Why this is right whenever threads stop and continue:
// - A helper touches records, counters and buffers only while it is counted in INSIDE. The host takes the open bit away
//   and reads 0 before it writes counters, the number of threads or the next description. Then no thread is inside, and
//   none can enter, because entering is one compare-exchange that finds the bit set.
// - A helper reads what the segment is after it has entered. What it saw before only made it try: if another segment is
//   open by then, it has entered that one. For the same reason a value of SEGMENT or INSIDE that comes up again does no
//   harm.
// - All of these are atomic (sequentially consistent). A thread that enters sees what the host wrote before it opened the
//   segment, and the host sees what helpers wrote inside when it has read 0.
// - A sleeper announces itself, then sleeps only if the word it watches is unchanged. Who changes the word looks for
//   sleepers afterwards. One of the two sees the other, so no wake-up is lost.
import {
  CONTROL_CANCEL,
  CONTROL_FIRST,
  CONTROL_HOST_SLEEPS,
  CONTROL_INSIDE,
  CONTROL_LAST,
  CONTROL_N_THREADS,
  CONTROL_READY,
  CONTROL_SEGMENT,
  CONTROL_SHUTDOWN,
  CONTROL_SLEEPERS,
  CONTROL_STATUS,
  SEGMENT_OPEN,
  STATUS_CANCELLED,
  STATUS_OK,
  STATUS_TIMEOUT,
} from "./layout/control";

// A turn of a spinning loop takes some 2 ns in V8 and 18 ns in JavaScriptCore. There sleeping costs more, too:
// waking a thread takes 40 us in Deno, 2 ms in Bun.
// At the end of a segment the host's thread spins: 40 us or 360 us, and as much more as large chunks take. That is longer
// than the last chunks of threads differ, unless a thread was descheduled in one.
const LEAVE_SPINS: i32 = 20000;
// A helper spins for 2 ms or 18 ms until the next segment: the host needs less between two tokens. A helper that does not
// take part sleeps at once.
const ENTER_SPINS: i32 = 1000000;
// Whoever has not left by then was descheduled.
const STALL_NS: i64 = 1_000_000;
// A thread that does not leave within thirty waits is dead. There are several short waits, because after a stop of the
// whole process one of them is over at once.
const WAIT_NS: i64 = 100_000_000;
const WAITS: i32 = 30;

/** Takes the next `n` units of work from a counter; returns the first. */
export function take(counter: usize, n: i32): i32 {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(counter, n);
  const first = load<i32>(counter);
  store<i32>(counter, first + n);
  return first;
}

/**
 * What a thread takes of `left` parts of work, `most` at most. Alone it takes all. Among others it takes half of its fair
 * share, so that threads end together however fast each of them is. The result is an odd multiple of `unit`, unless less
 * is left.
 */
export function share(left: i32, threads: i32, unit: i32, most: i32): i32 {
  if (left <= unit) return left;
  const units = left / (threads > 1 ? 2 * threads * unit : unit);
  return units < 2 ? unit : min(((units - 1) | 1) * unit, most);
}

/** Takes a share of the parts from a counter up to `total`; returns the first, and total or more after the last. */
export function take_share(counter: usize, total: i32, threads: i32, unit: i32, most: i32): i32 {
  if (ASC_FEATURE_THREADS) {
    let first = atomic.load<i32>(counter);
    while (first < total) {
      const seen = atomic.cmpxchg<i32>(counter, first, first + share(total - first, threads, unit, most));
      if (seen === first) break;
      first = seen;
    }
    return first;
  }
  return take(counter, share(total - load<i32>(counter), threads, unit, most));
}

/** STATUS_OK while the step runs; the reason to stop otherwise. */
export function step_status(): i32 {
  if (ASC_FEATURE_THREADS) {
    if (atomic.load<i32>(CONTROL_CANCEL)) atomic.cmpxchg<i32>(CONTROL_STATUS, STATUS_OK, STATUS_CANCELLED);
    return atomic.load<i32>(CONTROL_STATUS);
  }
  if (load<i32>(CONTROL_CANCEL)) return STATUS_CANCELLED;
  return load<i32>(CONTROL_STATUS);
}

/** Ends the step for every thread. */
export function stop_step(status: i32): void {
  if (ASC_FEATURE_THREADS) {
    atomic.cmpxchg<i32>(CONTROL_STATUS, STATUS_OK, status);
    atomic.notify(CONTROL_INSIDE, -1);
  } else {
    store<i32>(CONTROL_STATUS, status);
  }
}

/** Lowers the word at `ptr` to `value`; 0 counts as the largest. */
export function lower(ptr: usize, value: i32): void {
  if (ASC_FEATURE_THREADS) {
    let seen = atomic.load<i32>(ptr);
    while (seen === 0 || value < seen) {
      const before = atomic.cmpxchg<i32>(ptr, seen, value);
      if (before === seen) return;
      seen = before;
    }
  } else {
    const seen = load<i32>(ptr);
    if (seen === 0 || value < seen) store<i32>(ptr, value);
  }
}

/** Sets bits of the word at `ptr`. */
export function set_bits(ptr: usize, bits: i32): void {
  if (ASC_FEATURE_THREADS) {
    if ((atomic.load<i32>(ptr) & bits) !== bits) atomic.or<i32>(ptr, bits);
  } else {
    store<i32>(ptr, load<i32>(ptr) | bits);
  }
}

/** Begins the segment of records [first, last) for all threads that take part, unless it is open. The host's thread. */
export function open_segment(first: usize, last: usize): void {
  if (ASC_FEATURE_THREADS) {
    if (atomic.load<i32>(CONTROL_INSIDE) & SEGMENT_OPEN) return;
    store<u32>(CONTROL_FIRST, <u32>first);
    store<u32>(CONTROL_LAST, <u32>last);
    atomic.store<i32>(CONTROL_INSIDE, SEGMENT_OPEN);
    atomic.add<i32>(CONTROL_SEGMENT, 1);
    if (atomic.load<i32>(CONTROL_SLEEPERS)) atomic.notify(CONTROL_SEGMENT, -1);
  }
}

/** What closing a segment took: little, sleep, or longer than any chunk may take. */
export const CLOSED: i32 = 0;
const CLOSED_ASLEEP: i32 = 1;
export const CLOSED_STALLED: i32 = 2;

/**
 * Ends the segment: no thread enters any more, and the host's thread, which calls this when no work is left, waits for
 * those inside. Ends the step if that takes too long.
 * patience  turns of waiting before it sleeps, beyond LEAVE_SPINS
 */
export function close_segment(patience: i32): i32 {
  if (ASC_FEATURE_THREADS) {
    if (atomic.sub<i32>(CONTROL_INSIDE, SEGMENT_OPEN) === SEGMENT_OPEN) return CLOSED;
    for (let i = -patience; i < LEAVE_SPINS; i++) {
      if (!atomic.load<i32>(CONTROL_INSIDE)) return CLOSED;
    }
    return sleep_until_left();
  }
  return CLOSED;
}

function sleep_until_left(): i32 {
  let result = CLOSED_ASLEEP;
  atomic.store<i32>(CONTROL_HOST_SLEEPS, 1);
  let waits = -1;
  for (;;) {
    const inside = atomic.load<i32>(CONTROL_INSIDE);
    if (!inside || step_status() !== STATUS_OK) break;
    if (
      atomic.wait<i32>(CONTROL_INSIDE, inside, waits < 0 ? STALL_NS : WAIT_NS) === AtomicWaitResult.TIMED_OUT
    ) {
      result = CLOSED_STALLED;
      if (++waits === WAITS) stop_step(STATUS_TIMEOUT);
    }
  }
  atomic.store<i32>(CONTROL_HOST_SLEEPS, 0);
  return result;
}

/** Counts this thread as ready; returns its number, from 1 on. */
export function enter_pool(): i32 {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(CONTROL_READY, 1) + 1;
  return 1;
}

/** Enters the segment that is open; false if none is. */
export function enter_segment(): bool {
  if (ASC_FEATURE_THREADS) {
    let inside = atomic.load<i32>(CONTROL_INSIDE);
    while (inside & SEGMENT_OPEN) {
      const seen = atomic.cmpxchg<i32>(CONTROL_INSIDE, inside, inside + 1);
      if (seen === inside) return true;
      inside = seen;
    }
  }
  return false;
}

/** Leaves the segment; the last thread wakes the host's. */
export function leave_segment(): void {
  if (ASC_FEATURE_THREADS) {
    if (atomic.sub<i32>(CONTROL_INSIDE, 1) === 1 && atomic.load<i32>(CONTROL_HOST_SLEEPS)) {
      atomic.notify(CONTROL_INSIDE, -1);
    }
  }
}

/** Segments begun so far. */
export function segments(): i32 {
  if (ASC_FEATURE_THREADS) return atomic.load<i32>(CONTROL_SEGMENT);
  return 0;
}

/**
 * Waits until another segment than `seen` begins in which thread `index` takes part. False: the thread is to end.
 */
export function wait_segment(seen: i32, index: i32): bool {
  if (ASC_FEATURE_THREADS) {
    for (;;) {
      // The host sets SHUTDOWN before it changes the number of threads and the segment.
      const threads = atomic.load<i32>(CONTROL_N_THREADS);
      if (atomic.load<i32>(CONTROL_SHUTDOWN)) return false;
      if (index >= threads) {
        atomic.wait<i32>(CONTROL_N_THREADS, threads, -1);
        continue;
      }
      for (let i = 0; i < ENTER_SPINS && atomic.load<i32>(CONTROL_N_THREADS) === threads; i++) {
        if (atomic.load<i32>(CONTROL_SEGMENT) !== seen) return !atomic.load<i32>(CONTROL_SHUTDOWN);
      }
      if (atomic.load<i32>(CONTROL_N_THREADS) !== threads) continue;
      atomic.add<i32>(CONTROL_SLEEPERS, 1);
      atomic.wait<i32>(CONTROL_SEGMENT, seen, -1);
      atomic.sub<i32>(CONTROL_SLEEPERS, 1);
      if (atomic.load<i32>(CONTROL_SEGMENT) !== seen) return !atomic.load<i32>(CONTROL_SHUTDOWN);
    }
  }
  return false;
}
