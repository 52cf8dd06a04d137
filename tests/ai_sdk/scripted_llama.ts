// A model that says what a test tells it to, a few letters at a time, and remembers what it was asked.
import type { ChatLlama } from "../../src/ai_sdk/source.ts";
import type { Message, Tool } from "../../src/chat/messages.ts";
import type { FinishReason } from "../../src/session/options.ts";

/** What it was asked. */
export interface Asked {
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[] | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  readonly options: Record<string, unknown>;
}

export interface Script {
  /** One answer for each question. */
  readonly answers: readonly string[];
  readonly format?: string;
  readonly promptEnd?: string;
  readonly finishReason?: FinishReason;
  /** Never ends: says its answer again and again. */
  readonly endless?: boolean;
}

export function scriptedLlama(script: Script) {
  const { answers, format, promptEnd = "Answer:", finishReason = "eos", endless = false } = script;
  const asked: Asked[] = [];
  const state = { running: 0 };
  let question: Omit<Asked, "options"> | undefined;
  const llama: ChatLlama = {
    template: {
      format,
      render(messages, { tools, variables }) {
        question = { messages, tools, variables };
        return { text: promptEnd, ids: [1, 2, 3] };
      },
    },
    async *generate(_ids, options) {
      const text = answers[Math.min(asked.length, answers.length - 1)] ?? "";
      asked.push({ ...(question as Omit<Asked, "options">), options: { ...options } });
      state.running++;
      try {
        let n = 0;
        do {
          for (let i = 0; i < text.length; i += 3, n++) {
            await new Promise((resolve) => setTimeout(resolve, 0));
            options.signal?.throwIfAborted();
            yield { text: text.slice(i, i + 3) };
          }
        } while (endless && n > 0);
        return { finishReason, usage: { promptTokens: 3, generatedTokens: n, cachedTokens: 1 } };
      } finally {
        state.running--;
      }
    },
  };
  return { llama, asked, state };
}
