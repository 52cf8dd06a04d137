// Lets the runtime handle events in the middle of a long computation.
declare const setImmediate: ((callback: () => void) => unknown) | undefined;

// In browsers a timer that a timer started waits 4 ms, a third of the time between two yields. A message does not wait.
// Each call has its own channel: in workerd a channel may not outlive its request.
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
 * Lets the runtime handle events that wait: signals, timers, requests. A long computation calls this every few
 * milliseconds, or an abort could never arrive.
 */
export function yieldToEvents(): Promise<void> {
  return new Promise(afterEvents);
}

/**
 * As {@link yieldToEvents}, for work that is shared with other requests in workerd: there a message channel costs some
 * kilobytes until the next garbage collection, and a timer does not wait.
 */
export function yieldToRequests(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
