// Where answers come from: a model of this thread, or one behind a queue.
import type { Message, Tool } from "../chat/messages.ts";
import type { SamplingOptions } from "../sample/registry.ts";
import type { JobEvent, ServedModel } from "../server/model.ts";
import type { FinishReason } from "../session/options.ts";

/** What of a `Llama` answers: its template, and its generation. */
export interface ChatLlama {
  readonly template: {
    readonly format: string | undefined;
    render(
      messages: readonly Message[],
      options: { readonly tools?: readonly Tool[]; readonly variables?: Readonly<Record<string, unknown>> },
    ): { readonly text: string; readonly ids: number[] };
  };
  generate(
    ids: readonly number[],
    options: SamplingOptions & {
      maxTokens?: number;
      stop?: readonly string[];
      logprobs?: boolean;
      signal?: AbortSignal;
    },
  ): AsyncGenerator<
    { readonly text: string },
    {
      readonly finishReason: FinishReason;
      readonly usage: {
        readonly promptTokens: number;
        readonly generatedTokens: number;
        readonly cachedTokens?: number;
      };
    }
  >;
}

/** What is asked of a model. */
export interface Question {
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[] | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly sampling: SamplingOptions;
  readonly signal: AbortSignal | undefined;
}

/** How an answer ended. */
export interface Ending {
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly tokens: number;
}

/** An answer that has begun. */
export interface Begun {
  /** The end of its prompt. */
  readonly promptEnd: string;
  /** Its text as it becomes certain. */
  readonly pieces: AsyncGenerator<string, Ending>;
}

/** A model that is asked one question at a time, or many. */
export interface Source {
  readonly format: string | undefined;
  /** Begins an answer. @throws whatever is wrong with the question */
  ask(question: Question): Promise<Begun>;
}

/** The source that a model is. */
export function sourceOf(model: ChatLlama | ServedModel): Source {
  return "facts" in model ? servedSource(model) : llamaSource(model);
}

/** How much of a prompt is looked at to see how it begins the answer. */
const PROMPT_END_CHARS = 256;

function llamaSource(llama: ChatLlama): Source {
  return {
    format: llama.template.format,
    async ask({ messages, tools, variables, sampling, maxTokens, stop, signal }) {
      const { text, ids } = llama.template.render(messages, { tools, variables });
      const pieces = llama.generate(ids, { ...sampling, maxTokens, stop, signal, logprobs: false });
      return { promptEnd: text.slice(-PROMPT_END_CHARS), pieces: llamaPieces(pieces) };
    },
  };
}

async function* llamaPieces(pieces: ReturnType<ChatLlama["generate"]>): AsyncGenerator<string, Ending> {
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (!done) {
        yield value.text;
        continue;
      }
      const { promptTokens, generatedTokens, cachedTokens = 0 } = value.usage;
      return { finishReason: value.finishReason, promptTokens, cachedTokens, tokens: generatedTokens };
    }
  } finally {
    await pieces.return(undefined as never);
  }
}

function servedSource(model: ServedModel): Source {
  return {
    format: model.facts.answerFormat,
    async ask({ messages, tools, variables, sampling, maxTokens, stop, signal }) {
      const batches = model.run(
        {
          prompt: { messages, tools, variables },
          n: 1,
          maxTokens,
          stop,
          sampling,
          logprobs: undefined,
          owner: "",
        },
        signal ?? new AbortController().signal,
      );
      const events = flat(batches);
      const { value: first } = await events.next();
      if (first?.kind !== "begin") throw new Error("Cannot answer: Expected a model that begins its answer");
      return { promptEnd: first.promptEnd, pieces: servedPieces(events, first) };
    },
  };
}

async function* servedPieces(
  events: AsyncGenerator<JobEvent, void>,
  { promptTokens, cachedTokens }: JobEvent & { kind: "begin" },
): AsyncGenerator<string, Ending> {
  for await (const event of events) {
    if (event.kind === "token") yield event.text;
    if (event.kind === "end") {
      return { finishReason: event.finishReason, promptTokens, cachedTokens, tokens: event.tokens };
    }
  }
  throw new Error("Cannot answer: Expected a model that ends its answer");
}

async function* flat(batches: AsyncIterable<readonly JobEvent[]>): AsyncGenerator<JobEvent, void> {
  for await (const batch of batches) yield* batch;
}
