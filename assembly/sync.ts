// Steps, barrier and chunk counters: the only file that knows whether there are threads. Without them the
// same executor runs alone.
import {
  CONTROL_BARRIER_ARRIVED,
  CONTROL_BARRIER_GENERATION,
  CONTROL_CANCEL,
  CONTROL_READY,
  CONTROL_STATUS,
  CONTROL_STEP,
  STATUS_CANCELLED,
  STATUS_OK,
  STATUS_TIMEOUT,
} from "./layout/control";

// Spinning at a barrier lasts some 20 us: longer than threads differ there, unless one was descheduled.
const BARRIER_SPINS: i32 = 20000;
// A parked thread spins some 20 ms: waking it from a futex takes 2 ms in Bun, and the host needs far less
// than 20 ms between two tokens.
const PARK_SPINS: i32 = 10000000;
// A thread that does not arrive within eight waits is dead. Several short waits, because a process that was
// stopped and goes on sees one of them pass at once.
const WAIT_NS: i64 = 100_000_000;
const WAITS: i32 = 8;

/** Takes the next `n` units of work from a counter; returns the first. */
export function take(counter: usize, n: i32): i32 {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(counter, n);
  const first = load<i32>(counter);
  store<i32>(counter, first + n);
  return first;
}

/**
 * What a thread takes of `left` parts of work: half of its fair share, so that threads end together however fast each
 * of them is, and all where it is alone, but `most` at most. An odd multiple of `unit` where there is more than that.
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

/** STATUS_OK while the step goes on; the reason to stop otherwise. */
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
    atomic.notify(CONTROL_BARRIER_GENERATION, -1);
  } else {
    store<i32>(CONTROL_STATUS, status);
  }
}

/** Lowers the word at `ptr` to `value`, where 0 counts as the largest. */
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

/** Wakes parked threads for a step that the control words describe. */
export function begin_step(): void {
  if (ASC_FEATURE_THREADS) {
    atomic.add<i32>(CONTROL_STEP, 1);
    atomic.notify(CONTROL_STEP, -1);
  }
}

/** Counts this thread as ready; returns the step it has seen. */
export function enter(): i32 {
  if (ASC_FEATURE_THREADS) {
    const seen = atomic.load<i32>(CONTROL_STEP);
    atomic.add<i32>(CONTROL_READY, 1);
    return seen;
  }
  return 0;
}

/** Parks until another step than `seen` begins; returns it. */
export function wait_step(seen: i32): i32 {
  if (ASC_FEATURE_THREADS) {
    for (let i = 0; i < PARK_SPINS; i++) {
      const step = atomic.load<i32>(CONTROL_STEP);
      if (step !== seen) return step;
    }
    while (atomic.load<i32>(CONTROL_STEP) === seen) atomic.wait<i32>(CONTROL_STEP, seen, -1);
    return atomic.load<i32>(CONTROL_STEP);
  }
  return seen;
}

/** The barrier's generation; to be read before arrive(). */
export function generation(): i32 {
  if (ASC_FEATURE_THREADS) return atomic.load<i32>(CONTROL_BARRIER_GENERATION);
  return 0;
}

/** Whether this thread is the last of `threads` to arrive: it then calls release(), all others wait. */
export function arrive(threads: i32): bool {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(CONTROL_BARRIER_ARRIVED, 1) + 1 === threads;
  return true;
}

/** Lets the waiting threads go. */
export function release(): void {
  if (ASC_FEATURE_THREADS) {
    atomic.store<i32>(CONTROL_BARRIER_ARRIVED, 0);
    atomic.add<i32>(CONTROL_BARRIER_GENERATION, 1);
    atomic.notify(CONTROL_BARRIER_GENERATION, -1);
  }
}

/** Waits until the barrier leaves generation `seen`; ends the step where that takes too long. */
export function wait_release(seen: i32): void {
  if (ASC_FEATURE_THREADS) {
    for (let i = 0; i < BARRIER_SPINS; i++) {
      if (atomic.load<i32>(CONTROL_BARRIER_GENERATION) !== seen) return;
    }
    let waits = 0;
    while (atomic.load<i32>(CONTROL_BARRIER_GENERATION) === seen && step_status() === STATUS_OK) {
      const result = atomic.wait<i32>(CONTROL_BARRIER_GENERATION, seen, WAIT_NS);
      if (result === AtomicWaitResult.TIMED_OUT && ++waits === WAITS) stop_step(STATUS_TIMEOUT);
    }
  }
}
