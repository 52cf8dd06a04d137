// Values of tensors that are stored in other numbers than GGUF's.
import { newBytes } from "../../util/bytes.ts";

/** Values plus 1, as F32. @param type F32, F16 or BF16 */
export function plusOne(bytes: Uint8Array, type: string): Uint8Array {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  const width = type === "F32" ? 4 : 2;
  const out = newBytes((byteLength / width) * 4, "values plus 1");
  const values = new Float32Array(out.buffer);
  for (let i = 0; i < values.length; i++) {
    if (type === "F32") values[i] = view.getFloat32(4 * i, true) + 1;
    else values[i] = (type === "F16" ? halfValue : brainValue)(view.getUint16(2 * i, true)) + 1;
  }
  return out;
}

function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

function brainValue(bits: number): number {
  word[0] = bits << 16;
  return float[0] as number;
}

/**
 * Blocks of MXFP4 as GGUF has them: a scale, then 32 values of 4 bits of which the second half lies in the upper bits. Stored
 * are all values, two neighbours a byte, and behind them all scales.
 * Source: Open Compute Project 2023, "OCP Microscaling Formats"; ggml-common.h (block_mxfp4)
 */
export function inBlocks(stored: Uint8Array): Uint8Array {
  const n = stored.length / 17;
  const out = newBytes(stored.length, "blocks of MXFP4");
  for (let block = 0; block < n; block++) {
    out[17 * block] = stored[16 * n + block] as number;
    for (let i = 0; i < 16; i++) {
      const shift = 4 * (i & 1);
      const low = ((stored[16 * block + (i >> 1)] as number) >> shift) & 15;
      const high = ((stored[16 * block + 8 + (i >> 1)] as number) >> shift) & 15;
      out[17 * block + 1 + i] = low | (high << 4);
    }
  }
  return out;
}
