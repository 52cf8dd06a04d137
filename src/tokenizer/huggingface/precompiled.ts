// The normalizer Precompiled of a tokenizer.json: a SentencePiece charsmap, applied by graphemes.
import { Charsmap, unitsAt } from "../sentencepiece/charsmap.ts";
import { Graphemes } from "../unicode/graphemes.ts";
import type { Edit } from "./aligned_text.ts";
import type { JsonValue } from "./json.ts";

/** UTF-8 bytes from which on a grapheme is looked up character by character. */
const LONG_GRAPHEME = 6;

/**
 * SentencePiece's precompiled rules as Hugging Face applies them, which is not quite as SentencePiece does:
 * grapheme by grapheme. A grapheme of less than six bytes with a rule for a part at its beginning is replaced
 * as a whole, by what the shortest such rule says; otherwise each of its characters is looked up alone.
 *
 * Source: huggingface/spm_precompiled, src/lib.rs; huggingface/tokenizers, normalizers/precompiled.rs.
 */
export class PrecompiledNormalizer {
  readonly #charsmap: Charsmap;
  readonly #graphemes = new Graphemes();
  /** Replacements found before, null if there is none. */
  readonly #known = new Map<string, string | null>();

  private constructor(charsmap: Charsmap) {
    this.#charsmap = charsmap;
  }

  /** @param json the charsmap in base64 @throws FormatError if it is not valid */
  static read(json: JsonValue): PrecompiledNormalizer {
    return new PrecompiledNormalizer(new Charsmap(json.base64(), json.name));
  }

  edits(text: string, edit: Edit): void {
    for (let begin = 0; begin < text.length; ) {
      const end = this.#graphemes.end(text, begin);
      const isShort = end > begin + unitsAt(text, begin) && utf8Length(text, begin, end) < LONG_GRAPHEME;
      const replacement = isShort ? this.#replacement(text.slice(begin, end)) : null;
      if (replacement !== null) edit(begin, end, replacement);
      else this.#characters(text, begin, end, edit);
      begin = end;
    }
  }

  #characters(text: string, begin: number, end: number, edit: Edit): void {
    for (let i = begin; i < end; ) {
      const next = i + unitsAt(text, i);
      const replacement = this.#replacement(text.slice(i, next));
      if (replacement !== null) edit(i, next, replacement);
      i = next;
    }
  }

  #replacement(chunk: string): string | null {
    const known = this.#known.get(chunk);
    if (known !== undefined) return known;
    const found = this.#lookUp(chunk);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(chunk, found);
    return found;
  }

  /** What the shortest rule for a beginning of the chunk says. */
  #lookUp(chunk: string): string | null {
    const charsmap = this.#charsmap;
    for (let end = 0; end < chunk.length; ) {
      end += unitsAt(chunk, end);
      const from = charsmap.match(chunk.slice(0, end), 0);
      if (from < 0) continue;
      const { replacements } = charsmap;
      return String.fromCharCode(...replacements.subarray(from, replacements.indexOf(0, from)));
    }
    return null;
  }
}

/** Chunks remembered. */
const MAX_KNOWN = 1 << 16;

/** UTF-8 bytes of a part of a text, or more than are a short grapheme. */
function utf8Length(text: string, begin: number, end: number): number {
  let n = 0;
  for (let i = begin; i < end && n < LONG_GRAPHEME; ) {
    const code = text.codePointAt(i) as number;
    n += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    i += code > 0xffff ? 2 : 1;
  }
  return n;
}
