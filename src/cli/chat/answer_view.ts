// Shows an answer while it comes, and what is to be said of it.
import type { ChatAnswer, ChatPiece } from "../../mod.ts";
import { escaped } from "../terminal/escape.ts";
import { writeOut } from "../terminal/output.ts";
import type { WordWrap } from "../terminal/word_wrap.ts";

/** How an answer is shown. */
export interface AnswerDisplay {
  /** Whether standard output is a terminal: what it would obey is spelled out. */
  readonly isTerminal: boolean;
  /** Breaks lines between words; undefined: they are not broken. */
  readonly wrap?: WordWrap | undefined;
  /** What is shown in a softer style; undefined: not at all. */
  readonly aside: ((text: string) => string) | undefined;
}

/**
 * Writes an answer to standard output, piece by piece: what was thought and the tool calls as asides, the text as it is.
 * Ends the line. Returns the whole.
 */
export async function showAnswer(
  pieces: AsyncGenerator<ChatPiece, ChatAnswer>,
  { isTerminal, wrap, aside }: AnswerDisplay,
): Promise<ChatAnswer> {
  const plain = (text: string) => {
    const safe = isTerminal ? escaped(text) : text;
    return wrap ? wrap.push(safe) : safe;
  };
  let part: "nothing" | "text" | "reasoning" | "call" = "nothing";
  let isShown = false;
  const begin = async (next: typeof part) => {
    if (part !== next && part !== "nothing") {
      wrap?.reset();
      await writeOut("\n");
    }
    part = next;
  };
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      isShown = true;
      if (done) return value;
      const { reasoning, text, toolCalls } = value;
      if (reasoning !== "" && aside) {
        await begin("reasoning");
        await writeOut(aside(plain(reasoning)));
      }
      if (text !== "") {
        await begin("text");
        await writeOut(plain(text));
      }
      for (const call of aside ? toolCalls : []) {
        if (call.name !== undefined) await begin("nothing");
        await begin("call");
        await writeOut(aside?.(plain(call.name === undefined ? call.arguments : `${call.name} `)) ?? "");
      }
    }
  } finally {
    // What was refused has no line.
    if (isShown) await writeOut("\n");
  }
}

/** What an answer was like, in numbers, on one line. */
export function speedText({ usage, timings, finishReason }: ChatAnswer, contextLength: number): string {
  const { promptTokens, cachedTokens, generatedTokens } = usage;
  const rate = (tps: number) => (tps > 0 ? `, ${tps.toFixed(tps < 100 ? 1 : 0)} tokens/s` : "");
  const cached = cachedTokens > 0 ? ` (${cachedTokens} cached)` : "";
  const all = Math.min(promptTokens + generatedTokens, contextLength);
  return (
    `prompt ${promptTokens} tokens${cached}${rate(timings.prefillTps)}; ` +
    `answer ${generatedTokens} tokens${rate(timings.decodeTps)}, ended by ${finishReason}; ${all} of ${contextLength} in the context`
  );
}

/** What has to be said of how an answer ended; undefined if it ended by itself. */
export function endText({ finishReason, usage }: ChatAnswer): string | undefined {
  if (finishReason === "length")
    return `cut off after ${usage.generatedTokens} tokens; --max-tokens sets the limit`;
  if (finishReason === "context") return "cut off: the context is full; --context sets its length";
  return finishReason === "abort" ? "stopped" : undefined;
}
