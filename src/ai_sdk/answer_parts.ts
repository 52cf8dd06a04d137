// An answer as parts of the SDK's streams: blocks of text and reasoning, calls with their input as it is written.
import type { AnswerParser } from "../chat/answer/answer_parser.ts";
import type { AnswerDelta } from "../chat/answer/output.ts";
import type { FinishReason } from "../session/options.ts";
import type { AnswerPart, Finish, StreamPart } from "./protocol.ts";

interface Block {
  readonly kind: "text" | "reasoning" | "call";
  readonly id: string;
  readonly index: number;
  readonly name: string;
  text: string;
}

/** Turns text into parts. */
export class AnswerParts {
  /** Everything that is whole, in order. */
  readonly content: AnswerPart[] = [];
  readonly #parser: AnswerParser;
  #parts: StreamPart[] = [];
  #block: Block | undefined;
  #blocks = 0;

  constructor(parser: AnswerParser) {
    this.#parser = parser;
  }

  /** What a piece of text adds. */
  push(text: string): StreamPart[] {
    return this.#take(this.#parser.push(text));
  }

  /** What was held back. */
  end(finishReason: FinishReason): StreamPart[] {
    const cut = isCut(finishReason);
    const parts = this.#take(this.#parser.end({ cut }));
    this.#close();
    // How calls were written that are none: text that nobody has seen.
    if (!cut) for (const { text } of this.#parser.brokenCalls) this.#add({ kind: "content", text });
    this.#close();
    return [...parts, ...this.#parts.splice(0)];
  }

  /** Why the answer ended. */
  finish(raw: FinishReason): Finish {
    if (isCut(raw)) return { unified: "length", raw };
    const { finishedCalls, brokenCalls } = this.#parser;
    return { unified: finishedCalls > 0 && brokenCalls.length === 0 ? "tool-calls" : "stop", raw };
  }

  #take(deltas: readonly AnswerDelta[]): StreamPart[] {
    for (const delta of deltas) this.#add(delta);
    return this.#parts.splice(0);
  }

  #add(delta: AnswerDelta): void {
    if (delta.kind === "call") {
      const { id, name, index } = delta;
      this.#close();
      this.#block = { kind: "call", id, index, name, text: "" };
      this.#parts.push({ type: "tool-input-start", id, toolName: name });
      return;
    }
    if (delta.kind === "arguments") {
      const block = this.#block as Block;
      block.text += delta.text;
      this.#parts.push({ type: "tool-input-delta", id: block.id, delta: delta.text });
      return;
    }
    const kind = delta.kind === "content" ? "text" : "reasoning";
    // SentencePiece writes the first word with a space, and templates put it back.
    const text = this.#blocks === 0 ? delta.text.replace(/^ (?!\s)/, "") : delta.text;
    if (this.#block?.kind !== kind) {
      this.#close();
      this.#block = { kind, id: String(this.#blocks), index: 0, name: "", text: "" };
      this.#parts.push({ type: `${kind}-start`, id: this.#block.id });
      this.#blocks++;
    }
    this.#block.text += text;
    this.#parts.push({ type: `${kind}-delta`, id: this.#block.id, delta: text });
  }

  #close(): void {
    const block = this.#block;
    this.#block = undefined;
    if (block === undefined) return;
    const { kind, id, index, name, text } = block;
    if (kind !== "call") {
      this.#parts.push({ type: `${kind}-end`, id });
      this.content.push({ type: kind, text });
      return;
    }
    this.#parts.push({ type: "tool-input-end", id });
    if (this.#parser.brokenCalls.some((call) => call.index === index)) return;
    const call = { type: "tool-call" as const, toolCallId: id, toolName: name, input: text };
    this.#parts.push(call);
    this.content.push(call);
  }
}

function isCut(reason: FinishReason): boolean {
  return reason === "length" || reason === "context";
}
