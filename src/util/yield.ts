declare const setImmediate: ((callback: () => void) => unknown) | undefined;

/**
 * Lets the runtime handle what is waiting: signals, timers, requests. Computation that lasts calls this
 * every some milliseconds, or an abort could never arrive.
 */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
