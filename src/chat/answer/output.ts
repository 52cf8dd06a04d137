// What an answer becomes: pieces of content, of reasoning and of tool calls, in order, with the white space between them settled.
import { randomWords } from "../../util/random.ts";

/** What became certain of an answer. Pieces of a call follow its `call`, and calls are numbered from 0 without gaps. */
export type AnswerDelta =
  | { readonly kind: "content" | "reasoning"; readonly text: string }
  | { readonly kind: "call"; readonly index: number; readonly id: string; readonly name: string }
  /** JSON text: all pieces of a call together are one object. */
  | { readonly kind: "arguments"; readonly index: number; readonly text: string };

/** A call that was told of and turned out not to be one, or not a whole one. */
export interface BrokenCall {
  readonly index: number;
  /** How the model wrote it, as far as it got. */
  readonly text: string;
  /** UTF-16 units of content before it. */
  readonly at: number;
}

/** How content of a format is treated, and how calls are named. */
export interface OutputOptions {
  /** Whether white space before a call is left out. */
  readonly trim: boolean;
  /** Whether ids are nine letters and digits, as Mistral's templates want them. */
  readonly shortIds: boolean;
  /** What ids are made from; undefined for random ones. */
  readonly idSeed: string | undefined;
}

interface Call {
  name?: string;
  id?: string;
  arguments: string;
  /** Whether nothing is told before it is complete. */
  readonly whole: boolean;
  /** Its number, once it is told. */
  index?: number;
}

/** An {@link AnswerDelta} that text may be added to. */
interface Delta {
  readonly kind: AnswerDelta["kind"];
  readonly index?: number;
  readonly id?: string;
  readonly name?: string;
  text?: string;
}

/** Collects deltas. Text goes in as it is read; {@link Output.take} gives what is certain. */
export class Output {
  /** Calls that are complete. */
  finished = 0;
  /** Calls that were told of and are not complete. */
  readonly broken: BrokenCall[] = [];
  readonly #options: OutputOptions;
  #deltas: Delta[] = [];
  #call: Call | undefined;
  #calls = 0;
  readonly #ids = new Set<string>();
  #random: number;
  // White space that is content only if text follows, and whether text came since the start, reasoning or a call.
  #space = "";
  #begun = false;
  #first = true;
  #thinking = "";
  #thought = false;
  // UTF-16 units of content so far.
  #length = 0;
  // The content as long as it may be a JSON value, behind which white space is not content.
  #json: string | undefined;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#random = hash(options.idSeed ?? randomWords(2).join("-"));
  }

  /** What became certain since the last time. */
  take(): AnswerDelta[] {
    const deltas = this.#deltas;
    this.#deltas = [];
    return deltas as AnswerDelta[];
  }

  /** Text for the reader. */
  readonly content = (piece: string): void => {
    let rest = piece;
    if (!this.#begun) {
      rest = piece.trimStart();
      if (this.#first) this.#space += piece.slice(0, piece.length - rest.length);
      if (rest === "") return;
      // One space belongs to how SentencePiece writes a first word; templates put it back. More is an indentation.
      if (this.#first && this.#space === " ") this.#space = "";
      if (this.#first && /^["[{]/.test(rest)) this.#json = "";
      this.#begun = true;
      this.#first = false;
    }
    if (this.#json !== undefined) this.#json += this.#space + rest;
    const text = this.#options.trim || this.#json !== undefined ? rest.trimEnd() : rest;
    if (text === "") {
      this.#space += rest;
      return;
    }
    this.#add("content", this.#space + text);
    this.#space = rest.slice(text.length);
  };

  /** Text of reasoning. White space around it is left out. */
  readonly reasoning = (piece: string): void => {
    const rest = this.#thought ? piece : piece.trimStart();
    const text = rest.trimEnd();
    if (text === "") {
      this.#thinking += rest;
      return;
    }
    this.#add("reasoning", this.#thinking + text);
    this.#thinking = rest.slice(text.length);
    this.#thought = true;
  };

  /** Reasoning is over; `exact` keeps the white space at its end. */
  endReasoning(exact = false): void {
    if (exact) this.#add("reasoning", this.#thinking);
    this.#thinking = "";
    this.#thought = false;
    this.#endText(true);
  }

  /** A call begins. @param whole whether to tell of it when it is complete, and not before */
  open(whole = false): void {
    this.#call = { arguments: "", whole };
  }

  /** Whether the open call has a name. */
  get named(): boolean {
    return this.#call?.name !== undefined;
  }

  /** The name of the open call. */
  name(name: string, id?: string): void {
    const call = this.#call as Call;
    call.name = name;
    if (id !== undefined) call.id = id;
    if (!call.whole) this.#tell();
  }

  /** The id that the model gave the open call; it comes before the name or with a call that is told as a whole. */
  id(id: string): void {
    (this.#call as Call).id = id;
  }

  /** JSON text of the open call's arguments. */
  readonly arguments = (text: string): void => {
    const call = this.#call as Call;
    if (call.index === undefined) call.arguments += text;
    else this.#add("arguments", text, call.index);
  };

  /** The open call is complete. */
  finish(): void {
    this.#tell();
    this.#call = undefined;
    this.finished++;
  }

  /** The open call is forgotten. It must not have been told of. */
  drop(): void {
    this.#call = undefined;
  }

  /**
   * What was read is no call, or no whole one.
   * @param raw how it was written
   * @param cut whether the answer was cut there: then a call that has a name is told as far as it got
   * @param text where its text goes if nobody was told of a call
   */
  fail(raw: string, cut: boolean, text: (text: string) => void): void {
    const call = this.#call;
    this.#call = undefined;
    if (cut && call?.name !== undefined) {
      this.#call = call;
      this.#tell();
      this.#call = undefined;
    }
    if (call?.index === undefined) text(raw);
    else this.broken.push({ index: call.index, text: raw, at: this.#length });
  }

  /** The answer is over. */
  end(cut: boolean): void {
    this.#endText(this.#json !== undefined && !cut && isJson(this.#json));
  }

  #endText(drop: boolean): void {
    if (!drop) this.#add("content", this.#space);
    this.#space = "";
    this.#begun = this.#first = false;
    this.#json = undefined;
  }

  #tell(): void {
    const call = this.#call as Call;
    if (call.index !== undefined) return;
    this.#endText(this.#first || this.#options.trim);
    call.index = this.#calls++;
    this.#deltas.push({ kind: "call", index: call.index, id: this.#idOf(call), name: call.name as string });
    this.#add("arguments", call.arguments, call.index);
    call.arguments = "";
  }

  #idOf({ id }: Call): string {
    const { shortIds } = this.#options;
    let own = id;
    while (
      own === undefined ||
      own === "" ||
      this.#ids.has(own) ||
      (shortIds && !/^[a-zA-Z0-9]{9}$/.test(own))
    ) {
      own = shortIds ? this.#letters(9) : `call_${this.#letters(24)}`;
    }
    this.#ids.add(own);
    return own;
  }

  #letters(n: number): string {
    let text = "";
    for (let i = 0; i < n; i++) {
      // Numerical Recipes' linear congruential generator; its high bits are the good ones.
      this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
      text += LETTERS[(this.#random >>> 16) % LETTERS.length];
    }
    return text;
  }

  #add(kind: "content" | "reasoning" | "arguments", text: string, index?: number): void {
    if (text === "") return;
    if (kind === "content") this.#length += text.length;
    const last = this.#deltas.at(-1);
    if (last?.kind === kind && last.index === index) last.text += text;
    else this.#deltas.push(index === undefined ? { kind, text } : { kind, index, text });
  }
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return sum >>> 0;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
