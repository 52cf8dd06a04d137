// Barrier and chunk counters: the only file that knows whether there are threads. Without them the same
// executor runs alone.
import {
  CONTROL_BARRIER_ARRIVED,
  CONTROL_BARRIER_GENERATION,
  CONTROL_CANCEL,
  CONTROL_STATUS,
  STATUS_CANCELLED,
  STATUS_OK,
  STATUS_TIMEOUT,
} from "./layout/control";

// Spinning lasts some 100 us: longer than two threads differ at a barrier, shorter than a futex would cost.
const SPINS: i32 = 20000;
// A thread that waits this long waits for a dead one.
const LIMIT_NS: i64 = 10_000_000_000;

/** Takes the next `n` units of work from a counter; returns the first. */
export function take(counter: usize, n: i32): i32 {
  if (ASC_FEATURE_THREADS) return atomic.add<i32>(counter, n);
  const first = load<i32>(counter);
  store<i32>(counter, first + n);
  return first;
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
    for (let i = 0; i < SPINS; i++) {
      if (atomic.load<i32>(CONTROL_BARRIER_GENERATION) !== seen) return;
    }
    while (atomic.load<i32>(CONTROL_BARRIER_GENERATION) === seen && step_status() === STATUS_OK) {
      if (atomic.wait<i32>(CONTROL_BARRIER_GENERATION, seen, LIMIT_NS) === AtomicWaitResult.TIMED_OUT) {
        stop_step(STATUS_TIMEOUT);
      }
    }
  }
}
