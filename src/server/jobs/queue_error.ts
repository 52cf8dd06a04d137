// Why a job gets no place.
import { CriaError, type ErrorCode } from "../../util/errors.ts";

/**
 * What stands in a job's way: too many wait; its deadline has passed; the model is loaded again after a failure; the
 * server stops.
 */
export type QueueReason = "full" | "deadline" | "loading" | "closed";

/** A job has no place, or has lost it. */
export class QueueError extends CriaError {
  static override readonly code: ErrorCode = "QUEUE";
  readonly reason: QueueReason;
  /** Seconds after which another attempt makes sense; undefined if none does. */
  readonly retryAfter: number | undefined;

  constructor(message: string, reason: QueueReason, retryAfter?: number) {
    super(message);
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}
