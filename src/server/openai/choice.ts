// One choice of an answer, as it grows: its content, reasoning, calls, log-probabilities, and how it ends.
import type { AnswerDelta } from "../../chat/answer/output.ts";
import { collectAnswer, type ParsedAnswer } from "../../chat/answer/parse_answer.ts";
import type { JobEvent, TokenText } from "../model.ts";
import type { Parser } from "./answer_parser.ts";

type TokenEvent = Extract<JobEvent, { kind: "token" }>;
type EndEvent = Extract<JobEvent, { kind: "end" }>;

/** Why OpenAI's answers end. */
export type OpenAIFinish = "stop" | "length" | "tool_calls";

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
  /** All that were let through. */
  readonly logprobs: TokenEvent[] = [];
  finish: OpenAIFinish | undefined;
  tokens = 0;
  readonly #parser: Parser;
  readonly #deltas: AnswerDelta[] = [];
  // Tokens that may yet belong to a stop string, or to a character that is not complete.
  #pending: PendingToken[] = [];
  // Text before the first delta.
  #lead = "";
  #begun = false;
  #tokenBytes = 0;
  #textBytes = 0;

  constructor(parser: Parser) {
    this.#parser = parser;
  }

  push(event: TokenEvent): ChoiceDelta {
    if (event.token !== undefined) {
      this.#pending.push({ event, begin: this.#tokenBytes });
      this.#tokenBytes += event.token.bytes.length;
      this.#textBytes += utf8Bytes(event.text);
    }
    if (event.text === "") return { deltas: [], logprobs: [] };
    const deltas = this.#take(this.#parser.push(event.text), event.text);
    return { deltas, logprobs: this.#begun ? this.#certain(this.#textBytes) : [] };
  }

  end({ finishReason, tokens, stop }: EndEvent): ChoiceDelta {
    const isLong = finishReason === "length" || finishReason === "context";
    const deltas = this.#take(this.#parser.end({ cut: finishReason !== "eos" }), "");
    this.tokens = tokens;
    const { finishedCalls, brokenCalls } = this.#parser;
    const isWhole = finishedCalls > 0 && (finishReason === "eos" || brokenCalls.length === 0);
    this.finish = isWhole ? "tool_calls" : isLong ? "length" : "stop";
    // Tokens of a stop string are no part of the answer.
    const logprobs = this.#certain(stop === undefined ? Number.POSITIVE_INFINITY : this.#textBytes);
    return { deltas, logprobs };
  }

  /** The answer as a message. A call that the limit of tokens cut off is part of it, as it is of a stream. */
  message(): ParsedAnswer {
    return collectAnswer(this.#deltas, this.finish === "length" ? [] : this.#parser.brokenCalls);
  }

  #certain(bytes: number): readonly TokenEvent[] {
    const n = this.#pending.findIndex(({ begin }) => begin >= bytes);
    const certain = this.#pending.splice(0, n < 0 ? this.#pending.length : n).map(({ event }) => event);
    this.logprobs.push(...certain);
    return certain;
  }

  #take(deltas: readonly AnswerDelta[], text: string): readonly AnswerDelta[] {
    this.#deltas.push(...deltas);
    if (this.#begun) return deltas;
    this.#lead += text;
    const [first] = deltas;
    if (!first) return deltas;
    this.#begun = true;
    if (first.kind === "content") this.#trim(first.text);
    return deltas;
  }

  // White space that the content does not begin with is no part of the first tokens either: their bytes are the content's.
  // Vocabularies may have taken a space from the text already.
  #trim(content: string): void {
    const bytes = this.#pending.flatMap(({ event }) => event.token?.bytes ?? []);
    const ofTokens = blankBytes(new TextDecoder().decode(new Uint8Array(bytes)), content);
    this.#textBytes += ofTokens - blankBytes(this.#lead, content);
    if (ofTokens > 0) this.#cut(ofTokens);
  }

  #cut(bytes: number): void {
    let rest = bytes;
    this.#pending = this.#pending.map((pending) => {
      const { token } = pending.event;
      const n = Math.min(rest, token?.bytes.length ?? 0);
      rest -= n;
      if (!token || n === 0) return pending;
      // White space is of one byte a character, if the token is called by its text.
      const isOwn = token.text.slice(0, n).trim() === "";
      const own = { ...token, text: token.text.slice(isOwn ? n : 0), bytes: token.bytes.slice(n) };
      return { ...pending, event: { ...pending.event, token: own } };
    });
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

// Bytes of the white space before the content.
function blankBytes(text: string, content: string): number {
  const blank = text.slice(0, Math.max(text.indexOf(content), 0));
  return blank.trim() === "" ? utf8Bytes(blank) : 0;
}

const utf8 = new TextEncoder();

function utf8Bytes(text: string): number {
  return utf8.encode(text).length;
}
