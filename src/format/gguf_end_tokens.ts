import { TokenType } from "../tokenizer/tokenizer.ts";

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
  "<end_of_turn>",
  "<end_of_utterance>",
  "<EOT>",
  "_<EOT>",
  "<｜end▁of▁sentence｜>",
]);
/** Of a vocabulary that has all of these, "<|end|>" ends a message and not the answer. */
const harmonyTexts = ["<|return|>", "<|call|>", "<|end|>"] as const;

/** Ids of the tokens that end a turn or a text by their name; they become control tokens. */
export function endTokens(pieces: ArrayLike<string>, types: Uint8Array): number[] {
  const ids = new Map<string, number>();
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id] as string;
    if (endTexts.has(piece) && !ids.has(piece)) ids.set(piece, id);
  }
  for (const id of ids.values()) types[id] = TokenType.control;
  if (harmonyTexts.every((text) => ids.has(text))) ids.delete("<|end|>");
  return [...ids.values()];
}
