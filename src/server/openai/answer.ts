// Answers a request by a stream of events or by one object, as it asks.
import { asHttpError } from "../http/errors.ts";
import { eventStream, type StreamWriter } from "../http/event_stream.ts";
import { json } from "../http/responses.ts";
import type { Exchange, Work } from "../http/route.ts";
import { type JobBatch, type JobsOptions, runJobs } from "./run.ts";

/** What becomes of a request's jobs. */
export interface AnswerForm {
  /** Takes what happened, if the answer is one object. */
  take(batch: JobBatch): void;
  /** The whole answer. */
  whole(): unknown;
  /** Makes a stream instead. */
  stream(): StreamWriter<JobBatch>;
}

/** Runs the jobs of a request and answers it. @throws HttpError */
export async function answer(
  exchange: Exchange,
  form: AnswerForm,
  isStream: boolean,
  jobs: Omit<JobsOptions, "exchange" | "work">,
): Promise<Response> {
  const work: Work = exchange.begin();
  try {
    const batches = runJobs({ ...jobs, exchange, work });
    if (isStream) return await eventStream(exchange, work, batches, form.stream());
    for await (const batch of batches) form.take(batch);
    work.end();
    return json(form.whole());
  } catch (error) {
    if (work.signal.aborted) exchange.metrics.aborted++;
    work.end();
    throw asHttpError(error);
  }
}
