// Splits what a model writes into content, reasoning and calls of tools.
import type { Tool } from "../../chat/messages.ts";
import type { ModelFacts } from "../model.ts";

/** A piece of an answer. */
export type AnswerDelta =
  | { readonly kind: "content" | "reasoning"; readonly text: string }
  | { readonly kind: "call"; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: "arguments"; readonly index: number; readonly text: string };

/** Takes text as it comes. */
export interface Parser {
  push(text: string): readonly AnswerDelta[];
  /** @param end whether the answer was cut off */
  end(end: { readonly cut: boolean }): readonly AnswerDelta[];
}

/** Of text that is nothing but text. */
export const plainParser: Parser = {
  push: (text) => (text === "" ? [] : [{ kind: "content", text }]),
  end: () => [],
};

/** How a model's answers are parsed; without tools, calls are text. */
export interface ParserOptions {
  readonly facts: ModelFacts;
  readonly tools: readonly Tool[];
}

/** Parses one answer. @param promptEnd the end of the prompt, which may open the reasoning */
export type NewParser = (options: ParserOptions, promptEnd: string) => Parser;

/** The parser of a format. */
export const newParser: NewParser = () => plainParser;
