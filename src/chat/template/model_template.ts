// A model's chat template with its tokenizer: messages become the text and the ids that the model was trained on.
import type { Tokenizer } from "../../tokenizer/core/tokenizer.ts";
import { describeValue } from "../../util/describe.ts";
import { UnsupportedError, UsageError } from "../../util/errors.ts";
import { checkOptions, type OptionNames } from "../../util/options.ts";
import { answerFormatOf } from "../answer/formats.ts";
import type { Message, Tool } from "../messages.ts";
import { ChatTemplate, type TemplateTokens } from "./chat_template.ts";
import type { TemplateSources } from "./sources.ts";

/** Options of {@link ModelTemplate.render}. Unknown ones are UsageErrors. */
export interface RenderOptions {
  /** Functions that the model may call. */
  readonly tools?: readonly Tool[] | undefined;
  /** Whether the prompt ends with what begins an answer. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Whether it ends within the last message, so that the model goes on with it. Default false. */
  readonly continueFinalMessage?: boolean | undefined;
  /** What templates that write a date take for now, in UTC. Default: the clock. */
  readonly now?: Date | undefined;
  /** Variables of the template, such as `{ enable_thinking: false }`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** A prompt that a template has written. */
export interface RenderedPrompt {
  readonly text: string;
  /** Its tokens. What stands in messages, tools and variables is never a special token. */
  readonly ids: number[];
}

const renderNames: OptionNames<RenderOptions> = {
  tools: true,
  addGenerationPrompt: true,
  continueFinalMessage: true,
  now: true,
  variables: true,
};
/** Variables that have an option of their own. */
const taken = ["messages", "tools", "addGenerationPrompt", "continueFinalMessage", "now"];

/** The chat template of a model: `llama.template`. */
export class ModelTemplate {
  readonly #sources: TemplateSources;
  readonly #tokenizer: Tokenizer;
  readonly #tokens: TemplateTokens;
  readonly #templates = new Map<string, ChatTemplate>();

  /** @internal Models make it. */
  constructor(sources: TemplateSources, tokenizer: Tokenizer, tokens: TemplateTokens) {
    this.#sources = sources;
    this.#tokenizer = tokenizer;
    this.#tokens = tokens;
  }

  /** @internal Reads the template now. @throws UnsupportedError without one; what `new ChatTemplate` throws */
  check(): void {
    this.#template(undefined);
  }

  /** The template's text; undefined if the model has none. */
  get source(): string | undefined {
    return this.#sources.main;
  }

  /** How the model writes calls of tools and what it thinks; undefined for plain text. */
  get format(): string | undefined {
    // Without tools there are no calls: of two templates the one for tools says how they look.
    const { main, withTools } = this.#sources;
    for (const source of [withTools, main]) {
      const format = source === undefined ? undefined : answerFormatOf(source);
      if (format !== undefined) return format;
    }
    return undefined;
  }

  /**
   * The prompt that messages become.
   * @throws UnsupportedError without a template, and for one that takes too long; FormatError for a text that is no
   *   template; UsageError for messages that are none or that the template refuses, with its own words; TokenizerError
   */
  render(messages: readonly Message[], options: RenderOptions = {}): RenderedPrompt {
    checkOptions("render messages", options, renderNames);
    const { variables = {}, ...others } = options;
    if (typeof variables !== "object" || variables === null) {
      const got = describeValue(variables);
      throw new UsageError(`Cannot render messages: Expected variables to be an object, got ${got}`);
    }
    const odd = Object.keys(variables).find((name) => taken.includes(name));
    if (odd !== undefined) {
      throw new UsageError(
        `Cannot render messages: Expected ${odd} as an option, got a variable of that name`,
      );
    }
    const { text, marks } = this.#template(options.tools).renderMarked(messages, { ...variables, ...others });
    return { text, ids: this.#encode(text, marks) };
  }

  #template(tools: readonly Tool[] | undefined): ChatTemplate {
    const { main, withTools, name } = this.#sources;
    const source = tools && tools.length > 0 ? (withTools ?? main) : main;
    if (source === undefined) {
      throw new UnsupportedError(
        `Cannot render messages: ${name} has no chat template: it is a base model, or the template is missing; ` +
          "give it one (chatTemplate, --chat-template FILE), or use a model that was trained to chat",
      );
    }
    let template = this.#templates.get(source);
    if (!template) {
      template = new ChatTemplate(source, this.#tokens);
      this.#templates.set(source, template);
    }
    return template;
  }

  // A template that writes BOS itself gets no second one.
  #encode(text: string, marks: readonly number[]): number[] {
    const tokenizer = this.#tokenizer;
    const { bosId } = tokenizer;
    const ids = tokenizer.encode(text, { bos: false, eos: false, special: true, plain: marks });
    if (bosId === undefined || ids[0] === bosId) return ids;
    const [first] = tokenizer.encode("", { eos: false });
    return first === bosId ? [bosId, ...ids] : ids;
  }
}
