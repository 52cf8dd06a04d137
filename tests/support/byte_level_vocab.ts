// A GGUF vocabulary of the "gpt2" kind.
import { byteSpelling } from "../../src/tokenizer/byte_level/byte_alphabet.ts";
import { type GgufValue, meta, metaArray } from "./gguf_writer.ts";

/** The keys below tokenizer.ggml. of a vocabulary of all 256 bytes and these pieces; `types` are of the pieces. */
export function byteLevelKeys(
  pieces: readonly string[],
  merges: readonly string[],
  types: readonly number[],
): Record<string, GgufValue | undefined> {
  const bytes = Array.from({ length: 256 }, (_, byte) => byteSpelling(Uint8Array.of(byte)));
  const ends = bytes.length + pieces.indexOf("<|endoftext|>");
  const special = ends >= bytes.length ? meta("u32", ends) : undefined;
  return {
    model: meta("string", "gpt2"),
    pre: meta("string", "gpt-2"),
    tokens: metaArray("string", [...bytes, ...pieces]),
    token_type: metaArray("i32", [...bytes.map(() => 1), ...types]),
    merges: metaArray("string", merges),
    scores: undefined,
    bos_token_id: special,
    eos_token_id: special,
    unknown_token_id: undefined,
    add_bos_token: undefined,
  };
}
