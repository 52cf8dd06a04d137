import { resolveSampling } from "../sample/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { ContextError, UsageError } from "../util/errors.ts";
import type { Engine } from "./engine.ts";
import type { Completion, FinishReason, GenerateOptions, Piece } from "./options.ts";
import { Stopwatch } from "./stats.ts";
import { StopMatcher } from "./stop.ts";

function maxTokensOf(options: GenerateOptions): number {
  const { maxTokens } = options;
  if (maxTokens === undefined) return Number.POSITIVE_INFINITY;
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new UsageError(
      `Cannot generate: Expected maxTokens to be an integer of at least 0, got ${maxTokens}`,
    );
  }
  return maxTokens;
}

function stopsOf({ stop = [] }: GenerateOptions): readonly string[] {
  const stops = typeof stop === "string" ? [stop] : stop;
  if (!Array.isArray(stops) || stops.some((text) => typeof text !== "string")) {
    throw new UsageError("Cannot generate: Expected stop to be a string or an array of strings");
  }
  return stops;
}

function promptIds(tokenizer: Tokenizer, prompt: string, contextLength: number): number[] {
  if (typeof prompt !== "string") {
    throw new UsageError(`Cannot generate: Expected the prompt to be a string, got ${typeof prompt}`);
  }
  const ids = tokenizer.encode(prompt);
  if (ids.length === 0) {
    throw new UsageError(
      "Cannot generate: Expected a prompt, because the vocabulary has no token to begin with",
    );
  }
  if (ids.length > contextLength) {
    throw new ContextError(
      `Cannot generate: Expected a prompt of at most ${contextLength} tokens (the context length), got ${ids.length}`,
    );
  }
  return ids;
}

/**
 * Streams the continuation of a prompt. Each token is a piece; text that is not certain yet comes with a
 * later one, the rest of it with the last.
 * @throws UsageError, ContextError for the arguments; SamplingError for logits that are no numbers; the
 *   signal's reason when it is aborted
 */
export async function* generate(
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
  loadMs: number,
): AsyncGenerator<Piece, Completion> {
  const maxTokens = maxTokensOf(options);
  const matcher = new StopMatcher(stopsOf(options));
  const sampling = resolveSampling(options);
  const { contextLength } = engine.layout;
  const ids = promptIds(tokenizer, prompt, contextLength);
  const { signal, ignoreEos = false, logprobs = true } = options;
  signal?.throwIfAborted();

  const stream = tokenizer.stream({ afterText: prompt !== "" });
  const eos = new Set(ignoreEos ? [] : tokenizer.eosIds);
  const watch = new Stopwatch(loadMs);
  const promptTokens = ids.length;
  let text = "";
  let reason: FinishReason = "length";
  const finish = (): Completion => ({
    text,
    ids: ids.slice(promptTokens),
    finishReason: reason,
    usage: { promptTokens, generatedTokens: ids.length - promptTokens },
    timings: watch.timings(promptTokens, ids.length - promptTokens),
  });
  if (maxTokens === 0) return finish();

  const sequence = engine.sequence();
  try {
    const sampler = engine.sampler(sampling, tokenizer.vocabSize);
    const draw = () => {
      const id = sampler.sample(ids, ids.length);
      return { id, logprob: logprobs ? sampler.logprob(id) : Number.NaN };
    };
    let next = await watch.prefill(() => engine.prefill(sequence, ids, draw, signal));
    for (;;) {
      ids.push(next.id);
      if (eos.has(next.id)) reason = "eos";
      else if (sequence.length === contextLength) reason = "context";
      let piece = reason === "eos" ? "" : matcher.push(stream.push(next.id));
      if (matcher.matched) reason = "stop";
      const last = reason !== "length" || ids.length - promptTokens === maxTokens;
      if (last && !matcher.matched) piece += matcher.push(stream.flush()) + matcher.flush();
      text += piece;
      yield { id: next.id, text: piece, logprob: next.logprob };
      if (last) return finish();
      const segment = { sequence, ids, begin: ids.length - 1, end: ids.length, outputs: "last" } as const;
      next = await watch.decode(() => engine.step([segment], draw, signal));
    }
  } finally {
    sequence.free();
  }
}
