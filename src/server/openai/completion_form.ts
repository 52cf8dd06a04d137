// Completions of texts as OpenAI's clients read them: one object, or a stream of chunks.
import { errorBody, type HttpError } from "../http/errors.ts";
import { event, type StreamWriter } from "../http/event_stream.ts";
import type { JobEvent, ModelFacts } from "../model.ts";
import type { AnswerForm } from "./answer.ts";
import { plainParser } from "./answer_parser.ts";
import { Choice, type ChoiceDelta, finite } from "./choice.ts";
import { FINGERPRINT, newId, now } from "./ids.ts";
import { type JobBatch, UsageSum } from "./run.ts";

/** What decides the form of an answer. */
export interface CompletionFormOptions {
  readonly facts: ModelFacts;
  /** Choices of each prompt. */
  readonly n: number;
  readonly logprobs: boolean;
  readonly includeUsage: boolean;
  /** What stands before the text of each prompt's choices: the prompt itself if it is asked for. */
  readonly echo: readonly string[];
}

type TokenEvent = Extract<JobEvent, { kind: "token" }>;

/** The answer to a completion. */
export class CompletionForm implements AnswerForm {
  readonly #options: CompletionFormOptions;
  readonly #common: object;
  readonly #usage = new UsageSum();
  readonly #choices: readonly Choice[];
  readonly #offsets: readonly TextOffset[];

  constructor(options: CompletionFormOptions) {
    this.#options = options;
    const { facts, n, echo } = options;
    this.#common = {
      id: newId("cmpl-"),
      object: "text_completion",
      created: now(),
      model: facts.id,
      system_fingerprint: FINGERPRINT,
    };
    this.#choices = Array.from({ length: n * echo.length }, () => new Choice(plainParser));
    this.#offsets = this.#choices.map((_, i) => new TextOffset(this.#echo(i).length));
  }

  take(batch: JobBatch): void {
    for (const _ of this.#changes(batch)) {
    }
  }

  whole() {
    const choices = this.#choices.map((choice, index) => {
      const text = this.#echo(index) + choice.message().content;
      const logprobs = this.#logprobs(choice.logprobs, index);
      return { index, text, logprobs, finish_reason: choice.finish };
    });
    return { ...this.#common, choices, usage: this.#usage };
  }

  stream(): StreamWriter<JobBatch> {
    const chunk = (index: number, text: string, logprobs: unknown, finish_reason: string | null) =>
      event({ ...this.#common, choices: [{ index, text, logprobs, finish_reason }] });
    const begun = new Set<number>();
    return {
      write: (batch) => {
        let events = "";
        for (const { index, choice, deltas, logprobs } of this.#changes(batch)) {
          if (!begun.has(index) && this.#echo(index) !== "")
            events += chunk(index, this.#echo(index), null, null);
          begun.add(index);
          const text = textOf(deltas);
          const own = logprobs.length > 0 ? this.#logprobs(logprobs, index) : null;
          if (text !== "" || own) events += chunk(index, text, own, null);
          if (choice.finish !== undefined) events += chunk(index, "", null, choice.finish);
        }
        return events;
      },
      end: () => {
        const usage = this.#options.includeUsage
          ? event({ ...this.#common, choices: [], usage: this.#usage })
          : "";
        return `${usage}data: [DONE]\n\n`;
      },
      fail: (error) => event(errorBody(error as HttpError)),
    };
  }

  #echo(index: number): string {
    return this.#options.echo[Math.floor(index / this.#options.n)] as string;
  }

  *#changes({ job, events }: JobBatch): Generator<ChoiceDelta & { index: number; choice: Choice }> {
    for (const happened of events) {
      this.#usage.add(happened);
      if (happened.kind === "begin") continue;
      const index = job * this.#options.n + happened.choice;
      const choice = this.#choices[index] as Choice;
      const change = happened.kind === "token" ? choice.push(happened) : choice.end(happened);
      yield { index, choice, ...change };
    }
  }

  #logprobs(tokens: readonly TokenEvent[], index: number) {
    if (!this.#options.logprobs) return null;
    const offset = this.#offsets[index] as TextOffset;
    return {
      tokens: tokens.map(({ token }) => token?.text),
      token_logprobs: tokens.map(({ logprob = 0 }) => finite(logprob)),
      top_logprobs: tokens.map(({ alternatives = [] }) =>
        Object.fromEntries(alternatives.map(({ text, logprob }) => [text, finite(logprob)])),
      ),
      text_offset: tokens.map(({ token }) => offset.pass(token?.bytes ?? [])),
    };
  }
}

// Where tokens begin in the text of a choice, in UTF-16 units, as clients index it: inside of a character, at its begin.
class TextOffset {
  #at: number;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(begin: number) {
    this.#at = begin;
  }

  /** Where the next token begins. @param bytes what it adds to the text */
  pass(bytes: readonly number[]): number {
    const at = this.#at;
    this.#at += this.#decoder.decode(new Uint8Array(bytes), { stream: true }).length;
    return at;
  }
}

function textOf(deltas: ChoiceDelta["deltas"]): string {
  return deltas.map((delta) => ("text" in delta ? delta.text : "")).join("");
}
