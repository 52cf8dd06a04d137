// Compiles normalization rules to a SentencePiece charsmap.
import { DoubleArray } from "./double_array.ts";
import type { Rules } from "./normalization_rules.ts";

const utf8 = new TextEncoder();

/**
 * Compiles rules to what SentencePiece calls a precompiled charsmap: the size of a trie as u32, the trie of
 * the UTF-8 to replace (a double array as darts-clone lays it out), and the replacements, each ended by a
 * zero byte; the trie's values are offsets there. No rules are no bytes.
 *
 * Source: google/sentencepiece, normalizer.cc (EncodePrecompiledCharsMap).
 */
export function compileCharsmap(rules: Rules): Uint8Array {
  if (rules.size === 0) return new Uint8Array(0);
  const replacements = new Replacements();
  const keys = Array.from(rules, ([key, value]): [Uint8Array, number] => [
    utf8.encode(key),
    replacements.offset(value),
  ]);
  const trie = new DoubleArray(keys).bytes();
  const texts = utf8.encode(replacements.text);
  const charsmap = new Uint8Array(4 + trie.length + texts.length);
  new DataView(charsmap.buffer).setUint32(0, trie.length, true);
  charsmap.set(trie, 4);
  charsmap.set(texts, 4 + trie.length);
  return charsmap;
}

/** Texts one after the other, each once. */
class Replacements {
  text = "";
  #bytes = 0;
  readonly #offsets = new Map<string, number>();

  offset(value: string): number {
    const known = this.#offsets.get(value);
    if (known !== undefined) return known;
    const offset = this.#bytes;
    this.#offsets.set(value, offset);
    this.text += `${value}\0`;
    this.#bytes += utf8.encode(value).length + 1;
    return offset;
  }
}
