import { decodeUtf8 } from "../util/bytes.ts";
import type { TokenStream } from "./tokenizer.ts";
import { SPACE, unescapeSpaces, type Vocabulary } from "./vocabulary.ts";

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
  private readonly vocabulary: Vocabulary;
  private readonly options: StreamOptions;
  /** Bytes of a character that is not complete yet. */
  private readonly open: number[] = [];
  private atStart = true;

  constructor(vocabulary: Vocabulary, options: StreamOptions) {
    this.vocabulary = vocabulary;
    this.options = options;
  }

  push(id: number): string {
    const text = this.vocabulary.text(id, this.options.special);
    if (text === "") return "";
    const byte = this.vocabulary.byte(id);
    if (byte < 0) return this.flush() + unescapeSpaces(this.strip(id, text));
    this.atStart = false;
    return this.pushByte(byte);
  }

  flush(): string {
    if (this.open.length === 0) return "";
    return decodeUtf8(Uint8Array.from(this.open.splice(0)));
  }

  private pushByte(byte: number): string {
    const before = isContinuation(byte) ? "" : this.flush();
    if (byte < 0x80) return before + String.fromCharCode(byte);
    this.open.push(byte);
    const complete = this.open.length >= sequenceLength(this.open[0] as number);
    return before + (complete ? this.flush() : "");
  }

  private strip(id: number, text: string): string {
    if (!this.atStart || this.vocabulary.isControl(id)) return text;
    const { stripDummyPrefix, stripAllSpaces } = this.options;
    const stripped = (stripDummyPrefix || stripAllSpaces) && text.startsWith(SPACE) ? text.slice(1) : text;
    this.atStart = stripAllSpaces && stripped === "";
    return stripped;
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Bytes of the UTF-8 sequence that `first` begins; a continuation byte alone is an error of one byte. */
function sequenceLength(first: number): number {
  if (isContinuation(first)) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
