declare const setImmediate: ((callback: () => void) => unknown) | undefined;

// In browsers a timer that a timer started waits 4 ms, a third of the time between two yields; a message waits for
// nothing. A channel for each: in workerd one may not outlive its request.
function afterEvents(callback: () => void): void {
  if (typeof setImmediate === "function") {
    setImmediate(callback);
  } else if (typeof MessageChannel === "function") {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      callback();
    };
    port2.postMessage(undefined);
  } else {
    setTimeout(callback, 0);
  }
}

/**
 * Lets the runtime handle what is waiting: signals, timers, requests. Computation that lasts calls this
 * every some milliseconds, or an abort could never arrive.
 */
export function yieldToEvents(): Promise<void> {
  return new Promise(afterEvents);
}

/**
 * As {@link yieldToEvents}, for work that is shared with other requests in workerd: there a message channel costs some
 * kilobytes until the next garbage collection, and a timer waits for nothing.
 */
export function yieldToRequests(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
