// Encodes bytes as printable ASCII, which src/kernels/module_text.ts decodes.

const character = (digit) => String.fromCharCode(digit + (digit > 56 ? 36 : 35));

/** Encodes bytes as a text. */
export function moduleText(bytes) {
  let text = "";
  for (const byte of bytes) {
    const group = Math.floor(byte / 89);
    if (group > 0) text += character(88 + group);
    text += character(byte % 89);
  }
  return text;
}
