import type { Corpus } from "./options.ts";

/** Decodes a corpus: strings of well-formed text, none of them empty. */
export async function* textParts(corpus: Corpus): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  // A surrogate pair may be cut by the end of a part.
  let half = "";
  for await (const part of corpus) {
    const text = half + (typeof part === "string" ? decoder.decode() + part : decode(decoder, part));
    half = endsInHalf(text) ? text.slice(-1) : "";
    const whole = text.slice(0, text.length - half.length);
    if (whole !== "") yield whole.toWellFormed();
  }
  const rest = half + decoder.decode();
  if (rest !== "") yield rest.toWellFormed();
}

function decode(decoder: TextDecoder, bytes: Uint8Array): string {
  // Some engines refuse to decode shared memory: copy it out first.
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice();
  return decoder.decode(own, { stream: true });
}

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last < 0xdc00;
}

/**
 * Cuts parts of a text into lines, without their line ends ("\n"). Of a line that is longer than a limit no
 * more is kept than tells that it is.
 */
export class LineSplitter {
  private readonly maxUnits: number;
  private pending = "";

  /** @param maxUnits a line of more UTF-16 units is too long, and comes out cut after some more */
  constructor(maxUnits: number) {
    this.maxUnits = maxUnits;
  }

  /** The lines that a part completes. */
  *push(part: string): Generator<string> {
    let begin = 0;
    for (let end = part.indexOf("\n"); end >= 0; end = part.indexOf("\n", begin)) {
      this.keep(part, begin, end);
      yield this.take();
      begin = end + 1;
    }
    this.keep(part, begin, part.length);
  }

  /** The line that the text ends with, if it does not end with a line end. */
  *flush(): Generator<string> {
    if (this.pending !== "") yield this.take();
  }

  private keep(part: string, begin: number, end: number): void {
    const room = this.maxUnits + 1 - this.pending.length;
    if (room > 0) this.pending += part.slice(begin, Math.min(end, begin + room));
  }

  private take(): string {
    const line = this.pending;
    this.pending = "";
    return line;
  }
}

/** UTF-8 bytes of a well-formed text. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair stands for two bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}
