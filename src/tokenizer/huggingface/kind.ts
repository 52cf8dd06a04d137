// The code for tokenizer.json, as tokenizer/json_kind.ts passes it on.
import type { Tokenizer } from "../core/tokenizer.ts";
import { type HuggingFaceData, parseTokenizerJson } from "./data.ts";
import { HuggingFaceTokenizer } from "./huggingface_tokenizer.ts";

/** A `JsonKind`. */
export const huggingFaceKind = {
  parse: parseTokenizerJson,
  build: (data: HuggingFaceData): Tokenizer => new HuggingFaceTokenizer(data),
};
