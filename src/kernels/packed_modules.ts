// Unpacks WebAssembly modules that scripts/pack.mjs packed.
import { FREE_AT } from "../../assembly/layout/packed.ts";
import { mebibytes } from "../util/bytes.ts";
import { MemoryError } from "../util/errors.ts";
import { textBytes } from "./module_text.ts";
import { wasm } from "./unpacker.gen.ts";

/** The unpacker reads this much behind its input. */
const PADDING = 8;

/**
 * The bytes of a packed module. It takes a module to be fast from the first byte on: runtimes would interpret a script that
 * runs once. To unpack a module takes those before it.
 * @param sizes all bytes of each module, and those before its first function
 * @throws MemoryError if the runtime gives no memory; what it throws if it compiles nothing
 */
export function moduleBytes(
  text: string,
  sizes: readonly (readonly [bytes: number, beforeCode: number])[],
  index = 0,
): Uint8Array<ArrayBuffer> {
  const wanted = sizes.slice(0, index + 1);
  const sizesAt = FREE_AT + Math.ceil((text.length + PADDING) / 8) * 8;
  const out = sizesAt + 8 * wanted.length;
  const end = wanted.reduce((sum, [bytes]) => sum + bytes, out);
  const { memory, unpack } = start(end);
  const bytes = new Uint8Array(memory.buffer);
  new TextEncoder().encodeInto(text, bytes.subarray(FREE_AT));
  new Uint32Array(memory.buffer, sizesAt).set(wanted.flat());
  unpack(FREE_AT, sizesAt, wanted.length, out);
  return bytes.slice(end - (wanted[index]?.[0] ?? 0), end);
}

// Some runtimes take many addresses for any memory. They collect this one before they refuse the next.
function start(bytes: number): Unpacker {
  const module = new WebAssembly.Module(textBytes(wasm));
  try {
    const unpacker = new WebAssembly.Instance(module).exports as unknown as Unpacker;
    unpacker.memory.grow(Math.ceil((bytes - unpacker.memory.buffer.byteLength) / 65536));
    return unpacker;
  } catch (cause) {
    const size = `${bytes} bytes (${mebibytes(bytes)})`;
    throw new MemoryError(
      `Cannot allocate WebAssembly memory: Expected the runtime to give ${size} to unpack kernels, it refuses (${cause})`,
      { cause },
    );
  }
}

interface Unpacker {
  readonly memory: WebAssembly.Memory;
  unpack(text: number, sizes: number, n: number, out: number): void;
}
