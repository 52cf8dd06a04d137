// Splits what a model writes into content, reasoning and tool calls, while it writes.
import type { Tool } from "../messages.ts";
import { type Context, type Format, Tools } from "./format.ts";
import { formatNamed } from "./formats.ts";
import { type AnswerDelta, type BrokenCall, Output } from "./output.ts";
import { Markers, type Reading, Scanner } from "./scanner.ts";

/** How to read an answer. */
export interface AnswerOptions {
  /** Name of the format, see `answerFormatOf`; undefined for text that may begin with `<think>` and has no calls. */
  readonly format?: string;
  /** What may be called. With an empty list markers of calls are content. Undefined: any name is a tool. */
  readonly tools?: readonly Tool[];
  /**
   * The end of the prompt that belongs to the answer: from where the template begins it ("<|im_start|>assistant\n<think>\n"),
   * with the beginning of a message that is continued. That beginning is part of what comes out.
   */
  readonly promptEnd?: string;
  /** False leaves reasoning in the content. Default true. */
  readonly reasoning?: boolean;
  /** What ids of calls are made from: the same for the same seed. Default: random ids. Give every answer of a conversation its own. */
  readonly idSeed?: string;
}

/**
 * A parser of one answer. Deltas do not depend on how the text was cut into pieces, except for where they are cut.
 */
export class AnswerParser {
  readonly #scanner = new Scanner();
  readonly #output: Output;
  readonly #reading: Reading<void>;
  #cut = false;
  // The first half of a character whose second is in the next piece.
  #half = "";

  /** @throws UsageError for a format that nobody knows */
  constructor(options: AnswerOptions = {}) {
    const format = formatNamed(options.format);
    const { trim = false, shortIds = false } = format;
    this.#output = new Output({ trim, shortIds, idSeed: options.idSeed });
    const isCut = () => this.#cut && this.#scanner.done;
    this.#reading = readAnswer(format, {
      in: this.#scanner,
      out: this.#output,
      tools: new Tools(options.tools),
      reasoning: options.reasoning ?? true,
      isCut,
      fail: (text) => this.#output.fail(this.#scanner.marked(), isCut(), text),
    });
    this.#read(begun(options.promptEnd ?? "", format));
  }

  /** Takes the next piece. @returns what became certain */
  push(text: string): AnswerDelta[] {
    const all = this.#half + text;
    const end = /[\uD800-\uDBFF]$/.test(all) ? all.length - 1 : all.length;
    this.#half = all.slice(end);
    this.#read(all.slice(0, end));
    return this.#output.take();
  }

  /**
   * Takes the end. Safe to call twice.
   * @param end `cut`: whether the answer stopped half-way (at a limit of tokens, say) and not at its own end
   * @returns everything that was held back
   */
  end(end: { readonly cut: boolean } = { cut: false }): AnswerDelta[] {
    if (!this.#scanner.ended) {
      this.#scanner.ended = true;
      this.#cut = end.cut;
      this.#read(this.#half);
      this.#output.end(end.cut);
    }
    return this.#output.take();
  }

  /** Calls that are complete so far. */
  get finishedCalls(): number {
    return this.#output.finished;
  }

  /** Calls that were told of and turned out to be none, or were cut off. Certain at the end. */
  get brokenCalls(): readonly BrokenCall[] {
    return this.#output.broken;
  }

  #read(text: string): void {
    if (text !== "") this.#scanner.feed(text);
    this.#reading.next();
  }
}

// How chat templates begin an answer; what follows belongs to it: "<|im_start|>assistant\n", "<|assistant|>", "[/INST]", "Tales:".
const HEADERS = new RegExp(
  [
    "<[^<>\n]*>(?:[Aa]ssistant|model)\\b(?: [^<\n]*)?(?:<\\|(?!channel|message|constrain)[^<>\n]*>)?\n*(?:>>>)?",
    "<[|｜]?(?:begin_)?(?:[Aa]ssistant|CHATBOT_TOKEN|AI)(?:_start)?[|｜]?>\n?",
    "]~b]ai\n",
    "\\[/INST]",
    "\\[\\|assistant\\|]",
    "<role>ASSISTANT</role>\n?",
    "\\bassistant<\\|role_sep\\|>\n",
    "\\b(?:[A-Z]\\w*|assistant): ?\n*$",
  ].join("|"),
  "g",
);

