// The bytes of tensors that are made of stored ones: joined, in another order, or transposed, while they are read.
import type { ByteSource } from "../../source/byte_source.ts";
import { newBytes } from "../../util/bytes.ts";

/** The bytes of a tensor. */
export interface Content {
  readonly byteLength: number;
  /** Fills `target` with the bytes at [at, at + target.length). */
  read(at: number, target: Uint8Array): Promise<void>;
}

/** Bytes of a file. */
export function storedContent(source: ByteSource, offset: number, byteLength: number): Content {
  return { byteLength, read: (at, target) => source.read(offset + at, target) };
}

/** Some bytes of a content. */
export function partOf(content: Content, begin: number, byteLength: number): Content {
  return { byteLength, read: (at, target) => content.read(begin + at, target) };
}

/** One content behind the other. */
export function joined(parts: readonly Content[]): Content {
  const ends: number[] = [];
  let byteLength = 0;
  for (const part of parts) {
    byteLength += part.byteLength;
    ends.push(byteLength);
  }
  return {
    byteLength,
    async read(at, target) {
      for (let done = 0; done < target.length; ) {
        const i = ends.findIndex((end) => end > at + done);
        const end = ends[i] as number;
        const part = parts[i] as Content;
        const n = Math.min(target.length - done, end - at - done);
        await part.read(at + done - (end - part.byteLength), target.subarray(done, done + n));
        done += n;
      }
    },
  };
}

/** How a content is made anew: frame by frame, each of the bytes of one. */
export interface Frames {
  /** What errors call it. */
  readonly name: string;
  readonly count: number;
  /** Bytes of all frames. */
  readonly byteLength: number;
  /** The bytes of frame `i`, of what was read of it. */
  make(stored: Uint8Array, i: number): Uint8Array;
}

/**
 * A content of frames, of which one is held until its last byte was read: loaders read fewer bytes at once than the widest
 * frames have.
 * @param frames as many as the stored content has, all of the same size
 */
export function remade(stored: Content, { name, count, byteLength, make }: Frames): Content {
  const [from, to] = [stored.byteLength / count, byteLength / count];
  let held: { readonly i: number; readonly bytes: Uint8Array } | undefined;
  async function frameAt(i: number): Promise<Uint8Array> {
    if (held?.i === i) return held.bytes;
    const bytes = newBytes(from, `a part of tensor ${name}`);
    await stored.read(i * from, bytes);
    held = { i, bytes: make(bytes, i) };
    return held.bytes;
  }
  return {
    byteLength,
    async read(at, target) {
      for (let done = 0; done < target.length; ) {
        const i = Math.floor((at + done) / to);
        const begin = at + done - i * to;
        const frame = await frameAt(i);
        const part = frame.subarray(begin, begin + target.length - done);
        target.set(part, done);
        done += part.length;
        if (begin + part.length === to) held = undefined;
      }
    },
  };
}

/** Bytes of `n` units in another order: unit `i` of the result is unit `from(i)`. */
export function reordered(bytes: Uint8Array, n: number, from: (i: number) => number): Uint8Array {
  const unit = bytes.length / n;
  const out = newBytes(bytes.length, "units in another order");
  for (let i = 0; i < n; i++) out.set(bytes.subarray(from(i) * unit, (from(i) + 1) * unit), i * unit);
  return out;
}

/** A matrix of values of 2 or 4 bytes, transposed. */
export function transposed(bytes: Uint8Array, rows: number, cols: number): Uint8Array {
  const Values = bytes.length / rows / cols === 4 ? Uint32Array : Uint16Array;
  const out = newBytes(bytes.length, "a transposed matrix");
  const to = new Values(out.buffer);
  const from = new Values(bytes.buffer as ArrayBuffer, bytes.byteOffset, rows * cols);
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) to[col * rows + row] = from[row * cols + col] as number;
  return out;
}

/** A tensor that is made of others, and the place of the first of them. */
export interface PlacedContent {
  readonly name: string;
  readonly content: Content;
  readonly offset: number;
}

/**
 * A source in which contents lie one behind the other, in the order of what they are made of: a stream is read from front to
 * back as far as that can be.
 */
export function contentSource(
  base: ByteSource,
  contents: readonly PlacedContent[],
): { readonly source: ByteSource; readonly offsets: ReadonlyMap<string, number> } {
  const inOrder = [...contents].sort((a, b) => a.offset - b.offset);
  const offsets = new Map<string, number>();
  let end = 0;
  for (const { name, content } of inOrder) {
    offsets.set(name, end);
    end += content.byteLength;
  }
  const all = joined(inOrder.map(({ content }) => content));
  const source: ByteSource = {
    name: base.name,
    get size() {
      return base.size;
    },
    read: (offset, target) => all.read(offset, target),
    close: () => base.close(),
  };
  return { source, offsets };
}
