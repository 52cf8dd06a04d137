// A model for the `ai` SDK: asks a Llama of this thread, or a served model, and answers as the SDK wants.
import { AnswerParser } from "../chat/answer/answer_parser.ts";
import type { ServedModel } from "../server/model.ts";
import { checkOptions, type OptionNames, wrongOption } from "../util/options.ts";
import { AnswerParts } from "./answer_parts.ts";
import { messagesOf, toolsOf } from "./prompt.ts";
import type { CallOptions, CallResult, LanguageModel, StreamPart, TokenUsage } from "./protocol.ts";
import { settingsOf } from "./settings.ts";
import { type ChatLlama, type Ending, type Source, sourceOf } from "./source.ts";

/** Options of {@link cria}. */
export interface CriaModelOptions {
  /** The model's name in results. Default: a served model's own, else "cria". */
  id?: string;
  /** Most tokens of an answer whose call says nothing about it. Default: to the end of the context. */
  maxTokens?: number;
}

const names: OptionNames<CriaModelOptions> = { id: true, maxTokens: true };

/**
 * A model for the `ai` SDK. The Llama stays yours: dispose it when it is no longer needed.
 *
 * Settings are the SDK's (`temperature`, `maxOutputTokens`, `stopSequences`, `seed` …); `providerOptions.cria` takes cria's other
 * sampling options and `variables` of the chat template. What has no effect comes back as a warning. Errors are cria's.
 *
 * @param model a `Llama` with a chat template, or a model behind a queue (`LocalModel` of cria/server)
 * @throws UsageError for an unknown option
 */
export function cria(model: ChatLlama | ServedModel, options: CriaModelOptions = {}): LanguageModel {
  checkOptions("make a model for the ai SDK", options, names);
  const { id = "facts" in model ? model.facts.id : "cria", maxTokens } = options;
  if (typeof id !== "string") throw wrongOption("make a model for the ai SDK", "id", "a name", id);
  return new CriaLanguageModel(sourceOf(model), id, maxTokens);
}

class CriaLanguageModel implements LanguageModel {
  readonly specificationVersion = "v4";
  readonly provider = "cria";
  readonly modelId: string;
  readonly supportedUrls = {};
  readonly #source: Source;
  readonly #maxTokens: number | undefined;

  constructor(source: Source, modelId: string, maxTokens: number | undefined) {
    this.#source = source;
    this.modelId = modelId;
    this.#maxTokens = maxTokens;
  }

  async doGenerate(options: CallOptions): Promise<CallResult> {
    const timestamp = new Date();
    const { warnings, parts, pieces } = await this.#ask(options);
    for (;;) {
      const { done, value } = await pieces.next();
      if (!done) {
        parts.push(value);
        continue;
      }
      parts.end(value.finishReason);
      return {
        content: parts.content,
        finishReason: parts.finish(value.finishReason),
        usage: usageOf(value),
        response: { timestamp, modelId: this.modelId },
        warnings,
      };
    }
  }

  async doStream(options: CallOptions): Promise<{ stream: ReadableStream<StreamPart> }> {
    const timestamp = new Date();
    const { warnings, parts, pieces } = await this.#ask(options);
    const { modelId } = this;
    const stream = new ReadableStream<StreamPart>({
      start(controller) {
        controller.enqueue({ type: "stream-start", warnings });
        controller.enqueue({ type: "response-metadata", timestamp, modelId });
      },
      // Asked again when what was given is taken: who reads slowly is waited for.
      async pull(controller) {
        for (let given = 0; given === 0; ) {
          const { done, value } = await pieces.next();
          const added = done ? parts.end(value.finishReason) : parts.push(value);
          for (const part of added) controller.enqueue(part);
          given = added.length;
          if (!done) continue;
          const finishReason = parts.finish(value.finishReason);
          controller.enqueue({ type: "finish", usage: usageOf(value), finishReason });
          controller.close();
          return;
        }
      },
      async cancel() {
        await pieces.return(undefined as never);
      },
    });
    return { stream };
  }

  async #ask(options: CallOptions) {
    const { warnings, maxTokens = this.#maxTokens, ...settings } = settingsOf(options);
    const tools = toolsOf(options);
    const messages = messagesOf(options.prompt);
    const signal = options.abortSignal;
    signal?.throwIfAborted();
    const { promptEnd, pieces } = await this.#source.ask({ ...settings, maxTokens, messages, tools, signal });
    const parser = new AnswerParser({ format: this.#source.format, tools: tools ?? [], promptEnd });
    return { warnings, parts: new AnswerParts(parser), pieces };
  }
}

function usageOf({ promptTokens, cachedTokens, tokens }: Ending): TokenUsage {
  return {
    inputTokens: {
      total: promptTokens,
      noCache: promptTokens - cachedTokens,
      cacheRead: cachedTokens,
      cacheWrite: undefined,
    },
    outputTokens: { total: tokens, text: undefined, reasoning: undefined },
  };
}
