// Writes what src/kernels/module_text.ts reads: bytes as printable ASCII.

const character = (digit) => String.fromCharCode(digit + (digit > 56 ? 36 : 35));

/** The text of some bytes. */
export function moduleText(bytes) {
  let text = "";
  for (const byte of bytes) {
    const group = Math.floor(byte / 89);
    if (group > 0) text += character(88 + group);
    text += character(byte % 89);
  }
  return text;
}
