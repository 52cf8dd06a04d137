// Ctrl-C and SIGTERM: the command stops its work, shows what it has and exits.
import process from "node:process";

/** Exit statuses by signal, as shells count them: 128 + number. */
const statuses = { SIGINT: 130, SIGTERM: 143 } as const;

/** A command that does not end by itself within this time is ended. */
const GRACE_MS = 1000;

/** The reason of an abort by a signal. */
export class Interrupted extends Error {
  readonly status: number;

  constructor(signal: keyof typeof statuses) {
    super(`Interrupted by ${signal}`);
    this.status = statuses[signal];
  }
}

let handleCtrlC: (() => void) | undefined;

/** From now on Ctrl-C calls `handle`, and aborts no signal of {@link interruptSignal}. */
export function onCtrlC(handle: () => void): void {
  handleCtrlC = handle;
}

/** An AbortSignal that Ctrl-C and SIGTERM abort, with {@link Interrupted}. The second of them exits at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of Object.keys(statuses) as (keyof typeof statuses)[]) {
    process.on(name, () => {
      if (name === "SIGINT" && handleCtrlC) {
        handleCtrlC();
        return;
      }
      const reason = new Interrupted(name);
      if (controller.signal.aborted) process.exit(reason.status);
      controller.abort(reason);
      setTimeout(() => process.exit(reason.status), GRACE_MS);
    });
  }
  return controller.signal;
}