/**
 * What of the prompt belongs to the answer. Reasoning that is closed and empty does not. If nothing says where the answer
 * begins, it is the beginning of a message if it is a line of prose, and else a prompt whose marks are not known.
 */
function begun(promptEnd: string, { think = THINK }: Format): string {
  const start = [...promptEnd.matchAll(HEADERS)].at(-1);
  const text = promptEnd.slice(start ? start.index + start[0].length : 0);
  if (!start && !text.trimStart().startsWith(think[0]) && /[<>[\]{}|\n]/.test(text))
    return text.trimEnd().endsWith(think[0]) ? think[0] : "";
  const rest = text.trimStart();
  const inner = rest.startsWith(think[0]) ? rest.slice(think[0].length).trimStart() : rest;
  return inner.startsWith(think[1]) ? inner.slice(think[1].length).trimStart() : text;
}

const THINK = ["<think>", "</think>"] as const;

function* readAnswer(format: Format, context: Context): Reading<void> {
  if (format.all) yield* format.all(context);
  else yield* new AnswerReader(format, context).read();
}

/** Reads an answer whose parts stand between markers. */
class AnswerReader {
  readonly #format: Format;
  readonly #context: Context;
  readonly #think: readonly [string, string];
  readonly #calls: readonly string[];

  constructor(format: Format, context: Context) {
    this.#format = format;
    this.#context = context;
    this.#think = format.think ?? THINK;
    this.#calls = (context.tools.callable && format.open) || [];
  }

  *read(): Reading<void> {
    const { in: scanner, out, reasoning, tools } = this.#context;
    const { thinkWord, drop = [], bare, bareAnywhere } = this.#format;
    const [think] = this.#think;
    const anywhere = reasoning && thinkWord !== undefined;
    const bares = bare !== undefined && tools.callable ? [bare] : [];
    // Few braces in a text have a string behind them.
    const anywhereBare = bares.map((first) => `${first}"`);
    const words = [
      ...this.#calls,
      ...drop,
      ...(anywhere ? this.#think : []),
      ...(bareAnywhere ? anywhereBare : []),
    ];
    const markers = new Markers(words);
    let thinks = reasoning && thinkWord === undefined;
    let fresh = true;
    for (;;) {
      if (fresh) yield* scanner.each(/\s+/y, out.content);
      if (fresh && thinks && (yield* scanner.eat(think))) {
        thinks = false;
        yield* this.#reason();
        continue;
      }
      if (fresh && bares.includes(yield* scanner.peek())) {
        fresh = yield* this.#call("", out.content);
        if (fresh) continue;
      }
      const marker = yield* scanner.until(markers, out.content);
      if (marker === "") return;
      fresh = false;
      if (anywhereBare.includes(marker)) {
        scanner.unread(marker);
        fresh = yield* this.#call("", out.content);
      } else if (this.#calls.includes(marker)) fresh = yield* this.#call(marker, out.content);
      else if (marker === think && anywhere && (yield* scanner.eat(thinkWord))) yield* this.#reason();
    }
  }

  *#reason(): Reading<void> {
    const { in: scanner, out } = this.#context;
    const [think, end] = this.#think;
    const { callEndsThink, drop = [] } = this.#format;
    const markers = new Markers([end, ...(callEndsThink ? [...this.#calls, ...drop] : [])]);
    yield* scanner.space();
    // A marker that the prompt had already written is text.
    const again = yield* scanner.eat(think);
    if (again) out.reasoning(think);
    for (;;) {
      const marker = yield* scanner.until(markers, out.reasoning);
      if (!this.#calls.includes(marker)) return out.endReasoning(again);
      if (yield* this.#call(marker, out.reasoning)) return out.endReasoning();
    }
  }

  *#call(marker: string, text: (text: string) => void): Reading<boolean> {
    const { in: scanner, fail } = this.#context;
    const read = this.#format.read as NonNullable<Format["read"]>;
    scanner.mark(marker);
    if (yield* read(this.#context, marker)) {
      scanner.marked();
      return true;
    }
    fail(text);
    return false;
  }
}
