// Runs jobs for a request: measures them, and joins those of several prompts.
import { samplingParams } from "../../sample/registry.ts";
import { asHttpError, badRequest, type HttpError } from "../http/errors.ts";
import type { Exchange, Work } from "../http/route.ts";
import type { Job, JobEvent, JobPrompt, ServedModel } from "../model.ts";

/** Events of one of a request's jobs. */
export interface JobBatch {
  /** Which of the request's jobs. */
  readonly job: number;
  readonly events: readonly JobEvent[];
}

/** Tokens of all jobs of a request. */
export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  tokens: number;
}

/** The jobs of one request. */
export interface JobsOptions {
  readonly exchange: Exchange;
  readonly model: ServedModel;
  readonly work: Work;
  /** Field of the prompt, for errors. */
  readonly param: string;
  readonly prompts: readonly JobPrompt[];
  /** What all of them have. */
  readonly job: Omit<Job, "prompt" | "owner" | "deadlineMs">;
}

/** Runs the jobs of a request side by side. @throws HttpError */
export async function* runJobs(options: JobsOptions): AsyncGenerator<JobBatch, void> {
  const { prompts, param, work } = options;
  for (const prompt of prompts) checkLength(prompt, options);
  const runs = prompts.map((prompt, i) => runJob(prompt, i, options));
  try {
    if (runs.length === 1) yield* runs[0] as AsyncGenerator<JobBatch, void>;
    else yield* merged(runs);
  } catch (error) {
    throw samplingError(error) ?? asHttpError(error, param);
  } finally {
    // Those that have not ended.
    work.abort(new Error("The request has ended"));
    for (const run of runs) run.return().catch(() => {});
  }
}

// What samplers refuse only now that they know the vocabulary. Fields have other names than options.
function samplingError(error: unknown): HttpError | undefined {
  const { code, message = "" } = error as { code?: string; message?: string };
  if (code !== "USAGE" || !message.startsWith("Cannot sample")) return undefined;
  const named = samplingParams.find(({ key }) => new RegExp(`\\b${key}\\b`).test(message));
  return named && badRequest(named.openai, message.replace(named.key, named.openai), "invalid_value");
}

// Longer texts are not even encoded.
function checkLength(prompt: JobPrompt, { model, param }: JobsOptions): void {
  const { maxPromptBytes, contextLength } = model.facts;
  const bytes = lengthOf(prompt);
  if (bytes <= maxPromptBytes) return;
  throw badRequest(
    param,
    `Cannot answer: Expected a prompt of at most ${contextLength} tokens, got a text of ${bytes} characters, which has more`,
    "context_length_exceeded",
  );
}

function lengthOf(prompt: JobPrompt): number {
  if ("ids" in prompt) return 0;
  if ("text" in prompt) return prompt.text.length;
  const lengths = prompt.messages.map(({ content }) => {
    if (typeof content === "string") return content.length;
    return (content ?? []).reduce((sum, { text }) => sum + text.length, 0);
  });
  return lengths.reduce((sum, length) => sum + length, 0);
}

async function* runJob(prompt: JobPrompt, job: number, options: JobsOptions): AsyncGenerator<JobBatch, void> {
  const { exchange, model, work } = options;
  const { metrics, began, owner, limits } = exchange;
  const { deadlineMs } = limits;
  const deadline = deadlineMs !== undefined && { deadlineMs };
  let last: number | undefined;
  const own = { ...options.job, prompt, owner, before: job, ...deadline };
  for await (const events of model.run(own, work.signal)) {
    const time = performance.now();
    let tokens = 0;
    for (const { kind } of events) {
      if (kind === "begin") metrics.queue.observe((time - began) / 1000);
      else if (kind === "token") tokens++;
    }
    if (tokens > 0) {
      if (last === undefined) metrics.firstToken.observe((time - began) / 1000);
      else metrics.betweenTokens.observe((time - last) / 1000 / tokens, tokens);
      last = time;
    }
    yield { job, events };
  }
}

async function* merged(runs: readonly AsyncGenerator<JobBatch, void>[]): AsyncGenerator<JobBatch, void> {
  const next = (run: AsyncGenerator<JobBatch, void>) => run.next().then((result) => ({ run, result }));
  const open = new Map(runs.map((run) => [run, next(run)]));
  for (const promise of open.values()) promise.catch(() => {});
  while (open.size > 0) {
    const { run, result } = await Promise.race(open.values());
    if (result.done) {
      open.delete(run);
      continue;
    }
    const promise = next(run);
    promise.catch(() => {});
    open.set(run, promise);
    yield result.value;
  }
}

/** Adds up what jobs use. */
export class UsageSum implements Usage {
  promptTokens = 0;
  cachedTokens = 0;
  tokens = 0;

  add(event: JobEvent): void {
    if (event.kind === "begin") {
      this.promptTokens += event.promptTokens;
      this.cachedTokens += event.cachedTokens;
    } else if (event.kind === "end") this.tokens += event.tokens;
  }

  /** As completions and chat completions have it. */
  toJSON() {
    return {
      prompt_tokens: this.promptTokens,
      completion_tokens: this.tokens,
      total_tokens: this.promptTokens + this.tokens,
      prompt_tokens_details: { cached_tokens: this.cachedTokens },
    };
  }
}
