// Chat templates: messages and tools become the text that a model was trained on.
import { describeValue } from "../../util/describe.ts";
import { CriaError, UsageError } from "../../util/errors.ts";
import type { Message, Tool } from "../messages.ts";
import { TemplateInterpreter } from "./interpreter.ts";
import { exceeded, MAX_RANGE, Meter, TemplateFault } from "./limits.ts";
import { type MarkedText, sliceMarks } from "./marked_text.ts";
import { placeOf } from "./operators.ts";
import { type Node, parseTemplate } from "./parse_template.ts";
import { Scope } from "./scope.ts";
import { strftime } from "./strftime.ts";
import { contentText, type InputStyle, templateMessages, templateTools } from "./template_input.ts";
import {
  type Arguments,
  boolean,
  dict,
  fn,
  inputValue,
  integer,
  integerOf,
  isDict,
  isList,
  isText,
  itemsOf,
  type Key,
  list,
  namespace,
  none,
  setEntry,
  text,
  textOf,
  type Value,
} from "./values.ts";

/** Texts of a vocabulary that templates write. */
export interface TemplateTokens {
  /** Text of the token that begins a text; default "". */
  readonly bosToken?: string | undefined;
  /** Text of the token that ends one; default "". */
  readonly eosToken?: string | undefined;
}

/** Options of {@link ChatTemplate.render}. Every other name is a variable of the template, such as `enable_thinking`. */
export interface TemplateOptions {
  /** Functions that the model may call. */
  readonly tools?: readonly Tool[] | null | undefined;
  /** Whether the text ends with what begins an answer. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Whether the text ends within the last message, so that the model goes on with it. Default false. */
  readonly continueFinalMessage?: boolean | undefined;
  /** What templates that write a date take for now, in UTC. Default: the clock. */
  readonly now?: Date | undefined;
  readonly [variable: string]: unknown;
}

/** Most of a refusal or fault that an error repeats. */
const MAX_REASON = 1000;

/** Roles that are a template's own words, also within special tokens. Others are text of whoever wrote the message. */
const roles = new Set([
  ...["system", "user", "assistant", "tool", "developer", "function", "ipython", "model", "tool_response"],
  ...["observation", "context", "documents", "available_tools", "tool_call", "tools"],
]);

/**
 * A chat template in Jinja, as models bring it.
 *
 * ```ts
 * import { ChatTemplate } from "cria";
 *
 * const template = new ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
 * template.render([{ role: "user", content: "Hello" }]);
 * ```
 *
 * Templates are programs of strangers: their length, steps, texts and nesting are bounded, and they see nothing but what
 * they are given. They are rendered as Python's jinja2 does when transformers calls it.
 */
export class ChatTemplate {
  /** The template's text. */
  readonly source: string;
  readonly #program: Node;
  readonly #tokens: TemplateTokens;

  /** @throws FormatError for a text that is no template, with the line; UsageError for what is no text */
  constructor(source: string, tokens: TemplateTokens = {}) {
    if (typeof source !== "string") {
      throw new UsageError(`Cannot read the chat template: Expected a text, got ${describeValue(source)}`);
    }
    this.source = source;
    this.#tokens = tokens;
    this.#program = parseTemplate(source);
  }

  /**
   * The text of a conversation.
   * @throws UsageError for messages that are none, and with the template's own words if it refuses them; UnsupportedError
   *   for a template that takes too long or too much
   */
  render(messages: readonly Message[], options: TemplateOptions = {}): string {
    return this.renderMarked(messages, options).text;
  }

