// Streaming decoders of SentencePiece vocabularies.
import type { TokenStream } from "../core/tokenizer.ts";
import { type Charsmap, unitsAt } from "./charsmap.ts";
import { SPACE, type Vocabulary } from "./vocabulary.ts";

const REPLACEMENT = "\ufffd";

/** How a {@link PieceStream} decodes. */
export interface StreamOptions {
  /** Write control tokens and the unknown token as the vocabulary spells them. */
  readonly special: boolean;
  /** Take off the space with which a text begins, as encoding has put it there. */
  readonly stripDummyPrefix: boolean;
  /** Take off every piece that is one space at the beginning. */
  readonly stripAllSpaces: boolean;
}

/**
 * Decodes ids one by one. Byte tokens are put together into characters; text comes out as soon as it is
 * complete, and never half a character. The texts of all pushes and the flush, joined, are what the bytes
 * of all ids, joined, decode to.
 */
export class PieceStream implements TokenStream {
  readonly #vocabulary: Vocabulary;
  readonly #options: StreamOptions;
  readonly #texts: readonly (string | undefined)[];
  /** Bytes that the open character still needs, its bits so far, and between what the next byte must be. */
  #needed = 0;
  #character = 0;
  #lower = 0x80;
  #upper = 0xbf;
  #atStart = true;

  constructor(vocabulary: Vocabulary, options: StreamOptions) {
    this.#vocabulary = vocabulary;
    this.#options = options;
    this.#texts = vocabulary.knownTexts(options.special);
  }

  push(id: number): string {
    // Nearly every token: no character is open, no space to take off, and its text is known.
    const known = this.#texts[id];
    if (known !== undefined && this.#needed === 0 && !this.#atStart) return known;
    const byte = this.#vocabulary.byte(id);
    if (byte >= 0) return this.#pushByte(byte);
    const text = this.#vocabulary.text(id, this.#options.special);
    return text === "" ? "" : this.flush() + this.#strip(id, text);
  }

  /** The bytes of an id as they are, shared, but for spaces that are taken off; not to be mixed with {@link push}. */
  pushBytes(id: number): Uint8Array {
    const { special } = this.#options;
    const bytes = this.#vocabulary.bytes(id, special);
    if (!this.#atStart || bytes.length === 0) return bytes;
    if (this.#vocabulary.byte(id) >= 0) {
      this.#atStart = false;
      return bytes;
    }
    const text = this.#vocabulary.text(id, special);
    // What is taken off is a space, one unit and one byte.
    return bytes.subarray(text.length - this.#strip(id, text).length);
  }

  flush(): string {
    if (this.#needed === 0) return "";
    this.#needed = 0;
    return REPLACEMENT;
  }

  /** As the Encoding Standard decodes UTF-8: a broken sequence is one U+FFFD, and the byte begins a new one. */
  #pushByte(byte: number): string {
    this.#atStart = false;
    if (this.#needed === 0) return this.#begin(byte);
    if (byte < this.#lower || byte > this.#upper) return this.flush() + this.#begin(byte);
    this.#lower = 0x80;
    this.#upper = 0xbf;
    this.#character = (this.#character << 6) | (byte & 0x3f);
    this.#needed--;
    return this.#needed === 0 ? String.fromCodePoint(this.#character) : "";
  }

  #begin(byte: number): string {
    if (byte < 0x80) return String.fromCharCode(byte);
    if (byte < 0xc2 || byte > 0xf4) return REPLACEMENT;
    this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#character = byte & (0x3f >> this.#needed);
    // No sequence is longer than it must be, a surrogate, or above U+10FFFF.
    this.#lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return "";
  }

  #strip(id: number, text: string): string {
    if (!this.#atStart || this.#vocabulary.isControl(id)) return text;
    const { stripDummyPrefix, stripAllSpaces } = this.#options;
    const strips = (stripDummyPrefix || stripAllSpaces) && this.#vocabulary.piece(id).startsWith(SPACE);
    const stripped = strips && !this.#vocabulary.isUnknown(id) ? text.slice(1) : text;
    this.#atStart = stripAllSpaces && stripped === "";
    return stripped;
  }
}

/**
 * Applies the rules of a charsmap to the text of another stream. Text that a rule may still match is held back.
 */
export class DenormalizingStream implements TokenStream {
  readonly #inner: TokenStream;
  readonly #charsmap: Charsmap;
  #held = "";

  constructor(inner: TokenStream, charsmap: Charsmap) {
    this.#inner = inner;
    this.#charsmap = charsmap;
  }

  push(id: number): string {
    this.#held += this.#inner.push(id);
    return this.#release(this.#charsmap.maxRuleUnits);
  }

  flush(): string {
    this.#held += this.#inner.flush();
    return this.#release(0);
  }

  /** Replaces what is more than `n` units from the end. */
  #release(n: number): string {
    const charsmap = this.#charsmap;
    const held = this.#held;
    let text = "";
    let i = 0;
    while (i < held.length - n) {
      const rule = charsmap.match(held, i);
      const end = i + (rule < 0 ? unitsAt(held, i) : charsmap.matched);
      text += rule < 0 ? held.slice(i, end) : charsmap.replacement(rule);
      i = end;
    }
    this.#held = held.slice(i);
    return text;
  }
}
