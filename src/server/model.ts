// What a server asks of a model, wherever its engine runs: in the same thread, in a worker, in an isolate.
import type { Message, Tool } from "../chat/messages.ts";
import type { SamplingOptions } from "../sample/registry.ts";
import type { FinishReason } from "../session/options.ts";

/** Facts of a model that never change. */
export interface ModelFacts {
  /** Its name for clients: "tales-chat". */
  readonly id: string;
  /** When it was loaded, in seconds since 1970. */
  readonly created: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Bytes of a prompt that surely has too many tokens: longer ones are refused before they are encoded. */
  readonly maxPromptBytes: number;
  /** Whether it has a chat template. */
  readonly hasTemplate: boolean;
  /** The format of tool calls and reasoning that the template asks for, see chat/answer; undefined for plain text. */
  readonly answerFormat: string | undefined;
  /** Most tokens of an answer that does not say how many; undefined: to the end of the context. */
  readonly defaultMaxTokens: number | undefined;
}

/** What to go on from. */
export type JobPrompt =
  | { readonly ids: readonly number[] }
  | { readonly text: string; readonly special?: boolean }
  | {
      readonly messages: readonly Message[];
      readonly tools?: readonly Tool[];
      readonly variables?: Readonly<Record<string, unknown>>;
    };

/** One request for text: one prompt, one answer or several. */
export interface Job {
  readonly prompt: JobPrompt;
  /** Choices, numbered from 0. The prompt is computed once. */
  readonly n: number;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly sampling: SamplingOptions;
  /** How many alternatives of each token; undefined for no log-probabilities at all. */
  readonly logprobs: number | undefined;
  /** Whose request it is, for fairness: a hash of the API key, or the address. */
  readonly owner: string;
  /** How many jobs of the same request came before it: the queue lets them in together. Default: 0. */
  readonly before?: number;
  /** Milliseconds until it is given up, waiting included; undefined for no limit. */
  readonly deadlineMs?: number;
}

/** A token as text and bytes, for log-probabilities. */
export interface TokenText {
  readonly id: number;
  /** Its text; U+FFFD for bytes that are no whole character. */
  readonly text: string;
  readonly bytes: readonly number[];
}

/** What happened in a job. */
export type JobEvent =
  /** It is computed from now on: how many tokens its prompt has, and how many of them were cached. */
  | {
      readonly kind: "begin";
      readonly promptTokens: number;
      readonly cachedTokens: number;
      readonly promptEnd: string;
      /** The seed that choices are drawn with: the job's, or one that was made up. */
      readonly seed: number;
    }
  | {
      readonly kind: "token";
      readonly choice: number;
      /** Text that became certain. */
      readonly text: string;
      /** Only if asked for. */
      readonly logprob?: number;
      readonly token?: TokenText;
      readonly alternatives?: readonly (TokenText & { readonly logprob: number })[];
    }
  | {
      readonly kind: "end";
      readonly choice: number;
      readonly finishReason: FinishReason;
      readonly stop?: string;
      readonly tokens: number;
    };

/** What a model does at the moment. */
export interface ModelStatus {
  readonly state: "loading" | "ready" | "failed" | "closed";
  readonly slots: readonly {
    readonly id: number;
    readonly busy: boolean;
    readonly promptTokens: number;
    readonly tokens: number;
  }[];
  readonly waiting: number;
  readonly kvPages: { readonly used: number; readonly total: number };
  /** Sums since the start; they never fall. */
  readonly totals: Readonly<Record<"promptTokens" | "cachedTokens" | "tokens" | "steps", number>>;
}

/** A model behind a server. */
export interface ServedModel {
  readonly facts: ModelFacts;
  /** Text and ids of messages. @throws UnsupportedError without a template; UsageError with the template's own message */
  render(prompt: JobPrompt): Promise<{ readonly text: string; readonly ids: readonly number[] }>;
  encode(
    text: string,
    options: { readonly special: boolean; readonly bos: boolean },
  ): Promise<readonly TokenText[]>;
  decode(ids: readonly number[]): Promise<string>;
  /**
   * Runs a job: batches of events, each of what one or a few steps made. Who takes no batch is waited for: only that job waits.
   * @throws QueueError if there is no place; ContextError; UsageError; the signal's reason
   */
  run(job: Job, signal: AbortSignal): AsyncGenerator<readonly JobEvent[], void>;
  status(): Promise<ModelStatus>;
  /** Ends everything. Safe to call twice. */
  close(): Promise<void>;
}