  /** As {@link render}, with what of the text comes from messages, tools and variables. @internal */
  renderMarked(messages: readonly Message[], options: TemplateOptions = {}): MarkedText {
    const { tools, addGenerationPrompt, continueFinalMessage, now, ...variables } = options;
    checkFlag("addGenerationPrompt", addGenerationPrompt);
    checkFlag("continueFinalMessage", continueFinalMessage);
    if (now !== undefined && !(now instanceof Date && !Number.isNaN(now.getTime()))) {
      throw new UsageError(`Cannot render messages: Expected now to be a date, got ${describeValue(now)}`);
    }
    const adds = addGenerationPrompt ?? !continueFinalMessage;
    if (adds && continueFinalMessage) {
      throw new UsageError(
        "Cannot render messages: Expected addGenerationPrompt or continueFinalMessage, got both",
      );
    }
    const meter = new Meter();
    const render = (style: InputStyle): MarkedText => {
      meter.restart();
      const scope = globals(now ?? new Date(), meter);
      const set = (name: string, value: Value) => scope.set(name, value);
      set("bos_token", text(this.#tokens.bosToken ?? ""));
      set("eos_token", text(this.#tokens.eosToken ?? ""));
      set("documents", none());
      for (const [name, value] of Object.entries(variables)) set(name, inputValue(value, meter));
      const given = templateMessages(messages, style);
      set("messages", ownRoles(inputValue(given, meter) as Value<Value[]>));
      set("tools", inputValue(templateTools(tools, style), meter));
      set("add_generation_prompt", boolean(adds));
      return new TemplateInterpreter(meter).render(this.#program, scope);
    };
    const written = attempted(render);
    return continueFinalMessage ? cutAtFinal(written, messages.at(-1), meter) : written;
  }
}

// The last ones are for templates that fail with what others take.
const styles: readonly InputStyle[] = [
  { textArguments: false, noTools: null },
  { textArguments: false, noTools: [] },
  { textArguments: true, noTools: null },
  { textArguments: true, noTools: [] },
];

/** Renders in the first style in which the template does not fail. If it fails in all, the first error counts. */
function attempted(render: (style: InputStyle) => MarkedText): MarkedText {
  let first: unknown;
  for (const style of styles) {
    try {
      return render(style);
    } catch (error) {
      first ??= error;
      if (error instanceof CriaError || error instanceof RangeError) break;
    }
  }
  if (first instanceof CriaError) throw first;
  if (first instanceof RangeError) throw exceeded("so deep a nesting");
  const { message } = first as Error;
  throw new UsageError(`Cannot render messages: The chat template fails: ${message.slice(0, MAX_REASON)}`, {
    cause: first,
  });
}

function checkFlag(name: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new UsageError(
    `Cannot render messages: Expected ${name} to be true or false, got ${describeValue(value)}`,
  );
}

function ownRoles(messages: Value<Value[]>): Value {
  for (const message of messages.value) {
    const role = (message.value as Map<string, Value>).get("role");
    if (isText(role) && roles.has(role.value)) role.marks = undefined;
  }
  return messages;
}

/** What every template finds: functions, and the names of constants that the parser takes for variables. */
function globals(now: Date, meter: Meter): Scope {
  const scope = new Scope();
  const set = (name: string, value: Value) => scope.set(name, value);
  for (const [name, value] of [
    ["true", true],
    ["false", false],
  ] as const) {
    set(name, boolean(value));
    set(name === "true" ? "True" : "False", boolean(value));
  }
  set("none", none());
  set("None", none());
  set(
    "range",
    fn((args) => range(args, meter)),
  );
  set(
    "dict",
    fn((args) => dictOf(args, meter)),
  );
  set(
    "namespace",
    fn((args) => namespace((dictOf(args, meter) as Value<Map<Key, Value>>).value)),
  );
  set(
    "strftime_now",
    fn(({ positional }) => {
      const format = textOf(positional[0], "strftime_now");
      meter.slowUnits(format.length);
      return text(strftime(now, format));
    }),
  );
  set(
    "raise_exception",
    fn(({ positional }) => {
      const [message] = positional;
      throw new UsageError(
        `Cannot render messages: The chat template refuses them: ${isText(message) ? message.value.slice(0, MAX_REASON) : "it gives no reason"}`,
      );
    }),
  );
  return scope;
}

function dictOf({ positional: [from], keywords }: Arguments, meter: Meter): Value {
  const made = dict();
  const items = isDict(from) ? itemsOf(from) : isList(from) ? from.value : [];
  meter.step(items.length);
  for (const item of items) {
    const [key, value] = isList(item) ? item.value : [];
    if (!key || !value) throw new TemplateFault("Expected pairs for dict");
    setEntry(made, key, value, meter);
  }
  for (const [name, value] of keywords) made.value.set(name, value);
  return made;
}

function range({ positional }: Arguments, meter: Meter): Value {
  const numbers = positional.map((value) => integerOf(value, "range"));
  const [start, stop, step = 1] = numbers.length === 1 ? [0, numbers[0]] : numbers;
  if (start === undefined || stop === undefined || step === 0)
    throw new TemplateFault("Expected numbers for range");
  const n = Math.max(0, Math.ceil((stop - start) / step));
  if (n > MAX_RANGE) throw exceeded(`range(${n}), of more than ${MAX_RANGE}`);
  meter.step(n);
  return list(Array.from({ length: n }, (_, i) => integer(start + i * step)));
}

/** The text up to the end of the last message's content. */
function cutAtFinal(
  { text: all, marks }: MarkedText,
  message: Message | undefined,
  meter: Meter,
): MarkedText {
  const content = message && contentText(message.content, "the last message");
  const final = typeof content === "string" ? content.trim() : "";
  const at = final === "" ? -1 : placeOf(final, all, all.length, meter, true);
  if (at < 0) {
    throw new UsageError(
      "Cannot render messages: Expected a last message whose content the chat template writes, to go on with it",
    );
  }
  // White space at its end stays if the template left it there.
  const kept = (content as string).trimStart();
  const end = all.startsWith(kept, at) ? at + kept.length : at + final.length;
  return { text: all.slice(0, end), marks: sliceMarks(marks, 0, end) };
}
