// How what a model writes becomes content, reasoning and calls of tools.
import { AnswerParser } from "../../chat/answer/answer_parser.ts";
import type { Tool } from "../../chat/messages.ts";
import type { ModelFacts } from "../model.ts";

/** A parser of one answer. */
export type Parser = Pick<AnswerParser, "push" | "end" | "finishedCalls" | "brokenCalls">;

/** Of text that is nothing but text. */
export const plainParser: Parser = {
  finishedCalls: 0,
  brokenCalls: [],
  push: (text) => (text === "" ? [] : [{ kind: "content", text }]),
  end: () => [],
};

/** How a model's answers are parsed; without tools, calls are text. */
export interface ParserOptions {
  readonly facts: ModelFacts;
  readonly tools: readonly Tool[];
}

/** Parses one answer. @param promptEnd the end of the prompt, which may open the reasoning */
export function newParser({ facts, tools }: ParserOptions, promptEnd: string): Parser {
  const { answerFormat: format } = facts;
  return new AnswerParser({ tools, promptEnd, ...(format !== undefined && { format }) });
}
