// Puts an answer together from its tokens: text, reasoning and tool calls, as pieces and as a message.
import type { Piece } from "../session/options.ts";
import type { AnswerParser } from "./answer/answer_parser.ts";
import type { AnswerDelta } from "./answer/output.ts";
import type { Message, ToolCall } from "./messages.ts";
import type { ChatAnswer, ChatPiece, ToolCallDelta } from "./options.ts";

/** An answer that grows. */
export class AnswerBuilder {
  /** The answer's text so far. */
  text = "";
  /** What was thought so far. */
  reasoning = "";
  /** Whether a token was drawn. */
  hasBegun = false;
  readonly #parser: AnswerParser;
  readonly #calls = new Map<number, { readonly id: string; readonly name: string; text: string }>();
  readonly #broken = new Set<number>();
  #ended = false;

  constructor(parser: AnswerParser) {
    this.#parser = parser;
  }

  /** What a token adds. */
  push(piece: Piece): ChatPiece {
    this.hasBegun = true;
    return this.#piece(this.#parser.push(piece.text), piece);
  }

  /** What was held back; undefined if nothing was. @param cut whether the answer ended before its end */
  end(cut: boolean): ChatPiece | undefined {
    const deltas = this.#parser.end({ cut });
    const broken = this.#ended ? [] : this.#parser.brokenCalls;
    this.#ended = true;
    // No whole calls after all. What was said is not lost.
    for (const { index } of broken) this.#broken.add(index);
    const texts = broken.map(({ text }) => ({ kind: "content", text }) as const);
    const piece = this.#piece([...deltas, ...texts], undefined);
    const { text, reasoning, toolCalls } = piece;
    return text === "" && reasoning === "" && toolCalls.length === 0 ? undefined : piece;
  }

  /** The calls that are whole. */
  get toolCalls(): ToolCall[] {
    return [...this.#calls]
      .filter(([index]) => !this.#broken.has(index))
      .map(([, { id, name, text }]) => ({ id, type: "function", function: { name, arguments: text } }));
  }

  /** The answer in its parts. */
  get parts(): Pick<ChatAnswer, "text" | "reasoning" | "toolCalls" | "message"> {
    const { text, reasoning, toolCalls, message } = this;
    return { text, reasoning, toolCalls, message };
  }

  /** The answer as a message. */
  get message(): Message {
    const { text, reasoning, toolCalls } = this;
    return {
      role: "assistant",
      content: text,
      ...(reasoning !== "" && { reasoning_content: reasoning }),
      ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
    };
  }

  #piece(deltas: readonly AnswerDelta[], token: Piece | undefined): ChatPiece {
    let [text, reasoning] = ["", ""];
    const toolCalls: ToolCallDelta[] = [];
    for (const delta of deltas) {
      switch (delta.kind) {
        case "content":
          text += delta.text;
          break;
        case "reasoning":
          reasoning += delta.text;
          break;
        case "call":
          this.#calls.set(delta.index, { id: delta.id, name: delta.name, text: "" });
          toolCalls.push({ index: delta.index, id: delta.id, name: delta.name, arguments: "" });
          break;
        case "arguments":
          this.#addArguments(delta.index, delta.text);
          toolCalls.push({ index: delta.index, arguments: delta.text });
      }
    }
    this.text += text;
    this.reasoning += reasoning;
    return new AnswerPiece(text, reasoning, toolCalls, token);
  }

  #addArguments(index: number, text: string): void {
    const call = this.#calls.get(index);
    if (call) call.text += text;
  }
}

/** A {@link ChatPiece}. `toString` is the prototype's, so no token pays for it. */
class AnswerPiece implements ChatPiece {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCallDelta[];
  readonly id: number | undefined;
  readonly logprob: number;
  readonly alternatives: ChatPiece["alternatives"];

  constructor(
    text: string,
    reasoning: string,
    toolCalls: readonly ToolCallDelta[],
    token: Piece | undefined,
  ) {
    this.text = text;
    this.reasoning = reasoning;
    this.toolCalls = toolCalls;
    this.id = token?.id;
    this.logprob = token?.logprob ?? Number.NaN;
    this.alternatives = token?.alternatives ?? [];
  }

  toString(): string {
    return this.text;
  }
}
