// One choice of an answer, as it grows: its content, reasoning, calls, log-probabilities, and how it ends.
import type { JobEvent, TokenText } from "../model.ts";
import type { AnswerDelta, Parser } from "./answer_parser.ts";

type TokenEvent = Extract<JobEvent, { kind: "token" }>;
type EndEvent = Extract<JobEvent, { kind: "end" }>;

/** Why OpenAI's answers end. */
export type OpenAIFinish = "stop" | "length" | "tool_calls";

/** A call of a tool. */
export interface Call {
  readonly id: string;
  readonly name: string;
  arguments: string;
}

/** What a token event adds to a choice. */
export interface ChoiceDelta {
  readonly deltas: readonly AnswerDelta[];
  /** Log-probabilities of tokens whose text is certain. */
  readonly logprobs: readonly TokenEvent[];
}

interface PendingToken {
  readonly event: TokenEvent;
  /** Bytes of the text before it. */
  readonly begin: number;
}

/** One choice of an answer. */
export class Choice {
  content = "";
  reasoning = "";
  readonly calls: Call[] = [];
  /** All that were let through. */
  readonly logprobs: TokenEvent[] = [];
  finish: OpenAIFinish | undefined;
  tokens = 0;
  readonly #parser: Parser;
  // Tokens that may yet belong to a stop string, or to a character that is not complete.
  #pending: PendingToken[] = [];
  #tokenBytes = 0;
  #textBytes = 0;

  constructor(parser: Parser) {
    this.#parser = parser;
  }

  push(event: TokenEvent): ChoiceDelta {
    const deltas = event.text === "" ? [] : this.#take(this.#parser.push(event.text));
    if (event.token === undefined) return { deltas, logprobs: [] };
    this.#pending.push({ event, begin: this.#tokenBytes });
    this.#tokenBytes += event.token.bytes.length;
    this.#textBytes += utf8Bytes(event.text);
    return { deltas, logprobs: this.#certain(this.#textBytes) };
  }

  end({ finishReason, tokens, stop }: EndEvent): ChoiceDelta {
    const cut = finishReason === "length" || finishReason === "context";
    const deltas = this.#take(this.#parser.end({ cut }));
    this.tokens = tokens;
    this.finish = cut ? "length" : "stop";
    // Of an answer that was cut off, a call is finished if its arguments are.
    const isFinished = this.calls.every((call) => !cut || isJson(call.arguments));
    if (this.calls.length > 0 && isFinished) this.finish = "tool_calls";
    // Tokens of a stop string are no part of the answer.
    const logprobs = this.#certain(stop === undefined ? Number.POSITIVE_INFINITY : this.#textBytes);
    return { deltas, logprobs };
  }

  #certain(bytes: number): readonly TokenEvent[] {
    const n = this.#pending.findIndex(({ begin }) => begin >= bytes);
    const certain = this.#pending.splice(0, n < 0 ? this.#pending.length : n).map(({ event }) => event);
    this.logprobs.push(...certain);
    return certain;
  }

  #take(deltas: readonly AnswerDelta[]): readonly AnswerDelta[] {
    for (const delta of deltas) {
      if (delta.kind === "content") this.content += delta.text;
      else if (delta.kind === "reasoning") this.reasoning += delta.text;
      else if (delta.kind === "call")
        this.calls[delta.index] = { id: delta.id, name: delta.name, arguments: "" };
      else (this.calls[delta.index] as Call).arguments += delta.text;
    }
    return deltas;
  }
}

/** Log-probabilities as chat completions have them. */
export function logprobEntry({ token, logprob = 0, alternatives = [] }: TokenEvent) {
  return {
    ...described(token as TokenText, logprob),
    top_logprobs: alternatives.map((other) => described(other, other.logprob)),
  };
}

// -9999 is what OpenAI says of tokens that cannot be; JSON has no infinity.
function described({ text, bytes }: TokenText, logprob: number) {
  return { token: text, logprob: finite(logprob), bytes };
}

/** A log-probability as JSON has it. */
export function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}

const utf8 = new TextEncoder();

function utf8Bytes(text: string): number {
  return utf8.encode(text).length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
