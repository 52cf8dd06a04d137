// What a server and an engine in another thread say to each other.
import {
  ContextError,
  CriaError,
  EngineError,
  type ErrorCode,
  FormatError,
  MemoryError,
  SamplingError,
  SnapshotError,
  SourceError,
  TokenizerError,
  UnsupportedError,
  UsageError,
} from "../../util/errors.ts";
import { QueueError, type QueueReason } from "../jobs/queue_error.ts";
import type { Job, JobEvent, ModelFacts } from "../model.ts";

/** One end of a channel: a MessagePort, a Worker, the global of a worker. */
export interface EnginePort {
  postMessage(message: unknown): void;
  // biome-ignore lint/suspicious/noExplicitAny: what sets it differs from runtime to runtime
  onmessage: ((event: any) => unknown) | null;
}

/** What can be asked of a model in another thread, besides jobs. */
export type RemoteMethod = "render" | "encode" | "decode" | "status" | "close";

/** To the engine. Numbers name calls and jobs. */
export type EngineRequest =
  | { readonly kind: "run"; readonly id: number; readonly job: Job }
  /** So many batches of a job were read. */
  | { readonly kind: "read"; readonly id: number; readonly batches: number }
  | { readonly kind: "abort"; readonly id: number }
  | {
      readonly kind: "call";
      readonly id: number;
      readonly method: RemoteMethod;
      readonly args: readonly unknown[];
    };

/** From the engine. */
export type EngineReply =
  | { readonly kind: "ready"; readonly facts: ModelFacts }
  | { readonly kind: "failed"; readonly error: PlainError }
  | { readonly kind: "events"; readonly id: number; readonly events: readonly JobEvent[] }
  /** The end of a job or a call. */
  | { readonly kind: "done"; readonly id: number; readonly value?: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: PlainError };

/** Batches of a job that may be under way before one of them was read. */
export const BATCHES_AHEAD = 8;

/** An error as a structured clone carries it. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly code?: ErrorCode;
  readonly reason?: QueueReason;
  readonly retryAfter?: number | undefined;
}

const classes: Readonly<Partial<Record<ErrorCode, new (message: string) => CriaError>>> = {
  FORMAT: FormatError,
  UNSUPPORTED: UnsupportedError,
  SOURCE: SourceError,
  USAGE: UsageError,
  CONTEXT: ContextError,
  MEMORY: MemoryError,
  TOKENIZER: TokenizerError,
  SAMPLING: SamplingError,
  SNAPSHOT: SnapshotError,
  ENGINE: EngineError,
};

/** What of an error travels: its class by its code. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message } = error;
  if (error instanceof QueueError) {
    const { code, reason, retryAfter } = error;
    return { name, message, code, reason, retryAfter };
  }
  return { name, message, ...(error instanceof CriaError && { code: error.code }) };
}

/** The error that {@link plainError} was given. */
export function errorOf({ name, message, code, reason, retryAfter }: PlainError): Error {
  if (reason) return new QueueError(message, reason, retryAfter);
  const Class = code && classes[code];
  if (Class) return new Class(message);
  const error = new Error(message);
  error.name = name;
  return error;
}
