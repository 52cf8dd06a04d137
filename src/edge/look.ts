// How a request waits for what another one does: it looks again and again, by timers of its own.

const LOOK_MS = 15;

/** Waits for the time between two looks. In workerd no request may wait for a promise of another. */
export function untilNextLook(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
