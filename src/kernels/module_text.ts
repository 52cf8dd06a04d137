// Reads the kernels' bytes out of the text that carries them.

/**
 * Bytes that were written as text by scripts/module_text.mjs: printable ASCII, most bytes one character. Bytes stay
 * whole characters: what repeats in a module repeats in its text, and compresses as well as the module. With base64, a
 * compressed bundle with one module would be a third larger.
 *
 * A digit is a character from "#" to "~" but "\": 0 to 88, or 89 and 90, which put the digit that follows into the
 * second and third 89 of the 256.
 */
export function textBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  let n = 0;
  let group = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code - (code > 92 ? 36 : 35);
    if (digit > 88) {
      group = (digit - 88) * 89;
    } else {
      bytes[n++] = group + digit;
      group = 0;
    }
  }
  return bytes.slice(0, n);
}
