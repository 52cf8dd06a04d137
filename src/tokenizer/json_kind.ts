// The kind of tokenizer that a tokenizer.json describes. A bundle may lack it: it is a third of all code for tokenizers, and
// a model file has no use for it. Who imports `Tokenizer` has it (src/tokenizer.ts), and so has `createWorker`.
import { UnsupportedError } from "../util/errors.ts";
import type { Tokenizer } from "./core/tokenizer.ts";
import type { HuggingFaceData } from "./huggingface/data.ts";

/** Reads a tokenizer.json, and builds what it describes. */
export interface JsonKind {
  /** @throws FormatError, UnsupportedError */
  parse(bytes: Uint8Array, name: string): HuggingFaceData;
  build(data: HuggingFaceData): Tokenizer;
}

let provided: JsonKind | undefined;

/** Makes the kind known to every function that loads tokenizers. */
export function provideJsonKind(kind: JsonKind): void {
  provided = kind;
}

/**
 * The kind, for a file called `name`.
 * @throws UnsupportedError if this bundle lacks it
 */
export function jsonKind(name: string): JsonKind {
  if (provided) return provided;
  throw new UnsupportedError(
    `Cannot read ${name}: This bundle has no reader of tokenizer.json, because nothing in it uses Tokenizer; ` +
      'import { Tokenizer } from "cria" and pass tokenizer: await Tokenizer.load(...)',
  );
}
