// What can go wrong with a request, told apart by whether another attempt may help.
import { CriaError, SourceError } from "../../util/errors.ts";

/** The server could not be reached, or was not able to answer: a cached copy may be used instead. */
export class UnreachableError extends SourceError {}

/** The server has another file now; asking in another way does not bring the first one back. */
export class ChangedError extends SourceError {}

/** A connection that was lost, or an answer that asks to come again: another attempt may help. */
export class Interruption extends Error {
  /** Whether there was an answer. */
  readonly answered: boolean;
  /** How long the server asks to wait. */
  readonly waitMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { answered?: boolean; waitMs?: number } = {}) {
    super(message, options);
    this.answered = options.answered ?? false;
    this.waitMs = options.waitMs;
  }
}

/** What browsers say when anything at all was wrong, and by their rules may not say more. */
const browserRefusals = ["Failed to fetch", "Load failed", "NetworkError when attempting to fetch resource."];

/** Whether a browser has failed a request and may not say why. */
export function isUntold({ cause }: Interruption): boolean {
  const { message = "" } = (cause ?? {}) as { message?: string };
  return browserRefusals.includes(message);
}

/** Whether an error of fetch or of a body is the network's. Another attempt may help then. */
export function isLoss(error: unknown): boolean {
  if (error instanceof Interruption || error instanceof CriaError) return false;
  const { name = "" } = (error ?? {}) as { name?: string };
  return !["NotCapable", "PermissionDenied"].includes(name);
}

/** What an error of fetch or of a body says, with what its cause adds. */
export function reasonOf(error: unknown): string {
  const { message = String(error), cause } = (error ?? {}) as { message?: string; cause?: unknown };
  if (browserRefusals.includes(message)) {
    return `${message} (no connection, or the server does not let this page read it: CORS)`;
  }
  const { message: deeper = "", code = "" } = (cause ?? {}) as { message?: string; code?: string };
  const detail = deeper || code;
  return detail && detail !== message ? `${message} (${detail})` : message;
}
