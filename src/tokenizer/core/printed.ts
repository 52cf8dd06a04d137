// How tokenizers print: on one line, without their vocabularies.
import { inspectSymbol, oneLine } from "../../util/inspect.ts";

/** What all tokenizers say of themselves in consoles, texts and JSON. */
export abstract class PrintedTokenizer {
  /** Which kind of vocabulary it has. */
  abstract readonly kind: string;
  abstract readonly vocabSize: number;

  /** The facts, for `JSON.stringify`. */
  toJSON(): Record<string, unknown> {
    return { kind: this.kind, vocabSize: this.vocabSize };
  }

  toString(): string {
    return oneLine("Tokenizer", this.toJSON());
  }

  [inspectSymbol](): string {
    return this.toString();
  }

  get [Symbol.toStringTag](): string {
    return "Tokenizer";
  }
}
