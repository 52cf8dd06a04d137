// A file in which the rows of some tensors are read in another order: that of adjacent rotary pairs.
import type { ByteSource } from "../../source/byte_source.ts";
import { newBytes } from "../../util/bytes.ts";

/** A tensor whose rows are in halves: in each head, the first values of all rotary pairs, then the second ones. */
export interface HalvedTensor {
  readonly name: string;
  /** Offset in the file. */
  readonly offset: number;
  readonly byteLength: number;
  /** Rows of a head; even. */
  readonly headRows: number;
  readonly rowBytes: number;
}

/**
 * The same bytes, but for the rows of some tensors: row 2 i + j of a head is row i + j headRows / 2 of the file. So GGUF
 * stores Llama's q and k, and what is computed from them has the same bits.
 * One head is held in memory, because loaders read fewer rows at once than the widest heads have.
 * @param tensors with ascending offsets, each of whole heads
 */
export function pairedRows(source: ByteSource, tensors: readonly HalvedTensor[]): ByteSource {
  if (tensors.length === 0) return source;
  let held: { readonly offset: number; readonly bytes: Uint8Array } | undefined;

  async function headAt({ offset: begin, headRows, rowBytes, name }: HalvedTensor, at: number) {
    const bytes = headRows * rowBytes;
    const offset = at - ((at - begin) % bytes);
    if (held?.offset === offset) return held;
    const stored = newBytes(bytes, `a head of tensor ${name}`);
    await source.read(offset, stored);
    const head = newBytes(bytes, `a head of tensor ${name}`);
    for (let row = 0; row < headRows; row++) {
      const from = ((row >> 1) + ((row & 1) * headRows) / 2) * rowBytes;
      head.set(stored.subarray(from, from + rowBytes), row * rowBytes);
    }
    held = { offset, bytes: head };
    return held;
  }

  return {
    name: source.name,
    get size() {
      return source.size;
    },
    async read(offset, target) {
      for (let done = 0; done < target.length; ) {
        const at = offset + done;
        const next = tensors.find((tensor) => tensor.offset + tensor.byteLength > at);
        const rest = target.length - done;
        if (!next || next.offset > at) {
          const n = Math.min(rest, (next?.offset ?? Number.POSITIVE_INFINITY) - at);
          await source.read(at, target.subarray(done, done + n));
          done += n;
        } else {
          const head = await headAt(next, at);
          const part = head.bytes.subarray(at - head.offset, at - head.offset + rest);
          target.set(part, done);
          done += part.length;
        }
      }
    },
    close: () => source.close(),
  };
}
