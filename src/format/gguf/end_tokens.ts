// Tokens that end a turn or a text because of what they are called.
import { TokenType } from "../../tokenizer/core/vocabulary_data.ts";
import type { TokenizerKeys } from "./tokenizer_keys.ts";

/** Tokens that end a turn or a text by their name, whatever their type says. Source: llama.cpp, llama-vocab.cpp. */
const endTexts: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|eom_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|return|>",
  "<|call|>",
  "<|calls|>",
  "<|flush|>",
  "<|tool_response>",
  "<end_of_turn>",
  "<end_of_utterance>",
  "<turn|>",
  "</s>",
  "<eos>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "[e~[",
  "<｜end▁of▁sentence｜>",
]);

/** Tokens of code models that end a text too, by the key that names each and the texts that are it without the key. */
const fillTokens: readonly (readonly [key: string, texts: readonly string[]])[] = [
  ["fim_pad_token_id", ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]],
  ["fim_rep_token_id", ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]],
  ["fim_sep_token_id", ["<|file_sep|>"]],
];

/** Of a vocabulary that has all of one line, the token after it does not end the answer, but a part of it. */
const exceptions: readonly (readonly [texts: readonly string[], not: string])[] = [
  [["<|return|>", "<|call|>"], "<|end|>"],
  [["<|return|>", "<|calls|>"], "<|end|>"],
  [["<|call|>", "<|flush|>"], "<|end|>"],
  [["<|calls|>", "<|flush|>"], "<|end|>"],
  [["<|tool_response>"], "</s>"],
];

/** Ids of the tokens that end a turn or a text by their name; they become control tokens. */
export function endTokens(pieces: ArrayLike<string>, types: Uint8Array, keys: TokenizerKeys): number[] {
  const fillTexts = new Set(fillTokens.flatMap(([, texts]) => texts));
  const found = new Map<string, number>();
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id] as string;
    if ((endTexts.has(piece) || fillTexts.has(piece)) && !found.has(piece)) found.set(piece, id);
  }
  const ends = new Set<number>();
  for (const [text, id] of found) if (endTexts.has(text)) ends.add(id);
  for (const [key, texts] of fillTokens) {
    const named = texts.map((text) => found.get(text)).find((id) => id !== undefined);
    const id = keys.id(key, types) ?? named;
    if (id !== undefined) ends.add(id);
  }
  for (const id of ends) types[id] = TokenType.control;
  for (const [texts, not] of exceptions) {
    if (texts.every((text) => found.has(text))) ends.delete(found.get(not) ?? -1);
  }
  return [...ends];
}
