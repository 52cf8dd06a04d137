// Chat completions as OpenAI's clients read them: one object, or a stream of chunks.
import type { AnswerDelta } from "../../chat/answer/output.ts";
import { errorBody, type HttpError } from "../http/errors.ts";
import { event, type StreamWriter } from "../http/event_stream.ts";
import type { ModelFacts } from "../model.ts";
import type { AnswerForm } from "./answer.ts";
import { newParser, type ParserOptions } from "./answer_parser.ts";
import { Choice, type ChoiceDelta, logprobEntry } from "./choice.ts";
import { FINGERPRINT, newId, now } from "./ids.ts";
import { type JobBatch, UsageSum } from "./run.ts";

/** What decides the form of an answer. */
export interface ChatFormOptions extends ParserOptions {
  readonly facts: ModelFacts;
  readonly n: number;
  readonly logprobs: boolean;
  readonly includeUsage: boolean;
}

/** The answer to a chat completion. */
export class ChatForm implements AnswerForm {
  readonly #options: ChatFormOptions;
  readonly #id = newId("chatcmpl-");
  readonly #created = now();
  readonly #usage = new UsageSum();
  #choices: readonly Choice[] = [];
  #seed: number | undefined;

  constructor(options: ChatFormOptions) {
    this.#options = options;
  }

  take(batch: JobBatch): void {
    for (const _ of this.#changes(batch)) {
    }
  }

  whole() {
    const { facts, logprobs } = this.#options;
    return {
      id: this.#id,
      object: "chat.completion",
      created: this.#created,
      model: facts.id,
      system_fingerprint: FINGERPRINT,
      service_tier: "default",
      choices: this.#choices.map((choice, index) => ({
        index,
        message: messageOf(choice),
        logprobs: logprobs ? { content: choice.logprobs.map(logprobEntry), refusal: null } : null,
        finish_reason: choice.finish,
      })),
      usage: this.#usage,
      // What repeats the answer, also if the request had none.
      seed: this.#seed,
    };
  }

  stream(): StreamWriter<JobBatch> {
    const { facts, includeUsage, n } = this.#options;
    const common = {
      id: this.#id,
      object: "chat.completion.chunk",
      created: this.#created,
      model: facts.id,
      system_fingerprint: FINGERPRINT,
    };
    const head = `data: ${JSON.stringify(common).slice(0, -1)},"choices":[`;
    const chunk = (index: number, delta: unknown, logprobs: unknown, finish: string | null) =>
      `${head}{"index":${index},"delta":${JSON.stringify(delta)},"logprobs":${JSON.stringify(logprobs)},"finish_reason":${JSON.stringify(finish)}}]}\n\n`;
    let isBegun = false;
    return {
      write: (batch) => {
        let text = "";
        if (!isBegun) {
          isBegun = true;
          for (let i = 0; i < n; i++) text += chunk(i, { role: "assistant", content: "" }, null, null);
        }
        for (const { index, choice, deltas, logprobs } of this.#changes(batch)) {
          for (const [delta, own] of withLogprobs(deltas, logprobs)) text += chunk(index, delta, own, null);
          if (choice.finish !== undefined) text += chunk(index, {}, null, choice.finish);
        }
        return text;
      },
      end: () => {
        const usage = includeUsage ? event({ ...common, choices: [], usage: this.#usage }) : "";
        return `${usage}data: [DONE]\n\n`;
      },
      fail: (error) => event(errorBody(error as HttpError)),
    };
  }

  *#changes({ events }: JobBatch): Generator<ChoiceDelta & { index: number; choice: Choice }> {
    for (const happened of events) {
      this.#usage.add(happened);
      if (happened.kind === "begin") {
        const { n } = this.#options;
        this.#seed = happened.seed;
        const parser = () => newParser(this.#options, happened.promptEnd);
        this.#choices = Array.from({ length: n }, () => new Choice(parser()));
        continue;
      }
      const index = happened.choice;
      const choice = this.#choices[index] as Choice;
      const change = happened.kind === "token" ? choice.push(happened) : choice.end(happened);
      yield { index, choice, ...change };
    }
  }
}

// Log-probabilities go with the last piece that they belong to; with none, they get a chunk of their own.
function* withLogprobs(
  deltas: readonly AnswerDelta[],
  logprobs: ChoiceDelta["logprobs"],
): Generator<[unknown, unknown]> {
  const entries = logprobs.length > 0 ? { content: logprobs.map(logprobEntry), refusal: null } : null;
  for (const [i, delta] of deltas.entries()) yield [deltaOf(delta), i === deltas.length - 1 ? entries : null];
  if (deltas.length === 0 && entries) yield [{ content: "" }, entries];
}

function deltaOf(delta: AnswerDelta): unknown {
  switch (delta.kind) {
    case "content":
      return { content: delta.text };
    case "reasoning":
      return { reasoning_content: delta.text };
    case "call": {
      const { index, id, name } = delta;
      return { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] };
    }
    default:
      return { tool_calls: [{ index: delta.index, function: { arguments: delta.text } }] };
  }
}

function messageOf(choice: Choice) {
  const { content, reasoning, toolCalls } = choice.message();
  return {
    role: "assistant",
    content: content === "" && toolCalls.length > 0 ? null : content,
    refusal: null,
    ...(reasoning !== "" && { reasoning_content: reasoning }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
  };
}
