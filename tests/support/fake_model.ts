// A model that says what a test tells it to.
import type { Job, JobEvent, ModelFacts, ModelStatus, ServedModel } from "../../src/server/model.ts";

/** What a fake model does. */
export interface FakeModelOptions {
  readonly facts?: Partial<ModelFacts>;
  readonly status?: Partial<ModelStatus>;
  /** Batches of a job. Default: "Once", " upon", and its end. */
  run?(job: Job, signal: AbortSignal): AsyncGenerator<readonly JobEvent[], void>;
}

/** A served model with what its jobs were. */
export interface FakeModel extends ServedModel {
  readonly jobs: readonly Job[];
  /** Signals of its jobs. */
  readonly signals: readonly AbortSignal[];
  readonly isClosed: boolean;
}

/** The begin of a job. */
export const begin = (promptTokens = 9, cachedTokens = 4, promptEnd = ""): JobEvent => ({
  kind: "begin",
  promptTokens,
  cachedTokens,
  promptEnd,
  seed: 1,
});

/** A token of text without log-probabilities. */
export const said = (text: string, choice = 0): JobEvent => ({ kind: "token", choice, text });

const utf8 = new TextEncoder();

/** A token with log-probabilities; `alternatives` by text. */
export function likely(
  text: string,
  logprob: number,
  alternatives: Readonly<Record<string, number>> = {},
): JobEvent {
  const token = (text: string) => ({ id: 5, text, bytes: [...utf8.encode(text)] });
  return {
    kind: "token",
    choice: 0,
    text,
    logprob,
    token: token(text),
    alternatives: Object.entries(alternatives).map(([text, logprob]) => ({ ...token(text), logprob })),
  };
}

/** The end of a choice. */
export const ended = (
  finishReason: "eos" | "stop" | "length" | "context" = "eos",
  tokens = 2,
  choice = 0,
): JobEvent => ({ kind: "end", choice, finishReason, tokens, ...(finishReason === "stop" && { stop: "x" }) });

/** Batches that come one after another, with turns of the event loop between them. */
export async function* script(
  ...batches: readonly (readonly JobEvent[])[]
): AsyncGenerator<readonly JobEvent[], void> {
  for (const batch of batches) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    yield batch;
  }
}

/** A model that says the same to everybody, or what `run` gives. */
export function fakeModel(options: FakeModelOptions = {}): FakeModel {
  const jobs: Job[] = [];
  const signals: AbortSignal[] = [];
  const run = options.run ?? (() => script([begin()], [said("Once")], [said(" upon")], [ended()]));
  let isClosed = false;
  return {
    jobs,
    signals,
    get isClosed() {
      return isClosed;
    },
    facts: {
      id: "fake",
      created: 1_700_000_000,
      contextLength: 64,
      vocabSize: 512,
      maxPromptBytes: 4096,
      hasTemplate: true,
      answerFormat: undefined,
      defaultMaxTokens: undefined,
      ...options.facts,
    },
    async render(prompt) {
      return { text: JSON.stringify(prompt), ids: [1, 2] };
    },
    async encode(text) {
      return [...utf8.encode(text)].map((byte) => {
        const isText = byte < 128;
        return { id: byte, text: isText ? String.fromCharCode(byte) : "\ufffd", bytes: [byte] };
      });
    },
    async decode(ids) {
      return String.fromCharCode(...ids);
    },
    run(job, signal) {
      jobs.push(job);
      signals.push(signal);
      return run(job, signal);
    },
    async status() {
      return {
        state: "ready",
        slots: [{ id: 0, busy: false, promptTokens: 0, tokens: 0 }],
        waiting: 0,
        kvPages: { used: 0, total: 8 },
        totals: { promptTokens: 0, cachedTokens: 0, tokens: 0, steps: 0 },
        ...options.status,
      };
    },
    async close() {
      isClosed = true;
    },
  };
}
