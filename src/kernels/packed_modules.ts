// Unpacks WebAssembly modules that scripts/pack.mjs packed.
import { FREE_AT } from "../../assembly/layout/packed.ts";
import { textBytes } from "./module_text.ts";
import { wasm } from "./unpacker.gen.ts";

/** The unpacker reads this much behind its input. */
const PADDING = 8;

/**
 * The bytes of a packed module. It takes a module to be fast from the first byte on: runtimes would interpret a script that
 * runs once. To unpack a module takes those before it.
 * @param sizes all bytes of each module, and those before its first function
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
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / 65536) });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(textBytes(wasm)), { env: { memory } });
  const { unpack } = exports as unknown as Unpacker;
  const bytes = new Uint8Array(memory.buffer);
  new TextEncoder().encodeInto(text, bytes.subarray(FREE_AT));
  new Uint32Array(memory.buffer, sizesAt).set(wanted.flat());
  unpack(FREE_AT, sizesAt, wanted.length, out);
  return bytes.slice(end - (wanted[index]?.[0] ?? 0), end);
}

interface Unpacker {
  unpack(text: number, sizes: number, n: number, out: number): void;
}
