// POST /tokenize: the tokens of a text, as llama-server has it.
import * as v from "valibot";
import { json } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { boolean, check, text } from "../openai/check.ts";

const tokenizeSchema = v.object({
  content: text,
  add_special: v.optional(boolean),
  parse_special: v.optional(boolean),
  with_pieces: v.optional(boolean),
});

/** Tokens of a text. */
export const tokenize: Route = {
  path: "/tokenize",
  post: async (exchange) => {
    const model = await exchange.model();
    const asked = check(tokenizeSchema, await exchange.fields());
    const { content, add_special: bos = false, parse_special: special = true, with_pieces = false } = asked;
    const tokens = await model.encode(content, { special, bos });
    if (!with_pieces) return json({ tokens: tokens.map(({ id }) => id) });
    // Models have one object for each id.
    const pieces = new Map([...new Set(tokens)].map((one) => [one, pieceOf(one.text, one.bytes)]));
    return json({ tokens: tokens.map((one) => ({ id: one.id, piece: pieces.get(one) })) });
  },
};

// A text, or its bytes if they are no whole characters.
function pieceOf(piece: string, bytes: readonly number[]): string | readonly number[] {
  const encoded = new TextEncoder().encode(piece);
  const isWhole = encoded.length === bytes.length && encoded.every((byte, i) => byte === bytes[i]);
  return isWhole ? piece : bytes;
}
